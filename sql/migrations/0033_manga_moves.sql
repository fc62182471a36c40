-- Where readers' titles went that are gone at the source: an old list leads to the new one.

CREATE TABLE manga_moves (
    user_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    old_id   bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    new_id   bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, old_id)
);
CREATE INDEX idx_manga_moves_old_id ON manga_moves (old_id);
CREATE INDEX idx_manga_moves_new_id ON manga_moves (new_id);
