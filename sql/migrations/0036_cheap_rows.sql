-- A notification costs one entry in each index, when it is written and again when it is marked,
-- unless no index has what changed and the page has room. So two indexes go: an event is unique by
-- its receipt and has one row for each recipient; what is unread is found by a mark for each reader.

ALTER TABLE notifications DROP CONSTRAINT IF EXISTS notifications_event_id_user_id_key;
DROP INDEX IF EXISTS idx_notifications_unread;
ALTER TABLE notifications SET (fillfactor = 50);

-- Where the rows of an event are: their ids are between these, with those of others. One line for
-- each transaction that has stored some.
CREATE TABLE notification_portions (
    id        bigserial PRIMARY KEY,
    event_id  text NOT NULL REFERENCES notification_receipts (event_id) ON DELETE CASCADE,
    first_id  bigint NOT NULL,
    last_id   bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_notification_portions_event_id ON notification_portions (event_id);
INSERT INTO notification_portions (event_id, first_id, last_id, stored_at)
    SELECT event_id, min(n.id), max(n.id), min(received_at)
    FROM notifications n JOIN notification_receipts USING (event_id) GROUP BY event_id, seq
    ORDER BY seq;

-- No notification of the user up to this id is unread, nor will one be before the mark is lowered.
CREATE TABLE reader_marks (
    user_id    uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    read_up_to bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO reader_marks (user_id, read_up_to)
    SELECT user_id, coalesce(min(n.id) FILTER (WHERE read IS NOT TRUE) - 1, max(n.id))
    FROM notifications n JOIN users ON users.id = user_id GROUP BY user_id;

-- A mark is raised in a transaction that has locked it before it looks (readers/unread.py). Whoever
-- makes a row unread locks it too, and so either is seen, or lowers the mark afterwards: a row that
-- is set back, one that another program writes, however late. The functions run with the rights of
-- the tables' owner, whoever writes, and whatever the search_path of the session.
DO $outer$
DECLARE
    place text := n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE c.oid = 'notifications'::regclass;
BEGIN
    EXECUTE format($text$
        CREATE FUNCTION mangahub_lower_mark(reader uuid, unread_id bigint) RETURNS void
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            INSERT INTO %1$I.reader_marks (user_id, read_up_to)
                SELECT id, 0 FROM %1$I.users WHERE id = reader ON CONFLICT DO NOTHING;
            UPDATE %1$I.reader_marks SET read_up_to = least(read_up_to, unread_id - 1)
                WHERE user_id = reader;
        END
        $body$;

        CREATE FUNCTION mangahub_note_unread() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            PERFORM %1$I.mangahub_lower_mark(NEW.user_id, NEW.id);
            RETURN NULL;
        END
        $body$;

        CREATE FUNCTION mangahub_forget_marks() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            DELETE FROM %1$I.reader_marks;
            RETURN NULL;
        END
        $body$;

        CREATE OR REPLACE FUNCTION mangahub_tell_marks() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            is_any_unread boolean;
        BEGIN
            SELECT bool_or(has_unread) INTO is_any_unread FROM (
                SELECT pg_notify('mangahub_marks', string_agg(id::text, ',')),
                       bool_or(is_unread) AS has_unread
                FROM (SELECT after.id, after.read IS NOT TRUE AS is_unread,
                             (row_number() OVER () - 1) / 350 AS portion
                      FROM after JOIN before USING (id)
                      WHERE (after.read IS TRUE) <> (before.read IS TRUE)
                         OR after.user_id IS DISTINCT FROM before.user_id) AS marked
                GROUP BY portion) AS told;
            IF is_any_unread THEN
                PERFORM %1$I.mangahub_lower_mark(user_id, lowest) FROM (
                    SELECT after.user_id, min(after.id) AS lowest
                    FROM after JOIN before USING (id)
                    WHERE after.read IS NOT TRUE AND after.user_id IS NOT NULL
                      AND (before.read IS TRUE OR after.user_id IS DISTINCT FROM before.user_id)
                    GROUP BY after.user_id ORDER BY after.user_id) AS set_back;
            END IF;
            RETURN NULL;
        END
        $body$;
    $text$, place);
END
$outer$;
REVOKE ALL ON FUNCTION mangahub_lower_mark, mangahub_note_unread, mangahub_forget_marks,
                       mangahub_tell_marks FROM PUBLIC;

-- Rows of events are seen in time by their transactions (notify_server/store/horizon.py), and are
-- too many for a trigger each.
CREATE TRIGGER mangahub_note_unread AFTER INSERT ON notifications
    FOR EACH ROW WHEN (NEW.event_id IS NULL AND NEW.user_id IS NOT NULL AND NEW.read IS NOT TRUE)
    EXECUTE FUNCTION mangahub_note_unread();
CREATE TRIGGER mangahub_forget_marks AFTER TRUNCATE ON notifications
    FOR EACH STATEMENT EXECUTE FUNCTION mangahub_forget_marks();
