-- The notifications of users and titles that are deleted go too. An adopted database may have foreign
-- keys for that; these stay, and leave nothing to do here.

CREATE FUNCTION mangahub_forget_notifications() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[0] = 'user_id' THEN
        DELETE FROM notifications USING gone WHERE notifications.user_id = gone.id;
    ELSE
        DELETE FROM notifications USING gone WHERE notifications.manga_id = gone.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER mangahub_forget_notifications AFTER DELETE ON users
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION mangahub_forget_notifications('user_id');
CREATE TRIGGER mangahub_forget_notifications AFTER DELETE ON manga
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION mangahub_forget_notifications('manga_id');
