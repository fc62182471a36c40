-- What both programs keep for themselves: the outbox, the memory of the notification server, and
-- what is known, stored and announced of each title.

-- Events in the transaction of the row they speak of; sent at least once, the receiver drops repeats.
CREATE TABLE notification_events (
    id              bigserial PRIMARY KEY,
    dedup_key       text NOT NULL UNIQUE CHECK (length(dedup_key) BETWEEN 1 AND 200),
    type            text NOT NULL CHECK (type IN ('new-manga', 'new-chapter', 'manga-update')),
    manga_id        bigint REFERENCES manga (id) ON DELETE CASCADE,
    payload         jsonb NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    accepted_at     timestamptz
);
CREATE INDEX idx_notification_events_owed ON notification_events (id) WHERE accepted_at IS NULL;
CREATE INDEX idx_notification_events_manga_id ON notification_events (manga_id);

-- Event ids the notification server has seen, also those that nobody received.
CREATE TABLE notification_receipts (
    event_id    text PRIMARY KEY,
    type        text NOT NULL,
    manga_id    bigint,
    received_at timestamptz NOT NULL DEFAULT now(),
    seq         bigserial
);
CREATE INDEX idx_notification_receipts_seq ON notification_receipts (seq);

CREATE TABLE notify_keys (
    user_id    uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    generation integer NOT NULL DEFAULT 0,
    rotated_at timestamptz
);

-- The highest number that was readable before a title was first synced; '*' is every language.
CREATE TABLE chapter_baselines (
    manga_id            bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    translated_language text NOT NULL,
    latest_chapter      numeric(10,2),
    latest_volume       numeric(10,2),
    established_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (manga_id, translated_language)
);

-- What was announced, so that a corrected or repeated number never is again. The id tells chapters
-- without a number apart and is the zero UUID for all others.
CREATE TABLE chapter_announcements (
    manga_id            bigint NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    translated_language text NOT NULL,
    volume              text NOT NULL DEFAULT '',
    chapter_number      numeric(10,2) NOT NULL,
    mangadex_chapter_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    announced_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (manga_id, translated_language, volume, chapter_number, mangadex_chapter_id)
);

-- Pages that an unfinished initial sync has stored; emptied when it completes.
CREATE TABLE sync_pages (
    sync_type  text NOT NULL,
    page_key   text NOT NULL,
    manga_ids  uuid[] NOT NULL DEFAULT '{}',
    next_since text,
    total      integer,
    done_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sync_type, page_key)
);
