-- Which kinds of events there are is said once, by the notification server, which rejects others; a
-- new kind needs no migration.
ALTER TABLE notification_events DROP CONSTRAINT notification_events_type_check;
