-- An event that the notification server refused for good is not owed any more, and holds back no
-- other of its title.
ALTER TABLE notification_events ADD COLUMN rejected_at timestamptz;
