-- updated_at moves when a row really changes, and only then. That a title was looked at is no
-- change of it: readers of the table sort by this column.

-- Its arguments are columns that do not count: such notes, and generated columns, which PostgreSQL
-- computes after this.
CREATE OR REPLACE FUNCTION mangahub_touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    is_changed boolean;
BEGIN
    IF TG_NARGS = 0 THEN
        -- The comparison of images, *<>, also works for types without equality, such as json.
        is_changed := NEW *<> OLD;
    ELSE
        is_changed := to_jsonb(NEW) - TG_ARGV::text[] <> to_jsonb(OLD) - TG_ARGV::text[];
    END IF;
    IF is_changed THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;

DO $$
DECLARE
    target record;
BEGIN
    FOR target IN
        SELECT t.name, coalesce(string_agg(quote_literal(a.attname), ', '), '') AS ignored
        FROM unnest(ARRAY['manga', 'chapters', 'sync_state']) AS t (name)
        LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(t.name) AND NOT a.attisdropped
            AND (a.attgenerated <> '' OR (t.name = 'manga' AND a.attname IN
                ('last_synced_at', 'last_chapter_check', 'missing_since')))
        GROUP BY t.name
    LOOP
        EXECUTE format(
            'CREATE TRIGGER mangahub_updated_at BEFORE UPDATE ON %I
                 FOR EACH ROW EXECUTE FUNCTION mangahub_touch_updated_at(%s)',
            target.name, target.ignored);
    END LOOP;
END
$$;
