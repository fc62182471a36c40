-- The unique keys that upserts rely on, where an older database lacks them. Rows that stand in
-- their way are all kept: the oldest keeps its value, the others lose an id of the source (it can
-- belong to one row only) or get a suffix. What was there before is noted in 'adoption_repairs'.

INSERT INTO mangahub_meta (key, value) VALUES ('adoption_repairs', '[]') ON CONFLICT DO NOTHING;

DO $$
DECLARE
    wanted record;
    repairs jsonb;
BEGIN
    FOR wanted IN
        SELECT keys.*
        FROM (VALUES
            ('manga', 'mangadex_id', 'NULL'),
            ('manga', 'slug', 't.slug || ''-row-'' || t.id'),
            ('genres', 'name', 't.name || '' ('' || t.id || '')'''),
            ('chapters', 'mangadex_chapter_id', 'NULL'),
            ('sync_state', 'sync_type', 't.sync_type || ''-row-'' || t.id')
        ) AS keys (table_name, column_name, replacement)
        JOIN pg_attribute a ON a.attrelid = to_regclass(table_name) AND a.attname = column_name
        WHERE NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = a.attrelid AND i.indkey::text = a.attnum::text
              AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL)
    LOOP
        EXECUTE format(
            'WITH later AS (
                 SELECT id, row_number() OVER (PARTITION BY %2$I ORDER BY id) AS place
                 FROM %1$I WHERE %2$I IS NOT NULL
             ), before AS (
                 SELECT o.id, o.%2$I AS value FROM %1$I o JOIN later ON later.id = o.id
                 WHERE later.place > 1
             ), repaired AS (
                 UPDATE %1$I t SET %2$I = %3$s FROM before WHERE before.id = t.id
                 RETURNING t.id
             )
             SELECT coalesce(jsonb_agg(jsonb_build_object(
                 ''table'', %1$L, ''column'', %2$L, ''id'', id, ''value'', value)), ''[]'')
             FROM before JOIN repaired USING (id)',
            wanted.table_name, wanted.column_name, wanted.replacement) INTO repairs;
        UPDATE mangahub_meta SET value = value || repairs WHERE key = 'adoption_repairs';
        EXECUTE format('ALTER TABLE %I ADD UNIQUE (%I)', wanted.table_name, wanted.column_name);
    END LOOP;
END
$$;

-- Pairs are only made unique where they are: no row of a library is worth losing.
DO $$
DECLARE
    wanted record;
    repeated boolean;
BEGIN
    FOR wanted IN
        SELECT pairs.*
        FROM (VALUES
            ('user_library', 'user_id', 'manga_id'),
            ('manga_genres', 'manga_id', 'genre_id')
        ) AS pairs (table_name, first_column, second_column)
        JOIN pg_attribute a ON a.attrelid = to_regclass(table_name) AND a.attname = first_column
        JOIN pg_attribute b ON b.attrelid = a.attrelid AND b.attname = second_column
        WHERE NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indimmediate
              AND i.indpred IS NULL AND i.indkey::text IN (
                  a.attnum || ' ' || b.attnum, b.attnum || ' ' || a.attnum))
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I GROUP BY %I, %I HAVING count(*) > 1)',
                       wanted.table_name, wanted.first_column, wanted.second_column)
            INTO repeated;
        IF NOT repeated THEN
            EXECUTE format('ALTER TABLE %I ADD UNIQUE (%I, %I)', wanted.table_name,
                           wanted.first_column, wanted.second_column);
        END IF;
    END LOOP;
END
$$;
