-- What a reader wants to be told, and how far he has read. MangaHub has user_progress of its own.

CREATE TABLE IF NOT EXISTS user_progress (
    user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id        bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    current_chapter integer NOT NULL DEFAULT 0,
    status          text NOT NULL DEFAULT 'reading'
                    CHECK (status IN ('reading', 'completed', 'plan_to_read', 'dropped')),
    page            integer,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, manga_id)
);

-- An old table may lack columns, keep ids as text, or have no key.
ALTER TABLE user_progress ADD COLUMN IF NOT EXISTS current_chapter integer DEFAULT 0;
ALTER TABLE user_progress ADD COLUMN IF NOT EXISTS status text DEFAULT 'reading';
ALTER TABLE user_progress ADD COLUMN IF NOT EXISTS page integer;
ALTER TABLE user_progress ADD COLUMN IF NOT EXISTS updated_at timestamptz DEFAULT now();
DO $$
BEGIN
    IF (SELECT atttypid <> 'uuid'::regtype FROM pg_attribute
        WHERE attrelid = 'user_progress'::regclass AND attname = 'user_id') THEN
        ALTER TABLE user_progress ALTER user_id TYPE uuid USING user_id::text::uuid;
    END IF;
END
$$;
CREATE INDEX IF NOT EXISTS idx_user_progress_manga_id ON user_progress (manga_id);

CREATE TABLE reader_preferences (
    user_id        uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    languages      text[],                      -- NULL: every language
    blocked_groups uuid[] NOT NULL DEFAULT '{}',
    new_titles     text NOT NULL DEFAULT 'all'  -- all, none, or genres between commas
);

CREATE TABLE library_settings (
    user_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id  bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    muted     boolean NOT NULL DEFAULT false,
    languages text[],                           -- NULL: as in reader_preferences
    PRIMARY KEY (user_id, manga_id)
);
CREATE INDEX idx_library_settings_manga_id ON library_settings (manga_id);
