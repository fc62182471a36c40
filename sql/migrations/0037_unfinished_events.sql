-- Events whose recipients have not all got their row yet: rows are stored in portions, so that the
-- first readers hear at once. Any server goes on after the last recipient that has one.

CREATE TABLE unfinished_events (
    event_id   text PRIMARY KEY REFERENCES notification_receipts (event_id) ON DELETE CASCADE,
    seq        bigserial UNIQUE,
    manga_id   bigint NOT NULL,
    audience   text NOT NULL,
    traits     jsonb NOT NULL,  -- what recipients are chosen by
    after      uuid,            -- the last user who has a row; NULL: nobody has
    touched_at timestamptz NOT NULL DEFAULT now()
);

-- The next readers of a title are found by the last one.
CREATE INDEX IF NOT EXISTS idx_user_library_readers ON user_library (manga_id, user_id);
DROP INDEX IF EXISTS idx_user_library_manga_id;
