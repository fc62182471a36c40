-- Search by name in core SQL, as no extension may be there: words of all names of a title, and a
-- vocabulary in which a mistyped word finds its neighbours.

-- Names as they are searched: without case, accents and apostrophes, with blanks for punctuation. Scripts without
-- blanks between words are parted into characters, by U+001F, so that any part of a name is found.
CREATE FUNCTION mangahub_search_text(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(plain) = length(plain) THEN plain ELSE
        regexp_replace(normalize(regexp_replace(normalize(plain, NFKD),
            '[\u0300-\u036f]', '', 'g'), NFC),
            '([\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])',
            E'\x1f\\1\x1f', 'g')
        END
    FROM (SELECT translate(lower(left(name, 20000)),
        E'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»·•…–—‐‑―“”„、。「」『』【】〈〉《》〔〕・～！？：；，．（）☆★♥♡♪×※\t\r\n'
        || '''’‘ʼ´', repeat(' ', 80))) AS cleaned (plain)
$$;

-- A word, and what is left of it without one letter: two words with a common one differ in a letter
-- or two neighbours.
CREATE FUNCTION mangahub_word_variants(word text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(DISTINCT left(word, n - 1) || substr(word, n + 1))
    FROM generate_series(1, length(word) + 1) AS n
$$;

CREATE TABLE title_search (
    manga_id bigint PRIMARY KEY REFERENCES manga (id) ON DELETE CASCADE,
    words    tsvector NOT NULL
);
CREATE INDEX idx_title_search_words ON title_search USING gin (words);

-- In this order the words that begin alike stand together.
CREATE TABLE title_words (word text COLLATE "C" PRIMARY KEY);
CREATE INDEX idx_title_words_variants ON title_words USING gin (mangahub_word_variants(word));

CREATE FUNCTION mangahub_index_names(ids bigint[]) RETURNS void LANGUAGE sql AS $$
    WITH named AS (
        -- Name by name: most are ASCII, which takes the short way.
        SELECT m.id, to_tsvector('simple', concat_ws(' ', mangahub_search_text(m.title),
            (SELECT string_agg(mangahub_search_text(t.title), ' ') FROM manga_titles t
             WHERE t.manga_id = m.id))) AS words
        FROM manga m WHERE m.id = ANY (ids)
    ), indexed AS (
        INSERT INTO title_search AS s (manga_id, words) SELECT id, words FROM named
        ON CONFLICT (manga_id) DO UPDATE SET words = excluded.words
        WHERE s.words IS DISTINCT FROM excluded.words
    )
    INSERT INTO title_words (word)
    SELECT DISTINCT lexeme FROM named, unnest(words)
    WHERE length(lexeme) BETWEEN 4 AND 24 ORDER BY lexeme
    ON CONFLICT DO NOTHING
$$;

-- Whoever writes titles need have no rights here, nor this search_path.
DO $outer$
BEGIN
    EXECUTE format($text$
        CREATE FUNCTION mangahub_names_changed() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        BEGIN
            IF TG_TABLE_NAME = 'manga_titles' THEN
                PERFORM mangahub_index_names(array_agg(DISTINCT manga_id)) FROM changed;
            ELSIF TG_OP = 'INSERT' THEN
                PERFORM mangahub_index_names(array_agg(id)) FROM changed;
            ELSE
                PERFORM mangahub_index_names(array_agg(changed.id)) FROM changed
                    JOIN before ON before.id = changed.id
                        AND before.title IS DISTINCT FROM changed.title
                    HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END
        $body$
    $text$, current_schema());
END
$outer$;
-- Nobody else may attach it to a table of theirs; the triggers that are there need no right.
REVOKE ALL ON FUNCTION mangahub_names_changed() FROM PUBLIC;

CREATE TRIGGER mangahub_title_added AFTER INSERT ON manga
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mangahub_names_changed();
CREATE TRIGGER mangahub_title_renamed AFTER UPDATE ON manga
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mangahub_names_changed();
CREATE TRIGGER mangahub_name_added AFTER INSERT ON manga_titles
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mangahub_names_changed();
CREATE TRIGGER mangahub_name_removed AFTER DELETE ON manga_titles
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mangahub_names_changed();

SELECT mangahub_index_names(array_agg(id)) FROM manga;

-- Lists by name; a name may be longer than an index's entry.
CREATE INDEX idx_manga_title_start ON manga (left(title, 200), id);
CREATE INDEX IF NOT EXISTS idx_manga_genres_genre ON manga_genres (genre_id, manga_id);
