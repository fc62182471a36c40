-- Notifications go with their users and titles whoever deletes these, as with a foreign key: with the
-- rights of the table's owner, and whatever the search_path of the session.

DO $outer$
DECLARE
    place record;
BEGIN
    SELECT n.nspname, pg_get_userbyid(c.relowner) AS owner INTO place
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = 'notifications'::regclass;

    EXECUTE format($text$
        CREATE OR REPLACE FUNCTION mangahub_forget_notifications() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF TG_ARGV[0] = 'user_id' THEN
                DELETE FROM %1$I.notifications n USING gone WHERE n.user_id = gone.id;
            ELSE
                DELETE FROM %1$I.notifications n USING gone WHERE n.manga_id = gone.id;
            END IF;
            RETURN NULL;
        END
        $body$
    $text$, place.nspname);

    -- Nobody else may attach it to a table of theirs; the triggers that are there need no right.
    REVOKE ALL ON FUNCTION mangahub_forget_notifications() FROM PUBLIC;
    IF place.owner <> current_user THEN
        BEGIN
            EXECUTE format('ALTER FUNCTION mangahub_forget_notifications() OWNER TO %I',
                           place.owner);
        EXCEPTION WHEN insufficient_privilege THEN
            -- That role may make nothing in this schema: it stays with who runs the migrations.
            NULL;
        END;
    END IF;
END
$outer$;
