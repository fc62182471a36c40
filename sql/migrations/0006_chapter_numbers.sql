-- One row per title, language and number; per volume too where numbering restarts.

ALTER TABLE chapters ADD CONSTRAINT chapters_number_key
    UNIQUE (manga_id, translated_language, number_scope, chapter_number);
ALTER TABLE notifications ADD CONSTRAINT notifications_event_id_user_id_key
    UNIQUE (event_id, user_id);
ALTER TABLE manga ADD CONSTRAINT manga_status_check
    CHECK (status IN ('ongoing', 'completed', 'hiatus', 'cancelled'));
ALTER TABLE sync_state ADD CONSTRAINT sync_state_status_check
    CHECK (status IN ('idle', 'running', 'completed', 'error'));
