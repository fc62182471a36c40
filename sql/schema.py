"""Brings a database to the current schema: numbered SQL files, each in a transaction of its own.

What was applied is recorded with the file's SHA-256 in `sync_schema_migrations` (the plain name
`schema_migrations` belongs to other migration tools, which a MangaHub database may use too).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources

import psycopg

from sql.adoption.columns import refuse_unfit
from sql.connection import Connection, connect, translated
from sql.errors import (
    DatabaseDown,
    MigrationFailed,
    SchemaChanged,
    SchemaOutdated,
    SchemaTooNew,
    Unsuitable,
    one_line,
)
from sql.stopping import IsStopped, stoppable

_TABLE = "sync_schema_migrations"
_CREATE = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (
    name       text PRIMARY KEY,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
# The shared tables' triggers in one state: O fires, D is switched off.
_TRIGGERS = """
SELECT tgrelid::regclass::text, quote_ident(tgname)
FROM pg_trigger
WHERE NOT tgisinternal AND tgenabled = %s AND tgrelid IN (
    to_regclass('users'), to_regclass('manga'), to_regclass('genres'),
    to_regclass('manga_genres'), to_regclass('user_library'), to_regclass('chapters'),
    to_regclass('notifications'), to_regclass('sync_state'))"""
# A schema that holds a MangaHub, where none on the search path does.
_OTHER_SCHEMA = """
SELECT coalesce(nullif(current_setting('search_path'), ''), 'empty'), quote_ident(nspname),
       has_schema_privilege(pg_namespace.oid, 'USAGE')
FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid
WHERE relname IN ('manga', 'users') AND relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%'
    AND (to_regclass('manga') IS NULL OR to_regclass('users') IS NULL)
GROUP BY pg_namespace.oid, nspname HAVING count(*) = 2 ORDER BY nspname LIMIT 1"""
_TABLE_TIMEOUT_S = 30.0
# An arbitrary constant, the same in all programs.
_LOCK_KEY = 7_241_905_318_842_011


@dataclass(frozen=True)
class Migration:
    """One SQL file of this program."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, in their order."""
    folder = resources.files("sql") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(
        Migration(f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in files
    )


def migrate(url: str, is_stopped: IsStopped | None = None) -> list[str]:
    """Apply what is missing, and return the names of that.

    Several at once are safe: each file's transaction begins with one lock for the whole database.

    Args:
        is_stopped: polled for whether to stop.

    Raises:
        MigrationStopped: `is_stopped` returned true.
        DatabaseDown: it cannot be reached, or a table stayed locked by others.
        DatabaseUnwritable: its disk is full, or its role may not change the tables.
        SchemaTooNew, SchemaChanged: another version made it.
        Unadoptable: old tables hold values that cannot be converted; nothing was changed.
        MigrationFailed: PostgreSQL rejected it; that file's changes were undone.
    """
    with connect(url, "mangahub-migrate") as connection:
        recorded = _examine(connection, is_stopped)
    missing = [m for m in migrations() if m.name not in recorded]
    return [m.name for m in missing if _migrate_one(url, m, is_stopped)]


def _examine(connection: Connection, is_stopped: IsStopped | None) -> dict[str, str]:
    """Return what was applied, once it is clear that the rest can be too."""
    try:
        with translated(), stoppable(connection, is_stopped), connection.transaction():
            _limit_waits(connection)
            recorded = _recorded(connection)
            _refuse_strangers(recorded)
            refuse_unfit(connection, recorded)
            return recorded
    except psycopg.errors.LockNotAvailable as exc:
        raise _locked("the check of the old tables") from exc
    except psycopg.Error as exc:
        raise MigrationFailed(f"cannot read the old tables: {_explained(exc)}") from exc


def _limit_waits(connection: Connection) -> None:
    """Limit waits for locks: a longer one would make a table's other users queue behind us."""
    timeout = f"{_TABLE_TIMEOUT_S * 1000:.0f}ms"
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (timeout,))


def _locked(what: str) -> DatabaseDown:
    return DatabaseDown(
        f"{what} waited {_TABLE_TIMEOUT_S:.0f} s for a table that others keep locked: "
        "try again when they are done"
    )


