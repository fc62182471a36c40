-- What titles are suggested to readers: figures of the source, and lists that are kept for a day.

CREATE TABLE title_popularity (
    manga_id bigint PRIMARY KEY REFERENCES manga (id) ON DELETE CASCADE,
    follows  integer,                        -- at the source; NULL: it gives none
    asked_at timestamptz NOT NULL
);
CREATE INDEX idx_title_popularity_follows ON title_popularity (follows DESC NULLS LAST, manga_id);

CREATE TABLE reader_suggestions (
    user_id     uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    made_at     timestamptz NOT NULL,
    held        integer NOT NULL,            -- titles that the reader had then
    suggestions jsonb NOT NULL               -- [{"manga_id", "score", "because"}], best first
);

-- Readers of a title, without a look at the table.
CREATE INDEX IF NOT EXISTS idx_user_library_manga_user ON user_library (manga_id, user_id);
