-- Brings the columns of tables that existed already up to those of a new database. Nothing here
-- rewrites a table whose columns have the usual types: varchar becomes text and timestamp becomes
-- timestamptz (read as UTC, the zone of this session) in the catalogue alone.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'chapters'::regclass
               AND attname = 'release_date' AND NOT attisdropped) THEN
        IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'chapters'::regclass
                   AND attname = 'published_at' AND NOT attisdropped) THEN
            UPDATE chapters SET published_at = release_date
            WHERE published_at IS NULL AND release_date IS NOT NULL;
        ELSE
            ALTER TABLE chapters RENAME COLUMN release_date TO published_at;
        END IF;
    END IF;
END
$$;

SET LOCAL TIME ZONE 'UTC';

DO $$
DECLARE
    wanted record;
    actual text;
    modifier integer;
    default_clause text;
    conversion text;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('users', 'username', 'text', NULL),
            ('users', 'password_hash', 'text', NULL),
            ('users', 'email', 'text', NULL),
            ('users', 'created_at', 'timestamp with time zone', 'now()'),
            ('users', 'updated_at', 'timestamp with time zone', 'now()'),
            ('users', 'last_login', 'timestamp with time zone', NULL),
            ('manga', 'slug', 'text', NULL),
            ('manga', 'title', 'text', NULL),
            ('manga', 'author', 'text', NULL),
            ('manga', 'status', 'text', NULL),
            ('manga', 'total_chapters', 'integer', NULL),
            ('manga', 'description', 'text', NULL),
            ('manga', 'average_rating', 'numeric(3,2)', NULL),
            ('manga', 'cover_url', 'text', NULL),
            ('manga', 'created_at', 'timestamp with time zone', 'now()'),
            ('manga', 'mangadex_id', 'uuid', NULL),
            ('manga', 'last_synced_at', 'timestamp with time zone', NULL),
            ('manga', 'last_chapter_check', 'timestamp with time zone', NULL),
            ('manga', 'updated_at', 'timestamp with time zone', 'now()'),
            ('genres', 'name', 'text', NULL),
            ('user_library', 'user_id', 'uuid', NULL),
            ('user_library', 'added_at', 'timestamp with time zone', 'now()'),
            ('chapters', 'chapter_number', 'numeric(10,2)', NULL),
            ('chapters', 'title', 'text', NULL),
            ('chapters', 'published_at', 'timestamp with time zone', NULL),
            ('chapters', 'created_at', 'timestamp with time zone', 'now()'),
            ('chapters', 'mangadex_chapter_id', 'uuid', NULL),
            ('chapters', 'volume', 'text', NULL),
            ('chapters', 'pages', 'integer', NULL),
            ('chapters', 'updated_at', 'timestamp with time zone', 'now()'),
            ('notifications', 'user_id', 'uuid', NULL),
            ('notifications', 'type', 'text', NULL),
            ('notifications', 'manga_id', 'bigint', NULL),
            ('notifications', 'title', 'text', NULL),
            ('notifications', 'message', 'text', NULL),
            ('notifications', 'read', 'boolean', 'false'),
            ('notifications', 'created_at', 'timestamp with time zone', 'now()'),
            ('sync_state', 'sync_type', 'text', NULL),
            ('sync_state', 'last_run_at', 'timestamp with time zone', NULL),
            ('sync_state', 'last_success_at', 'timestamp with time zone', NULL),
            ('sync_state', 'last_cursor', 'text', NULL),
            ('sync_state', 'status', 'text', '''idle'''),
            ('sync_state', 'error_message', 'text', NULL),
            ('sync_state', 'metadata', 'jsonb', '''{}'''),
            ('sync_state', 'updated_at', 'timestamp with time zone', 'now()')
        ) AS columns (table_name, column_name, type_name, default_value)
    LOOP
        default_clause := coalesce(' DEFAULT ' || wanted.default_value, '');
        SELECT format_type(atttypid, atttypmod), atttypmod INTO actual, modifier
        FROM pg_attribute
        WHERE attrelid = to_regclass(wanted.table_name) AND attname = wanted.column_name
          AND NOT attisdropped;
        IF actual IS NULL THEN
            EXECUTE format('ALTER TABLE %I ADD COLUMN %I %s%s', wanted.table_name,
                           wanted.column_name, wanted.type_name, default_clause);
            CONTINUE;
        END IF;

        -- Wider than needed is good enough, and another's narrow rating is not ours to touch.
        CONTINUE WHEN actual = wanted.type_name
            OR (wanted.type_name = 'text' AND actual LIKE '%citext')
            OR (wanted.type_name = 'integer' AND actual = 'bigint')
            OR (wanted.type_name = 'bigint' AND actual = 'integer')
            OR wanted.column_name = 'average_rating'
            OR (actual = 'numeric')
            OR (actual LIKE 'numeric(%' AND wanted.type_name = 'numeric(10,2)'
                AND ((modifier - 4) & 65535) >= 2
                AND ((modifier - 4) >> 16) - ((modifier - 4) & 65535) >= 8);

        conversion := CASE
            WHEN wanted.type_name = 'uuid' THEN 'nullif(btrim(%1$I::text), '''')::uuid'
            WHEN wanted.type_name = 'boolean'
                THEN 'lower(%1$I::text) IN (''1'', ''t'', ''true'', ''y'', ''yes'')'
            WHEN wanted.type_name = 'timestamp with time zone' AND actual IN ('integer', 'bigint')
                THEN 'to_timestamp(%1$I)'
            ELSE '%1$I::%2$s'
        END;
        BEGIN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP DEFAULT',
                           wanted.table_name, wanted.column_name);
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE %s USING %s',
                           wanted.table_name, wanted.column_name, wanted.type_name,
                           format(conversion, wanted.column_name, wanted.type_name));
        EXCEPTION WHEN feature_not_supported THEN
            -- A view, a generated column or a policy holds on to the type, which then stays.
            NULL;
        END;
    END LOOP;
END
$$;

-- Defaults that the programs rely on, where the column has none.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT defaults.* FROM (VALUES
            ('users', 'id', 'gen_random_uuid()'),
            ('users', 'created_at', 'now()'), ('users', 'updated_at', 'now()'),
            ('manga', 'created_at', 'now()'), ('manga', 'updated_at', 'now()'),
            ('user_library', 'added_at', 'now()'),
            ('chapters', 'created_at', 'now()'), ('chapters', 'updated_at', 'now()'),
            ('notifications', 'read', 'false'), ('notifications', 'created_at', 'now()'),
            ('sync_state', 'status', '''idle'''), ('sync_state', 'metadata', '''{}'''),
            ('sync_state', 'updated_at', 'now()')
        ) AS defaults (table_name, column_name, value)
        JOIN pg_attribute a ON a.attrelid = to_regclass(table_name) AND a.attname = column_name
        WHERE NOT a.atthasdef
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT %s',
                       wanted.table_name, wanted.column_name, wanted.value);
    END LOOP;
END
$$;

-- Ids that somebody else used to count.
DO $$
DECLARE
    bare record;
    highest bigint;
BEGIN
    FOR bare IN
        SELECT t.name AS table_name, t.name || '_sync_id_seq' AS sequence_name
        FROM unnest(ARRAY['manga', 'genres', 'manga_genres', 'user_library', 'chapters',
                          'notifications', 'sync_state']) AS t (name)
        JOIN pg_attribute a ON a.attrelid = to_regclass(t.name) AND a.attname = 'id'
        WHERE NOT a.atthasdef AND a.attidentity = ''
          AND a.atttypid IN ('integer'::regtype, 'bigint'::regtype)
    LOOP
        EXECUTE format('CREATE SEQUENCE %I OWNED BY %I.id', bare.sequence_name, bare.table_name);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN id SET DEFAULT nextval(%L)',
                       bare.table_name, bare.sequence_name);
        EXECUTE format('SELECT max(id) FROM %I', bare.table_name) INTO highest;
        PERFORM setval(bare.sequence_name::regclass, coalesce(highest, 0) + 1, false);
    END LOOP;
END
$$;

-- Columns that may be empty: the source does not always know.
DO $$
DECLARE
    required record;
BEGIN
    FOR required IN
        SELECT t.table_name, a.attname
        FROM (VALUES
            ('manga', ARRAY['author', 'status', 'total_chapters', 'description', 'average_rating',
                            'cover_url', 'mangadex_id', 'last_synced_at', 'last_chapter_check']),
            ('chapters', ARRAY['title', 'published_at', 'mangadex_chapter_id', 'volume', 'pages']),
            ('notifications', ARRAY['manga_id', 'title']),
            ('sync_state', ARRAY['last_run_at', 'last_success_at', 'last_cursor', 'error_message'])
        ) AS t (table_name, columns)
        JOIN pg_attribute a ON a.attrelid = to_regclass(t.table_name)
            AND a.attname = ANY (t.columns) AND a.attnotnull
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP NOT NULL',
                       required.table_name, required.attname);
    END LOOP;
END
$$;

-- The four states, and whatever another program called them.
UPDATE sync_state
SET status = CASE WHEN lower(status) IN ('success', 'done', 'finished') THEN 'completed'
                  WHEN lower(status) IN ('failed', 'failure') THEN 'error'
                  ELSE 'idle' END
WHERE status IS NULL OR status NOT IN ('idle', 'running', 'completed', 'error');
ALTER TABLE sync_state ADD CONSTRAINT sync_state_status_check
    CHECK (status IN ('idle', 'running', 'completed', 'error'));

-- A catalogue that already knows other states keeps them; a new one knows the source's four.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM manga
                   WHERE status NOT IN ('ongoing', 'completed', 'hiatus', 'cancelled')) THEN
        ALTER TABLE manga ADD CONSTRAINT manga_status_check
            CHECK (status IN ('ongoing', 'completed', 'hiatus', 'cancelled'));
    END IF;
END
$$;