def _migrate_one(url: str, migration: Migration, is_stopped: IsStopped | None) -> bool:
    """Apply one file in a session of its own: triggers keep plans for a table's old columns."""
    with connect(url, "mangahub-migrate") as connection:
        return _apply(connection, migration, is_stopped)


def require_current(connection: Connection) -> None:
    """Check that the schema is exactly this program's.

    Raises:
        SchemaOutdated, SchemaTooNew, SchemaChanged: it is not.
    """
    recorded = _recorded(connection)
    _refuse_strangers(recorded)
    missing = [m.name for m in migrations() if m.name not in recorded]
    if missing:
        raise SchemaOutdated(
            f"the database schema is older than this program ({len(missing)} of "
            f"{len(migrations())} migrations are missing): run `mangahub-batch migrate`"
        )


def _recorded(connection: Connection) -> dict[str, str]:
    """Return names and checksums of the applied migrations; nothing before the first."""
    with translated():
        row = connection.execute("SELECT to_regclass(%s)", (_TABLE,)).fetchone()
        if row is None or row[0] is None:
            _refuse_other_schema(connection)
            return {}
        return dict(connection.execute(f"SELECT name, sha256 FROM {_TABLE}").fetchall())


def _refuse_other_schema(connection: Connection) -> None:
    """Keeps a second, empty MangaHub from being made beside the one that is meant.

    Who names a search path in the URL means that.
    """
    if "search_path" in connection.info.options:
        return
    row = connection.execute(_OTHER_SCHEMA).fetchone()
    if row is not None:
        path, other, is_usable = row
        if not is_usable:
            raise Unsuitable(
                f"the tables of MangaHub are in schema {other}: GRANT USAGE ON SCHEMA {other} TO "
                f"{connection.info.user}"
            )
        choose = "options=-csearch_path%3D"
        raise Unsuitable(
            f"the tables of MangaHub are in schema {other}, and the search path is {path}: add "
            f"{choose}{other} to DATABASE_URL, or {choose} and the schema in which others shall "
            "be made"
        )


def _refuse_strangers(recorded: dict[str, str]) -> None:
    known = {m.name: m.sha256 for m in migrations()}
    unknown = sorted(recorded.keys() - known.keys())
    if unknown:
        raise SchemaTooNew(
            f"the database schema is newer than this program (it has {unknown[-1]}): "
            "install the newer version"
        )
    changed = sorted(name for name, sha256 in recorded.items() if known[name] != sha256)
    if changed:
        raise SchemaChanged(
            f"migration {changed[0]} was applied to this database with another content than "
            "this program has: install the version that it was migrated with, or a later one"
        )


def _apply(connection: Connection, migration: Migration, is_stopped: IsStopped | None) -> bool:
    """Apply one file if it is missing; checked under the lock, so that it is applied only once."""
    try:
        with translated(), stoppable(connection, is_stopped), connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
            recorded = _recorded(connection)
            _refuse_strangers(recorded)
            if migration.name in recorded:
                return False
            _limit_waits(connection)
            connection.execute(_CREATE)
            with _quiet_triggers(connection):
                connection.execute(migration.text.encode())
            connection.execute(
                f"INSERT INTO {_TABLE} (name, sha256) VALUES (%s, %s)",
                (migration.name, migration.sha256),
            )
            return True
    except psycopg.errors.LockNotAvailable as exc:
        raise _locked(f"migration {migration.name}") from exc
    except psycopg.Error as exc:
        raise MigrationFailed(f"migration {migration.name} failed: {_explained(exc)}") from exc


@contextmanager
def _quiet_triggers(connection: Connection) -> Iterator[None]:
    """Keep triggers of others from acting on rows that a migration only notes something in."""
    paused = connection.execute(_TRIGGERS, ("O",)).fetchall()
    for table, trigger in paused:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}".encode())
    yield
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    left = connection.execute(_TRIGGERS, ("D",)).fetchall()
    # Triggers that the migration dropped stay dropped, and those that were off before stay off.
    for table, trigger in (pair for pair in paused if pair in left):
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}".encode())


def _explained(exc: psycopg.Error) -> str:
    detail = exc.diag.message_detail
    return f"{one_line(exc)} ({' '.join(detail.split())})" if detail else one_line(exc)
