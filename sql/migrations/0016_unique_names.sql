-- Names and addresses of users, where an older database has no key for them. Which of two users of
-- one name is the right one cannot be known: there they are left, and no third is added.

DO $$
DECLARE
    wanted record;
    repeated boolean;
BEGIN
    FOR wanted IN
        SELECT a.attname
        FROM pg_attribute a
        WHERE a.attrelid = 'users'::regclass AND a.attname IN ('username', 'email')
          AND NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = a.attrelid AND i.indkey::text = a.attnum::text
              AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL)
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM users WHERE %1$I IS NOT NULL
                                       GROUP BY %1$I HAVING count(*) > 1)', wanted.attname)
            INTO repeated;
        IF NOT repeated THEN
            EXECUTE format('ALTER TABLE users ADD UNIQUE (%I)', wanted.attname);
        END IF;
    END LOOP;
END
$$;
