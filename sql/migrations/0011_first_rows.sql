-- The rows that the programs expect: one state a workflow, and the baselines of adopted titles.

INSERT INTO sync_state (sync_type, status)
SELECT sync_type, 'idle'
FROM unnest(ARRAY['initial_sync', 'new_manga_poll', 'chapter_check', 'chapter_feed',
                  'metadata_refresh']) AS sync_type
ON CONFLICT (sync_type) DO NOTHING;

-- A title whose total was unknown gets its baseline from the source's feed, when it is needed.
INSERT INTO chapter_baselines (manga_id, translated_language, latest_chapter, established_at)
SELECT manga.id, '*', manga.total_chapters, (meta.value ->> 'adopted_at')::timestamptz
FROM manga, mangahub_meta AS meta
WHERE meta.key = 'adoption' AND meta.value ->> 'adopted_at' IS NOT NULL
  AND manga.total_chapters IS NOT NULL
ON CONFLICT DO NOTHING;
