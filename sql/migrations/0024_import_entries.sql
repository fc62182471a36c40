-- Entries of imported lists that were not matched at once, as the list had them, until they are
-- matched; and what their readers decided.

CREATE TABLE import_entries (
    id          bigserial PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    entry_key   text NOT NULL,               -- site:id, or title:TITLE; one row an entry of a user
    title       text NOT NULL DEFAULT '',    -- empty where the list has ids only
    status      text CHECK (status IN ('reading', 'completed', 'plan_to_read', 'dropped')),
    progress    numeric(10,2),
    mangadex_id uuid,
    legacy_id   integer,                     -- MangaDex's number of before 2021
    ids         jsonb NOT NULL DEFAULT '{}', -- at other sites, {"al": "1"}, as in manga_links
    listed_at   timestamptz,                 -- when the list says that it was added there
    state       text NOT NULL
                CHECK (state IN ('matched', 'wanted', 'doubtful', 'unmatched', 'decided')),
    match       text NOT NULL DEFAULT 'none'
                CHECK (match IN ('id', 'legacy', 'link', 'title', 'none')),
    candidates  bigint[] NOT NULL DEFAULT '{}',
    why         text NOT NULL DEFAULT '',
    manga_id    bigint REFERENCES manga (id) ON DELETE SET NULL, -- decided without: not this
    attempts    integer NOT NULL DEFAULT 0,  -- of fetch-wanted
    asked_at    timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, entry_key)
);
CREATE INDEX idx_import_entries_open ON import_entries (state, id)
    WHERE state IN ('wanted', 'doubtful', 'unmatched');
CREATE INDEX idx_import_entries_manga_id ON import_entries (manga_id);
