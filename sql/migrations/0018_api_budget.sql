-- The requests to a source that everybody shares: workers, runs, programs and hosts. One row a source;
-- times are those of this database's clock. Often updated, never indexed but by its key: a page with
-- room keeps updates in place.
CREATE TABLE api_budget (
    source         text PRIMARY KEY,
    -- When the last requests leave, oldest first; also those that are reserved and still to come.
    departures     timestamptz[] NOT NULL DEFAULT array_fill('-infinity'::timestamptz, ARRAY[16]),
    -- When the token bucket is full again; for bursts only.
    bucket_full_at timestamptz NOT NULL DEFAULT '-infinity',
    paused_until   timestamptz NOT NULL DEFAULT '-infinity',
    failures       integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
