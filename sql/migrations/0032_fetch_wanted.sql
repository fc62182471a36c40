-- The workflow that asks for wanted titles, and where titles went that are gone.

INSERT INTO sync_state (sync_type, status) VALUES ('fetch_wanted', 'idle')
ON CONFLICT (sync_type) DO NOTHING;
