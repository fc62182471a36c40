-- What keeping a catalogue in step adds to the MangaHub tables. Every default is a constant, so
-- that no row is rewritten.

ALTER TABLE manga
    ADD COLUMN IF NOT EXISTS unavailable_at     timestamptz,
    ADD COLUMN IF NOT EXISTS missing_since      timestamptz,
    ADD COLUMN IF NOT EXISTS content_rating     text,
    ADD COLUMN IF NOT EXISTS numbering_restarts boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS mangadex_version   integer;

-- The titles of an adopted database were first synced at the adoption. The moment is given as a
-- constant default that is dropped again, which costs the same for one row as for a million; in a
-- fresh database it is null.
DO $$
DECLARE
    adopted_at timestamptz := value ->> 'adopted_at' FROM mangahub_meta WHERE key = 'adoption';
BEGIN
    EXECUTE format(
        'ALTER TABLE manga ADD COLUMN IF NOT EXISTS first_synced_at timestamptz DEFAULT %L',
        adopted_at);
    ALTER TABLE manga ALTER COLUMN first_synced_at DROP DEFAULT;
END
$$;

-- The original program read English chapters only, so that is what the rows it left are, and what
-- a program that does not know the column writes.
ALTER TABLE chapters
    ADD COLUMN IF NOT EXISTS translated_language text NOT NULL DEFAULT 'en',
    ADD COLUMN IF NOT EXISTS external_url        text,
    ADD COLUMN IF NOT EXISTS number_scope        text NOT NULL DEFAULT '';

COMMENT ON COLUMN chapters.number_scope IS
    'within what the number is unique: empty = the title and language; volume:V = a volume, where '
    'numbering restarts; chapter:UUID = only that chapter, which has no number; row:ID = a row '
    'from before this column that shares its number with an older row';

ALTER TABLE notifications
    ADD COLUMN IF NOT EXISTS event_id     text,
    ADD COLUMN IF NOT EXISTS data         jsonb,
    ADD COLUMN IF NOT EXISTS delivered_at timestamptz;
