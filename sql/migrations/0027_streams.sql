-- What an event said, also where nobody was a recipient: visitors of the website hear of all titles.
ALTER TABLE notification_receipts ADD COLUMN title text;
ALTER TABLE notification_receipts ADD COLUMN message text;
ALTER TABLE notification_receipts ADD COLUMN data jsonb;

-- Whoever marks notifications as read or unread: the reader's open pages hear of it. Ids in portions
-- of what a message may hold.
CREATE FUNCTION mangahub_tell_marks() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('mangahub_marks', string_agg(id::text, ','))
    FROM (SELECT after.id, (row_number() OVER () - 1) / 350 AS portion
          FROM after JOIN before USING (id)
          WHERE (after.read IS TRUE) <> (before.read IS TRUE)) AS marked
    GROUP BY portion;
    RETURN NULL;
END
$$;

CREATE TRIGGER mangahub_tell_marks AFTER UPDATE ON notifications
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION mangahub_tell_marks();
