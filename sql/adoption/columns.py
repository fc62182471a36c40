"""Columns of existing tables: whether they can be converted to what the programs expect.

Checked before the first migration changes anything, so that a database that cannot be adopted
stays exactly as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql as compose

from sql.connection import Connection
from sql.errors import Unadoptable

_TIME = "timestamp with time zone"
_SHORT = {"time": _TIME, "number": "numeric(10,2)"}

# What migration 0004 makes of the columns of the original schema …
_ORIGINAL = {
    "users": "username text, password_hash text, email text, created_at time, updated_at time,"
    " last_login time",
    "manga": "slug text, title text, author text, status text, total_chapters integer,"
    " description text, cover_url text, created_at time, mangadex_id uuid, last_synced_at time,"
    " last_chapter_check time, updated_at time",
    "genres": "name text",
    "user_library": "user_id uuid, added_at time",
    "chapters": "chapter_number number, title text, published_at time, release_date time,"
    " created_at time, mangadex_chapter_id uuid, volume text, pages integer, updated_at time",
    "notifications": "user_id uuid, type text, manga_id bigint, title text, message text,"
    " read boolean, created_at time",
    "sync_state": "sync_type text, last_run_at time, last_success_at time, last_cursor text,"
    " status text, error_message text, metadata jsonb, updated_at time",
}
# … and 0015 of the columns that 0006 adds, if a column of that name existed before.
_ADDED = {
    "manga": "unavailable_at time, missing_since time, first_synced_at time, content_rating text,"
    " numbering_restarts boolean, mangadex_version integer",
    "chapters": "translated_language text, external_url text, number_scope text",
    "notifications": "event_id text, data jsonb, delivered_at time",
}
_SINCE = (("0004_widen_old_columns", _ORIGINAL), ("0015_types_of_added_columns", _ADDED))


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its type as PostgreSQL writes it, and the one that is expected."""

    table: str
    name: str
    actual: str
    wanted: str

    @property
    def fits(self) -> bool:
        """Wider than needed is good enough."""
        if self.actual == self.wanted:
            return True
        if self.wanted == "text":
            return self.actual.endswith("citext")
        if self.wanted in ("integer", "bigint"):
            return self.actual in ("integer", "bigint", "numeric")
        return self.wanted == _SHORT["number"] and _holds_numbers(self.actual)

    @property
    def may_refuse(self) -> bool:
        """Whether a conversion can fail; where it cannot the table need not be read."""
        harmless = ("timestamp without time zone", "date") if self.wanted == _TIME else ()
        return not (self.fits or self.wanted == "text" or self.actual in harmless)

    def converted(self) -> str:
        """Return the migrations' expression for a row `r`."""
        value = f"r.{compose.Identifier(self.name).as_string(None)}"
        if (self.table, self.name) == ("notifications", "read"):
            return f"lower({value}::text) IN ('1', 't', 'true', 'y', 'yes')"
        if self.wanted == "uuid":
            return f"nullif(btrim({value}::text), '')::uuid"
        if self.wanted == _TIME and self.actual in ("integer", "bigint"):
            return f"to_timestamp({value})"
        return f"{value}::{self.wanted}"


def _holds_numbers(actual: str) -> bool:
    """Return whether a type has two digits after the point, and eight before it."""
    if actual == "numeric":
        return True
    if not actual.startswith("numeric("):
        return False
    precision, scale = (int(part) for part in actual[len("numeric(") : -1].split(","))
    return scale >= 2 and precision - scale >= 8


def refuse_unfit(connection: Connection, recorded: Mapping[str, str]) -> None:
    """Check that every old column can be converted by the migrations still to come.

    Raises:
        Unadoptable: one cannot; the text names table, column, and a row's value or the type.
    """
    for migration, wanted in _SINCE:
        if migration not in recorded:
            for column in read_columns(connection, wanted):
                if column.may_refuse:
                    _try(connection, column)
    if "0007_sync_tables" not in recorded:
        _refuse_ids(connection)
    if "0011_first_rows" not in recorded:
        _refuse_large_totals(connection)


def read_known_columns(connection: Connection) -> list[Column]:
    """Return all columns that the migrations have given a type."""
    columns = [c for _, wanted in _SINCE for c in read_columns(connection, wanted)]
    return [c for c in columns if c.name != "release_date"]  # it may stay beside published_at


