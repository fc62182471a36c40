-- Columns of the names that 0006 adds, which were there before with another type. The program has
-- looked already whether every value can be converted.

SET LOCAL TIME ZONE 'UTC';

DO $$
DECLARE
    odd record;
BEGIN
    FOR odd IN
        SELECT wanted.*, format_type(a.atttypid, a.atttypmod) AS actual,
               a.attnotnull AND wanted.may_be_null AS is_required
        FROM (VALUES
            ('manga', 'unavailable_at', 'timestamp with time zone', true),
            ('manga', 'missing_since', 'timestamp with time zone', true),
            ('manga', 'first_synced_at', 'timestamp with time zone', true),
            ('manga', 'content_rating', 'text', true),
            ('manga', 'numbering_restarts', 'boolean', false),
            ('manga', 'mangadex_version', 'integer', true),
            ('chapters', 'translated_language', 'text', false),
            ('chapters', 'external_url', 'text', true),
            ('chapters', 'number_scope', 'text', false),
            ('notifications', 'event_id', 'text', true),
            ('notifications', 'data', 'jsonb', true),
            ('notifications', 'delivered_at', 'timestamp with time zone', true)
        ) AS wanted (table_name, column_name, type_name, may_be_null)
        JOIN pg_attribute a ON a.attrelid = to_regclass(table_name) AND a.attname = column_name
    LOOP
        IF odd.is_required THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP NOT NULL',
                           odd.table_name, odd.column_name);
        END IF;
        CONTINUE WHEN odd.actual = odd.type_name
            OR (odd.type_name = 'text' AND odd.actual LIKE '%citext')
            OR (odd.type_name = 'integer' AND odd.actual IN ('bigint', 'numeric'));
        BEGIN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP DEFAULT',
                           odd.table_name, odd.column_name);
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE %s USING %s',
                odd.table_name, odd.column_name, odd.type_name,
                CASE WHEN odd.type_name = 'timestamp with time zone'
                          AND odd.actual IN ('integer', 'bigint')
                     THEN format('to_timestamp(%I)', odd.column_name)
                     ELSE format('%I::%s', odd.column_name, odd.type_name) END);
        EXCEPTION WHEN feature_not_supported THEN
            -- A view, a generated column or a policy holds on to the type, which then stays.
            NULL;
        END;
    END LOOP;
END
$$;

-- What the programs leave out they expect to be filled in.
UPDATE manga SET numbering_restarts = false WHERE numbering_restarts IS NULL;
UPDATE chapters SET number_scope = '' WHERE number_scope IS NULL;
ALTER TABLE manga ALTER COLUMN numbering_restarts SET DEFAULT false,
                  ALTER COLUMN numbering_restarts SET NOT NULL;
ALTER TABLE chapters ALTER COLUMN number_scope SET DEFAULT '',
                     ALTER COLUMN number_scope SET NOT NULL,
                     ALTER COLUMN translated_language SET DEFAULT 'en';
