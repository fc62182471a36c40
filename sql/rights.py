"""What a session may do: write, and have others beside it."""

from __future__ import annotations

from collections.abc import Mapping

from sql.connection import Connection, translated
from sql.errors import DatabaseUnwritable

_MISSING = """
WITH wanted AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS wanted (name, privilege))
SELECT privilege || ' on ' || name FROM wanted WHERE NOT has_table_privilege(name, privilege)
UNION ALL
SELECT 'USAGE on ' || objid::regclass
FROM wanted
JOIN pg_depend ON refobjid = to_regclass(name) AND classid = 'pg_class'::regclass AND deptype = 'a'
JOIN pg_class ON pg_class.oid = objid
WHERE privilege = 'INSERT' -- CASE: of what is no sequence the function must not be asked
    AND CASE WHEN relkind = 'S' THEN NOT has_sequence_privilege(objid, 'USAGE') END"""

# Superusers are bound by the server's limit alone. Sessions of others show little more than whose.
_FREE = """
WITH sessions AS (SELECT * FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL)
SELECT greatest(0, least(
    CASE WHEN rolconnlimit >= 0 AND NOT rolsuper THEN rolconnlimit
        - (SELECT count(*) FROM sessions WHERE usesysid = pg_roles.oid) END,
    CASE WHEN datconnlimit >= 0 AND NOT rolsuper THEN datconnlimit
        - (SELECT count(*) FROM sessions WHERE datid = pg_database.oid) END,
    current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - coalesce(current_setting('reserved_connections', true)::integer, 0)
        - (SELECT count(*) FROM sessions)))
FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()"""


def count_free_connections(connection: Connection) -> int:
    """Return how many sessions the role may open besides those that there are."""
    with translated():
        return int(connection.execute(_FREE).fetchall()[0][0])


def require_writable(connection: Connection, rights: Mapping[str, str]) -> None:
    """Return if the session may do what a program does.

    Args:
        rights: by table, such as `SELECT INSERT`; of a table that may be inserted into, its
            sequences are looked at too.

    Raises:
        DatabaseUnwritable: the database is read-only, or the role lacks rights.
    """
    pairs = [(name, right) for name, wanted in rights.items() for right in wanted.split()]
    with translated():
        (is_read_only,) = connection.execute(
            "SELECT current_setting('transaction_read_only')::boolean"
        ).fetchall()[0]
        missing = connection.execute(_MISSING, [list(each) for each in zip(*pairs, strict=True)])
        facts = ", ".join(fact for (fact,) in missing.fetchall())
    if is_read_only:
        raise DatabaseUnwritable(
            "the database is read-only (a standby, or set so): set DATABASE_URL to the primary, or"
            " make it writable"
        )
    if facts:
        role = connection.info.user
        raise DatabaseUnwritable(f"the role {role} lacks rights: GRANT it {facts}")
