-- A MangaHub database from before any sync: `release_date`, integer ids, times without a zone,
-- no columns of the source, no sync_state.
CREATE TYPE user_role AS ENUM ('user', 'admin');
CREATE TABLE users (
    id uuid PRIMARY KEY,
    username text UNIQUE NOT NULL,
    password_hash text NOT NULL,
    email text UNIQUE,
    role user_role DEFAULT 'user',
    created_at timestamp DEFAULT CURRENT_TIMESTAMP,
    last_login timestamp
);
CREATE TABLE manga (
    id serial PRIMARY KEY,
    slug text UNIQUE,
    title text NOT NULL,
    author text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('ongoing', 'completed', 'hiatus')),
    total_chapters integer NOT NULL CHECK (total_chapters > 0),
    description text,
    average_rating numeric(3,2),
    cover_url text,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE genres (id serial PRIMARY KEY, name text UNIQUE);
CREATE TABLE manga_genres (
    id serial PRIMARY KEY,
    manga_id integer REFERENCES manga (id),
    genre_id integer REFERENCES genres (id),
    UNIQUE (manga_id, genre_id)
);
CREATE TABLE user_library (
    id serial PRIMARY KEY,
    user_id uuid REFERENCES users (id),
    manga_id integer REFERENCES manga (id),
    added_at timestamp DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, manga_id)
);
CREATE TABLE chapters (
    id serial PRIMARY KEY,
    manga_id integer REFERENCES manga (id),
    chapter_number numeric(10,2) NOT NULL CHECK (chapter_number > 0),
    title text NOT NULL DEFAULT '',
    release_date timestamp NOT NULL,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT one_of_each UNIQUE (manga_id, chapter_number)
);
CREATE INDEX idx_chapters_published_at ON chapters (release_date);
CREATE TABLE notifications (
    id serial PRIMARY KEY,
    user_id uuid REFERENCES users (id),
    type text,
    manga_id integer REFERENCES manga (id),
    message text NOT NULL,
    read boolean,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO users (id, username, password_hash) VALUES
    ('6f1c1d8e-0000-4000-8000-000000000003', 'oana', 'x');
INSERT INTO manga (slug, title, status, total_chapters) VALUES ('salt', 'Salt', 'hiatus', 7);
INSERT INTO genres (name) VALUES ('Mystery');
INSERT INTO manga_genres (manga_id, genre_id) VALUES (1, 1);
INSERT INTO user_library (user_id, manga_id) VALUES ('6f1c1d8e-0000-4000-8000-000000000003', 1);
INSERT INTO chapters (manga_id, chapter_number, release_date) VALUES
    (1, 6, '2023-05-06 07:08:09'), (1, 7, '2023-06-06 07:08:09');
INSERT INTO notifications (user_id, type, manga_id, message, read) VALUES
    ('6f1c1d8e-0000-4000-8000-000000000003', 'x', 1, 'Chapter 7', NULL);
