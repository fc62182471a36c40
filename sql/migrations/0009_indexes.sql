-- Indexes for the look-ups that both programs repeat.

-- An old index of this name may run the other way.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_index
               WHERE indexrelid = to_regclass('idx_chapters_published_at')
                 AND indrelid = 'chapters'::regclass AND (indoption[0] & 1) = 0) THEN
        DROP INDEX idx_chapters_published_at;
    END IF;
END
$$;

CREATE INDEX IF NOT EXISTS idx_manga_mangadex_id ON manga (mangadex_id);
CREATE INDEX IF NOT EXISTS idx_manga_last_synced ON manga (last_synced_at);
CREATE INDEX IF NOT EXISTS idx_manga_last_chapter_check ON manga (last_chapter_check);
CREATE INDEX IF NOT EXISTS idx_chapters_mangadex_id ON chapters (mangadex_chapter_id);
CREATE INDEX IF NOT EXISTS idx_chapters_published_at ON chapters (published_at DESC);
CREATE INDEX IF NOT EXISTS idx_manga_genres_genre_id ON manga_genres (genre_id);
CREATE INDEX IF NOT EXISTS idx_user_library_manga_id ON user_library (manga_id);
CREATE INDEX IF NOT EXISTS idx_notifications_user_id ON notifications (user_id, id);
CREATE INDEX IF NOT EXISTS idx_notifications_unread
    ON notifications (user_id, id) WHERE read IS NOT TRUE;
