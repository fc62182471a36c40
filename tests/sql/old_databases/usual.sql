-- The MangaHub schema with the sync columns of the original program: all names as usual.
CREATE TYPE user_role AS ENUM ('user', 'admin');
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username varchar(50) UNIQUE NOT NULL,
    password_hash varchar(255) NOT NULL,
    email varchar(100) UNIQUE NOT NULL,
    role user_role NOT NULL DEFAULT 'user',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    last_login timestamptz
);
CREATE TABLE manga (
    id bigserial PRIMARY KEY,
    slug varchar(255) UNIQUE NOT NULL,
    title varchar(255) NOT NULL,
    author varchar(255),
    status varchar(20) CHECK (status IN ('ongoing', 'completed', 'hiatus')),
    total_chapters integer DEFAULT 0,
    description text,
    average_rating numeric(3,2) DEFAULT 0,
    cover_url text,
    created_at timestamptz DEFAULT now(),
    mangadex_id uuid UNIQUE,
    last_synced_at timestamptz,
    last_chapter_check timestamptz,
    updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_manga_mangadex_id ON manga (mangadex_id);
CREATE INDEX idx_manga_last_synced ON manga (last_synced_at);
CREATE INDEX idx_manga_last_chapter_check ON manga (last_chapter_check);
CREATE TABLE genres (id serial PRIMARY KEY, name varchar(50) UNIQUE NOT NULL);
CREATE TABLE manga_genres (
    id serial PRIMARY KEY,
    manga_id bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    genre_id integer NOT NULL REFERENCES genres (id) ON DELETE CASCADE,
    UNIQUE (manga_id, genre_id)
);
CREATE TABLE user_library (
    id bigserial PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    added_at timestamptz DEFAULT now(),
    UNIQUE (user_id, manga_id)
);
CREATE TABLE chapters (
    id bigserial PRIMARY KEY,
    manga_id bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    chapter_number numeric(10,2) NOT NULL,
    title varchar(255),
    published_at timestamptz,
    created_at timestamptz DEFAULT now(),
    mangadex_chapter_id uuid UNIQUE,
    volume varchar(20),
    pages integer,
    updated_at timestamptz DEFAULT now(),
    UNIQUE (manga_id, chapter_number)
);
CREATE INDEX idx_chapters_mangadex_id ON chapters (mangadex_chapter_id);
CREATE INDEX idx_chapters_published_at ON chapters (published_at DESC);
CREATE TABLE notifications (
    id bigserial PRIMARY KEY,
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    type varchar(50) NOT NULL CHECK (type IN ('new_manga', 'new_chapter')),
    manga_id bigint REFERENCES manga (id) ON DELETE CASCADE,
    title varchar(255) NOT NULL,
    message text NOT NULL,
    read boolean DEFAULT false,
    created_at timestamptz DEFAULT now()
);
CREATE TABLE sync_state (
    id serial PRIMARY KEY,
    sync_type varchar(50) UNIQUE NOT NULL
        CHECK (sync_type IN ('initial_sync', 'new_manga_poll', 'chapter_check')),
    last_run_at timestamptz,
    last_success_at timestamptz,
    last_cursor text,
    status varchar(20) DEFAULT 'idle' CHECK (status IN ('idle', 'running', 'completed', 'error')),
    error_message text,
    metadata jsonb DEFAULT '{}',
    updated_at timestamptz DEFAULT now()
);
CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP; -- always
    RETURN NEW;
END;
$$;
CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_manga_updated_at BEFORE UPDATE ON manga
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_chapters_updated_at BEFORE UPDATE ON chapters
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_sync_state_updated_at BEFORE UPDATE ON sync_state
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

INSERT INTO users (id, username, password_hash, email, role) VALUES
    ('6f1c1d8e-0000-4000-8000-000000000001', 'mirela', 'x', 'mirela@example.org', 'admin'),
    ('6f1c1d8e-0000-4000-8000-000000000002', 'tadeo', 'x', 'tadeo@example.org', 'user');
INSERT INTO manga (slug, title, status, total_chapters, mangadex_id, updated_at) VALUES
    ('lantern-bay', 'Lantern Bay', 'ongoing', 180,
     '0a000000-0000-4000-8000-000000000001', '2024-02-03 04:05:06+00'),
    ('paper-moons', 'Paper Moons', 'completed', NULL,
     '0a000000-0000-4000-8000-000000000002', '2024-02-03 04:05:06+00'),
    ('typed-by-hand', 'Typed by Hand', NULL, 12, NULL, '2024-02-03 04:05:06+00');
INSERT INTO genres (name) VALUES ('Drama'), ('Slice of Life');
INSERT INTO manga_genres (manga_id, genre_id) VALUES (1, 1), (1, 2), (2, 1);
INSERT INTO user_library (user_id, manga_id) VALUES
    ('6f1c1d8e-0000-4000-8000-000000000001', 1), ('6f1c1d8e-0000-4000-8000-000000000002', 1);
INSERT INTO chapters (manga_id, chapter_number, title, published_at, mangadex_chapter_id, volume,
                      pages, updated_at) VALUES
    (1, 180, 'Ebb', '2024-01-01 10:00+00', '0b000000-0000-4000-8000-000000000001', '20', 18,
     '2024-02-03 04:05:06+00'),
    (1, 179.5, NULL, NULL, NULL, NULL, NULL, '2024-02-03 04:05:06+00');
INSERT INTO notifications (user_id, type, manga_id, title, message) VALUES
    ('6f1c1d8e-0000-4000-8000-000000000001', 'new_chapter', 1, 'Lantern Bay', 'Chapter 180'),
    ('6f1c1d8e-0000-4000-8000-000000000002', 'new_chapter', 1, 'Lantern Bay', 'Chapter 180');
INSERT INTO sync_state (sync_type, status, last_cursor, metadata) VALUES
    ('initial_sync', 'completed', '150', '{"count": 150}'),
    ('new_manga_poll', 'error', '2024-01-01T00:00:00', '{}'), ('chapter_check', 'idle', NULL, '{}');
