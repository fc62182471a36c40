-- How many requests left, minute by minute, for a day: a ring, so that nothing has to be deleted.
CREATE TABLE api_requests (
    source   text NOT NULL,
    slot     smallint NOT NULL,  -- the minute of the day
    began_at timestamptz NOT NULL,
    requests integer NOT NULL,
    PRIMARY KEY (source, slot)
) WITH (fillfactor = 50);

-- Workflows that an operator wants to run soon: the next run of any workflow starts them.
CREATE TABLE run_wishes (
    sync_type text PRIMARY KEY,
    wished_at timestamptz NOT NULL DEFAULT now()
);
