-- The tables that other MangaHub programs read and write too. Where they exist they stay as they
-- are; the next files bring them up to these.
-- (The unique keys' indexes carry the names under which other programs know these indexes.)

DO $$
BEGIN
    IF to_regtype('user_role') IS NULL THEN
        CREATE TYPE user_role AS ENUM ('user', 'admin');
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS users (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username      text NOT NULL UNIQUE,
    password_hash text,
    email         text UNIQUE,
    role          user_role NOT NULL DEFAULT 'user',
    created_at    timestamptz DEFAULT now(),
    updated_at    timestamptz DEFAULT now(),
    last_login    timestamptz
);

CREATE TABLE IF NOT EXISTS manga (
    id                 bigserial PRIMARY KEY,
    slug               text UNIQUE,
    title              text NOT NULL,
    author             text,
    status             text,
    total_chapters     integer,
    description        text,
    average_rating     numeric(3,2),
    cover_url          text,
    created_at         timestamptz DEFAULT now(),
    mangadex_id        uuid CONSTRAINT idx_manga_mangadex_id UNIQUE,
    last_synced_at     timestamptz,
    last_chapter_check timestamptz,
    updated_at         timestamptz DEFAULT now()
);

CREATE TABLE IF NOT EXISTS genres (
    id   serial PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS manga_genres (
    id       bigserial PRIMARY KEY,
    manga_id bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    genre_id integer NOT NULL REFERENCES genres (id) ON DELETE CASCADE,
    UNIQUE (manga_id, genre_id)
);

CREATE TABLE IF NOT EXISTS user_library (
    id       bigserial PRIMARY KEY,
    user_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    added_at timestamptz DEFAULT now(),
    UNIQUE (user_id, manga_id)
);

CREATE TABLE IF NOT EXISTS chapters (
    id                  bigserial PRIMARY KEY,
    manga_id            bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    chapter_number      numeric(10,2) NOT NULL,
    title               text,
    published_at        timestamptz,
    created_at          timestamptz DEFAULT now(),
    mangadex_chapter_id uuid CONSTRAINT idx_chapters_mangadex_id UNIQUE,
    volume              text,
    pages               integer,
    updated_at          timestamptz DEFAULT now()
);

-- No foreign keys: checking them would be a third of the cost of an event for all users. Recipients
-- are read from the tables they would point to, and triggers clear up behind deletions (0012).
CREATE TABLE IF NOT EXISTS notifications (
    id         bigserial PRIMARY KEY,
    user_id    uuid,
    type       text,
    manga_id   bigint,
    title      text,
    message    text NOT NULL,
    read       boolean DEFAULT false,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE IF NOT EXISTS sync_state (
    id              bigserial PRIMARY KEY,
    sync_type       text NOT NULL UNIQUE,
    last_run_at     timestamptz,
    last_success_at timestamptz,
    last_cursor     text,
    status          text DEFAULT 'idle',
    error_message   text,
    metadata        jsonb DEFAULT '{}',
    updated_at      timestamptz DEFAULT now()
);
