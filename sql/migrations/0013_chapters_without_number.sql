-- Old rows of chapters may have no number, or one that cannot be counted with. They are kept as the
-- programs keep chapters without a number: as 0, unique within a scope of their own. What was there
-- before is noted in 'adoption_repairs'.

WITH odd AS (
    SELECT id, chapter_number AS value FROM chapters
    WHERE chapter_number IS NULL OR chapter_number::text IN ('NaN', 'Infinity', '-Infinity')
), repaired AS (
    UPDATE chapters c
    SET chapter_number = 0,
        number_scope = coalesce('chapter:' || c.mangadex_chapter_id, 'row:' || c.id)
    FROM odd WHERE odd.id = c.id
    RETURNING c.id
)
UPDATE mangahub_meta
SET value = value || (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'table', 'chapters', 'column', 'chapter_number', 'id', id, 'value', value)), '[]')
    FROM odd JOIN repaired USING (id))
WHERE key = 'adoption_repairs';

ALTER TABLE chapters ALTER COLUMN chapter_number SET NOT NULL;

COMMENT ON COLUMN chapters.number_scope IS
    'within what the number is unique: empty = the title and language; volume:V = a volume, where '
    'numbering restarts; chapter:UUID = only that chapter, which has no number; row:ID = a row '
    'from before this column that has no number, or shares it with an older row';