def read_columns(connection: Connection, wanted: Mapping[str, str]) -> list[Column]:
    """Return those of the columns that exist."""
    pairs = [
        (table, *entry.split()) for table, text in wanted.items() for entry in text.split(", ")
    ]
    tables, names, types = (list(values) for values in zip(*pairs, strict=True))
    rows = connection.execute(
        "SELECT w.table_name, w.name, format_type(a.atttypid, a.atttypmod), w.type"
        " FROM unnest(%s::text[], %s::text[], %s::text[]) AS w (table_name, name, type)"
        " JOIN pg_attribute a ON a.attrelid = to_regclass(w.table_name) AND a.attname = w.name"
        " AND NOT a.attisdropped",
        (tables, names, [_SHORT.get(type, type) for type in types]),
    )
    return [Column(*row) for row in rows.fetchall()]


_IDS = """
SELECT w.table_name, format_type(a.atttypid, NULL), type.base = ANY (w.types), w.types[1]::text
FROM (VALUES ('users', '{uuid}'::regtype[]), ('manga', '{bigint,integer,smallint}'))
    AS w (table_name, types)
LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(w.table_name) AND a.attname = 'id'
    AND NOT a.attisdropped
LEFT JOIN LATERAL (SELECT coalesce(nullif(typbasetype, 0), oid) AS base FROM pg_type
                   WHERE oid = a.atttypid) AS type ON true
WHERE to_regclass(w.table_name) IS NOT NULL AND (a.attnum IS NULL OR type.base <> ALL (w.types)
    OR NOT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = a.attrelid AND i.indkey::text = a.attnum::text AND i.indisunique
          AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL))"""


def _refuse_ids(connection: Connection) -> None:
    """New tables refer to them."""
    for table, actual, has_type, wanted in connection.execute(_IDS).fetchall():
        if has_type:
            fact = f"{table}.id has no unique key"
            cure = f"ALTER TABLE {table} ADD PRIMARY KEY (id)"
        else:
            fact = f"{table}.id " + (f"has the type {actual}" if actual else "does not exist")
            cure = f"a {wanted} is expected"
        raise Unadoptable(f"{fact}: {cure}; nothing was changed")


def _refuse_large_totals(connection: Connection) -> None:
    """They become baselines, which are compared with the numbers of chapters."""
    for column in read_columns(connection, {"manga": "total_chapters number"}):
        _try(connection, column, "a number of chapters below 100,000,000")


def _try(connection: Connection, column: Column, expected: str | None = None) -> None:
    """Convert all values for nothing."""
    query = f"SELECT count({column.converted()}) FROM {column.table} r"
    try:
        with connection.transaction():
            connection.execute(query.encode())
    except (psycopg.DataError, psycopg.errors.CannotCoerce) as exc:
        place = f"{column.table}.{column.name}"
        found = _find_row(connection, column)
        if found is None:
            text = f"column {place} has the type {column.actual}, {column.wanted} is expected"
            raise Unadoptable(f"{text}: convert or rename it; nothing was changed") from exc
        raise Unadoptable(
            f"{place} is {found}, which is no {expected or column.wanted} "
            f"(the column's type is {column.actual}): correct it; nothing was changed"
        ) from exc


# One attempt a row, each in a subtransaction: slow, but only for a table that is rejected.
_FIND = """
DO $find$
DECLARE
    r record;
    nothing text;
BEGIN
    FOR r IN SELECT * FROM {table} LOOP
        BEGIN
            nothing := ({expression})::text;
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION USING ERRCODE = 'raise_exception', MESSAGE = format(
                '%L in the row with id %s', left(r.{name}::text, 80), to_jsonb(r) ->> 'id');
        END;
    END LOOP;
END
$find$"""


def _find_row(connection: Connection, column: Column) -> str | None:
    """Return the first value that cannot be converted and its row; None if the type is to blame."""
    name = compose.Identifier(column.name).as_string(None)
    statement = _FIND.format(table=column.table, name=name, expression=column.converted())
    try:
        connection.execute(statement.encode())
    except psycopg.errors.RaiseException as exc:
        return exc.diag.message_primary
    except psycopg.errors.CannotCoerce:
        pass
    return None
