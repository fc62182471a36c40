-- updated_at moves when a row really changes, and only then.

CREATE OR REPLACE FUNCTION mangahub_touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The comparison of images, *<>, also works for types without equality, such as json.
    IF NEW *<> OLD THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;

-- A trigger that an older schema brought along would move it on every UPDATE. Only those go whose
-- function does this one thing; whatever does more is somebody else's.
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
              ~* '^begin(if.*then)?new\.updated_at:?=[a-z_0-9()''.]+;(endif;)?returnnew;end;?$'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', old_trigger.tgname, old_trigger.table_name);
    END LOOP;
END
$$;

CREATE TRIGGER mangahub_updated_at BEFORE UPDATE ON manga
    FOR EACH ROW EXECUTE FUNCTION mangahub_touch_updated_at();
CREATE TRIGGER mangahub_updated_at BEFORE UPDATE ON chapters
    FOR EACH ROW EXECUTE FUNCTION mangahub_touch_updated_at();
CREATE TRIGGER mangahub_updated_at BEFORE UPDATE ON sync_state
    FOR EACH ROW EXECUTE FUNCTION mangahub_touch_updated_at();
