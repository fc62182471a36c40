-- Rules of older schemas that would refuse valid data, or act on every UPDATE. Databases may have
-- been made by hand, so they are found by what they do and not by their names.

-- Triggers that move updated_at on every UPDATE, changed or not. Only those go whose function does
-- this one thing; whatever does more is somebody else's.
DO $$
DECLARE
    old_trigger record;
BEGIN
    FOR old_trigger IN
        SELECT t.tgname, t.tgrelid::regclass AS table_name
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal
          AND t.tgrelid IN ('manga'::regclass, 'chapters'::regclass, 'sync_state'::regclass)
          AND regexp_replace(p.prosrc, '--[^\n]*|\s', '', 'g')
              ~* '^begin(if.*then)?new\."?updated_at"?:?=[a-z_0-9()''.]+;(endif;)?returnnew;end;?$'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', old_trigger.tgname, old_trigger.table_name);
    END LOOP;
END
$$;

-- unique(manga_id, chapter_number) and the like: several languages and series that number each
-- volume anew have one number more than once.
DO $$
DECLARE
    old_key record;
BEGIN
    FOR old_key IN
        SELECT i.indexrelid::regclass AS index_name, c.conname
        FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'chapter_number'
        LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('u', 'x')
        WHERE i.indrelid = 'chapters'::regclass AND i.indisunique AND NOT i.indisprimary
          AND a.attnum = ANY (i.indkey)
    LOOP
        IF old_key.conname IS NULL THEN
            EXECUTE format('DROP INDEX %s', old_key.index_name);
        ELSE
            EXECUTE format('ALTER TABLE chapters DROP CONSTRAINT %I', old_key.conname);
        END IF;
    END LOOP;
END
$$;

-- CHECKs on columns that take more values now: `cancelled`, chapter 0, five workflows, new types.
DO $$
DECLARE
    old_check record;
BEGIN
    FOR old_check IN
        SELECT c.conname, c.conrelid::regclass AS table_name
        FROM pg_constraint c
        JOIN (VALUES
            ('manga', ARRAY['status', 'total_chapters']),
            ('chapters', ARRAY['chapter_number', 'volume', 'pages']),
            ('notifications', ARRAY['type']),
            ('sync_state', ARRAY['sync_type', 'status'])
        ) AS widened (table_name, columns) ON c.conrelid = to_regclass(widened.table_name)
        WHERE c.contype = 'c' AND cardinality(c.conkey) > 0
          AND ARRAY(SELECT a.attname::text FROM pg_attribute a
                    WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
              <@ widened.columns
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I',
                       old_check.table_name, old_check.conname);
    END LOOP;
END
$$;
