-- How often a reader has renewed a private address of the website; the addresses are derived.

CREATE TABLE private_addresses (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('news', 'calendar', 'events')),
    generation integer NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, kind)
);

-- Titles by their newest releases.
CREATE INDEX idx_release_days_released_on ON release_days (released_on, manga_id);
