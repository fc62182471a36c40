-- What the API says besides of titles and chapters: enough to credit, find and open them.

CREATE TABLE manga_titles (
    manga_id bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    language text NOT NULL,
    title    text NOT NULL,
    PRIMARY KEY (manga_id, language, title)
);

-- A title's pages elsewhere: al, mal, mu, kt, ap, …; `until` when the source took one away.
CREATE TABLE manga_links (
    manga_id    bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    site        text NOT NULL,
    external_id text NOT NULL,
    until       timestamptz,
    PRIMARY KEY (manga_id, site, external_id)
);
CREATE INDEX idx_manga_links_external_id ON manga_links (site, external_id);

CREATE TABLE scanlation_groups (
    id   uuid PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE chapter_groups (
    chapter_id bigint NOT NULL REFERENCES chapters (id) ON DELETE CASCADE,
    group_id   uuid NOT NULL REFERENCES scanlation_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (chapter_id, group_id)
);
CREATE INDEX idx_chapter_groups_group_id ON chapter_groups (group_id);

-- Days in UTC on which a chapter of the title became readable; the last 13 a language are kept.
CREATE TABLE release_days (
    manga_id            bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    translated_language text NOT NULL,
    released_on         date NOT NULL,
    PRIMARY KEY (manga_id, translated_language, released_on)
);

CREATE TABLE manga_changes (
    id         bigserial PRIMARY KEY,
    manga_id   bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    field      text NOT NULL,
    old_value  jsonb,
    new_value  jsonb,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_manga_changes_manga_id ON manga_changes (manga_id);
