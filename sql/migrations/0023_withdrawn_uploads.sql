-- What the source withdraws is no longer counted with, though its row stays.

ALTER TABLE chapters ADD COLUMN IF NOT EXISTS unavailable_at timestamptz;
ALTER TABLE chapter_baselines ADD COLUMN lowered_at timestamptz;

COMMENT ON COLUMN chapters.number_scope IS
    'within what the number is unique: empty = the title and language; volume:V = a volume, where '
    'numbering restarts; upload:UUID = only that upload, whose volume is not known yet; '
    'chapter:UUID = only that chapter, which has no number; row:ID = a row from before this column '
    'that has no number, or shares it with an older row';
