-- Ways to a reader outside of this machine, and how far each has got in `notifications`.

CREATE TABLE reader_channels (
    id          bigserial PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        text NOT NULL,               -- ntfy, discord, webhook, …
    address     text NOT NULL,               -- with its credentials: never shown or logged
    server      text NOT NULL,               -- what it leads to, as far as that is no secret
    secret      text,                        -- of a webhook: what signs its messages
    only_types  text[],                      -- of notifications; NULL: all
    digest_at   time,                        -- one message a day; NULL: at once
    time_zone   text NOT NULL DEFAULT 'UTC', -- of digest_at
    is_trusted  boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    paused_at   timestamptz,
    UNIQUE (user_id, address)
);

CREATE TABLE channel_deliveries (
    channel_id      bigint PRIMARY KEY REFERENCES reader_channels (id) ON DELETE CASCADE,
    last_id         bigint NOT NULL,            -- notifications up to it are done with
    sending_id      bigint,                     -- up to it reaches the message that is being tried
    attempts        integer NOT NULL DEFAULT 0, -- of that message that failed
    next_attempt_at timestamptz,                -- NULL: at once
    failing_since   timestamptz,
    last_success_at timestamptz,
    last_error      text,                       -- NULL once it works again
    test_wanted_at  timestamptz,
    tested_at       timestamptz,
    test_error      text                        -- NULL: the last test succeeded
);
