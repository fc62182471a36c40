-- A total that is NaN, which an old column without precision may hold, is an unknown one. Its title
-- gets its baseline from the source's feed, when it is needed, like others whose total is unknown.

WITH odd AS (
    SELECT id, total_chapters::text AS value FROM manga WHERE total_chapters::text = 'NaN'
), repaired AS (
    UPDATE manga SET total_chapters = NULL FROM odd WHERE odd.id = manga.id RETURNING manga.id
)
UPDATE mangahub_meta
SET value = value || (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'table', 'manga', 'column', 'total_chapters', 'id', id, 'value', value)), '[]')
    FROM odd JOIN repaired USING (id))
WHERE key = 'adoption_repairs';

DELETE FROM chapter_baselines WHERE latest_chapter = 'NaN';
