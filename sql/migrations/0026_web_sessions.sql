-- Who is signed in to the website, and sign-in links. Only hashes of what browsers hold are kept.

CREATE TABLE web_sessions (
    id           bigserial PRIMARY KEY,
    token_hash   bytea NOT NULL UNIQUE,      -- SHA-256 of the cookie's 256 random bits
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser      text NOT NULL DEFAULT '',   -- such as Firefox on Linux, as its reader knows it
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now() -- to the hour
);
CREATE INDEX idx_web_sessions_user_id ON web_sessions (user_id);

CREATE TABLE web_links (
    token_hash bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX idx_web_links_user_id ON web_links (user_id);
