-- Notes, before anything is created, whether this is a MangaHub database that existed already,
-- and since when it is kept in step. Later files and both programs read the row 'adoption':
-- notifications up to last_notification_id belong to the time before and are never replayed.

CREATE TABLE IF NOT EXISTS mangahub_meta (
    key   text PRIMARY KEY,
    value jsonb NOT NULL
);

DO $$
DECLARE
    existed boolean := to_regclass('manga') IS NOT NULL OR to_regclass('users') IS NOT NULL
                    OR to_regclass('notifications') IS NOT NULL;
    last_id bigint := 0;
BEGIN
    IF to_regclass('notifications') IS NOT NULL THEN
        EXECUTE 'SELECT coalesce(max(id), 0) FROM notifications' INTO last_id;
    END IF;
    INSERT INTO mangahub_meta (key, value)
    VALUES ('adoption', jsonb_build_object(
        'adopted_at', CASE WHEN existed THEN now() END,
        'last_notification_id', last_id))
    ON CONFLICT (key) DO NOTHING;
END
$$;
