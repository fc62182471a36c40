-- One row per title, language and number; per volume too where numbering restarts.

-- A database that already tells languages apart may leave English out.
UPDATE chapters SET translated_language = 'en' WHERE translated_language IS NULL;
ALTER TABLE chapters ALTER COLUMN translated_language SET DEFAULT 'en',
                     ALTER COLUMN translated_language SET NOT NULL;

-- Of old rows that share a number all are kept; the first with an id of the source stands for it.
UPDATE chapters
SET number_scope = 'row:' || chapters.id
FROM (
    SELECT id, row_number() OVER (
        PARTITION BY manga_id, translated_language, number_scope, chapter_number
        ORDER BY mangadex_chapter_id IS NULL, id) AS place
    FROM chapters WHERE manga_id IS NOT NULL
) AS sharing
WHERE sharing.id = chapters.id AND sharing.place > 1;

ALTER TABLE chapters ADD CONSTRAINT chapters_number_key
    UNIQUE (manga_id, translated_language, number_scope, chapter_number);

ALTER TABLE notifications ADD CONSTRAINT notifications_event_id_user_id_key
    UNIQUE (event_id, user_id);
