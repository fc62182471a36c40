"""What a migration found and made, for whoever started it: whose tables, and what stayed narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sql.adoption.columns import Column, read_known_columns
from sql.connection import Connection, connect, translated

_FIRST = "0001_remember_adoption"

_ORIGIN = """
SELECT n.nspname,
       (SELECT value ->> 'adopted_at' FROM mangahub_meta WHERE key = 'adoption') IS NOT NULL,
       ARRAY(SELECT o.nspname::text FROM pg_namespace o
             JOIN pg_class c ON c.relnamespace = o.oid
              AND c.relname IN ('manga', 'users') AND c.relkind IN ('r', 'p')
             WHERE o.oid <> n.oid AND o.nspname NOT LIKE 'pg\\_%%'
             GROUP BY o.nspname HAVING count(*) = 2 ORDER BY o.nspname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE pg_class.oid = to_regclass('manga')"""

# Everything that PostgreSQL does not alter together with a column.
_DEPENDENTS = """
SELECT DISTINCT coalesce(
    (SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialised view ' ELSE '' END
            || r.ev_class::regclass
     FROM pg_rewrite r JOIN pg_class ON pg_class.oid = r.ev_class
     WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid),
    (SELECT 'generated column ' || g.attname
     FROM pg_attrdef e JOIN pg_attribute g ON g.attrelid = e.adrelid AND g.attnum = e.adnum
     WHERE d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid),
    pg_describe_object(d.classid, d.objid, d.objsubid))
FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_class'::regclass
  AND d.refobjid = to_regclass(%s) AND a.attname = %s
  AND d.classid NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass,
                        'pg_statistic_ext'::regclass)
  AND NOT EXISTS (SELECT FROM pg_attrdef own WHERE own.oid = d.objid
                  AND d.classid = 'pg_attrdef'::regclass AND own.adnum = a.attnum)
ORDER BY 1"""


_OTHERS_ON_PATH = """
SELECT name FROM unnest(current_schemas(false)) AS name
WHERE to_regclass(quote_ident(name) || '.manga') <> to_regclass('manga')
  AND to_regclass(quote_ident(name) || '.users') <> to_regclass('users')"""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Lines for people.

    Attributes:
        origin: whether tables were adopted or created; None if they existed already.
        warnings: for the operator.
    """

    origin: str | None = None
    warnings: list[str] = field(default_factory=list)


def look_back(url: str, applied: Sequence[str]) -> Adoption:
    """Read what became of a database after `migrate` has applied these."""
    with connect(url, "mangahub-migrate") as connection, translated():
        narrow = find_narrow_columns(connection)
        if _FIRST not in applied:
            return Adoption(None, narrow)
        schema, is_adopted, others = connection.execute(_ORIGIN).fetchall()[0]
        if is_adopted:
            return Adoption(f"adopted the tables of schema {schema}", narrow)
        return Adoption(
            f"made new tables in schema {schema}", [_elsewhere(o, schema) for o in others] + narrow
        )


def _elsewhere(other: str, schema: str) -> str:
    return (
        f"schema {other} holds tables named manga and users too, and new ones were made in schema "
        f"{schema}: if {other} was meant, drop the new ones and add "
        f"options=-csearch_path%3D{other} to DATABASE_URL"
    )


def find_other_schemas(connection: Connection) -> list[str]:
    """Return the schemas on the search path that hold a MangaHub which is not used."""
    return [name for (name,) in connection.execute(_OTHERS_ON_PATH).fetchall()]


def find_narrow_columns(connection: Connection) -> list[str]:
    """Return a line for each column that could not be given its type, and what depends on it."""
    return [
        _narrow(column, connection.execute(_DEPENDENTS, (column.table, column.name)).fetchall())
        for column in read_known_columns(connection)
        if not column.fits
    ]


def _narrow(column: Column, rows: Sequence[tuple[str]]) -> str:
    names = ", ".join(name for (name,) in rows)
    fact = f"{column.table}.{column.name} is still {column.actual} instead of {column.wanted}"
    statement = f"ALTER TABLE {column.table} ALTER COLUMN {column.name} TYPE {column.wanted}"
    if not names:
        return f"{fact}: run {statement}"
    return f"{fact}, because of {names}: drop that, run {statement}, and create it again"
