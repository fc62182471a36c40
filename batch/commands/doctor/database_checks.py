"""Checks of `doctor` in the database: its schema, and the state of the workflows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sql
from batch.commands.doctor.checks import Check
from sql.state import backlog, workflows
from sql.state.workflows import SyncState, command_name

MIN_VERSION = 13
LONG_OWED = timedelta(hours=1)
SEE_DATABASE = "see docs/operations.md: The database"
OTHERS = 2  # connections of a run beside those of its workers: the run's own and the relay's
DATED = {
    "manga": ("first_synced_at", "last_synced_at", "last_chapter_check"),
    "chapters": ("published_at",),
}
MAX_NAMED = 5  # rows of a table that a check names
# What runs do with each table.
RIGHTS = {
    "manga": "SELECT INSERT UPDATE",
    "genres": "SELECT INSERT",
    "manga_genres": "SELECT INSERT DELETE",
    "chapters": "SELECT INSERT UPDATE DELETE",
    "sync_state": "SELECT INSERT UPDATE",
    "notification_events": "SELECT INSERT UPDATE",
    "chapter_baselines": "SELECT INSERT UPDATE",
    "chapter_announcements": "SELECT INSERT",
    "sync_pages": "SELECT INSERT UPDATE DELETE",
    "manga_titles": "SELECT INSERT DELETE",
    "manga_links": "SELECT INSERT UPDATE",
    "manga_changes": "SELECT INSERT UPDATE",
    "scanlation_groups": "SELECT INSERT UPDATE",
    "chapter_groups": "SELECT INSERT DELETE",
    "release_days": "SELECT INSERT DELETE",
    "api_budget": "SELECT INSERT UPDATE",
    "api_requests": "SELECT INSERT UPDATE",
    "run_wishes": "SELECT DELETE",
    "mangahub_meta": "SELECT INSERT UPDATE DELETE",
    "title_popularity": "SELECT INSERT UPDATE",
    "import_entries": "SELECT INSERT UPDATE",
    "user_library": "SELECT INSERT DELETE",
    "user_progress": "SELECT INSERT UPDATE",
    "notifications": "SELECT INSERT UPDATE",
    "notification_receipts": "SELECT INSERT",
    "notification_portions": "SELECT INSERT",
    "reader_marks": "SELECT",
    "manga_moves": "SELECT INSERT UPDATE DELETE",
    "library_settings": "SELECT INSERT",
}


def check_server(connection: sql.Connection, took_s: float) -> Check:
    version = connection.info.server_version // 10_000
    fact = f"PostgreSQL {version} answers in {took_s * 1000:.0f} ms"
    if version < MIN_VERSION:
        return Check("database", "bad", fact, f"use PostgreSQL {MIN_VERSION} or newer")
    return Check("database", "ok", fact)


def check_schema(connection: sql.Connection) -> Check:
    try:
        sql.require_current(connection)
    except sql.SchemaOutdated as exc:
        return Check("schema", "bad", str(exc), "run: mangahub-batch migrate")
    except (sql.Unsuitable, sql.DatabaseUnwritable) as exc:
        return Check("schema", "bad", str(exc), SEE_DATABASE)
    except sql.SqlError as exc:
        return Check("schema", "bad", str(exc), "install the version that made it, or newer")
    if others := ", ".join(sql.find_other_schemas(connection)):
        fact = f"current; schema {others} on the search path holds tables of MangaHub too"
        cure = f"if those are meant, add options=-csearch_path%3D{others} to DATABASE_URL"
        return Check("schema", "warn", fact, cure)
    return Check("schema", "ok", "current")


def check_columns(connection: sql.Connection) -> Check:
    """Return whether views of an adopted database kept columns from getting their types."""
    narrow = sql.find_narrow_columns(connection)
    if narrow:
        return Check("columns", "warn", "; ".join(narrow), "see docs/operations.md: Adopt")
    return Check("columns", "ok", "they have the expected types")


def check_rights(connection: sql.Connection) -> Check:
    """Return whether this session may write what runs write."""
    try:
        sql.require_writable(connection, RIGHTS)
    except sql.DatabaseUnwritable as exc:
        fact, _, cure = str(exc).partition(": ")
        return Check("rights", "bad", fact, cure)
    return Check("rights", "ok", "runs may write")


def check_connections(connection: sql.Connection, workers: int) -> Check:
    """Return whether there are connections for all workers of a run."""
    free = sql.count_free_connections(connection) + 1  # ours
    fact = f"{free} are free; a run with {workers} workers wants {workers + OTHERS}"
    if free >= workers + OTHERS:
        return Check("connections", "ok", fact)
    fewer = f"set MANGA_SYNC_WORKERS to {free - OTHERS}, or " if free > OTHERS else ""
    cure = f"{fewer}raise the CONNECTION LIMIT of role and database, or max_connections"
    return Check("connections", "warn" if fewer else "bad", fact, cure)


def check_work(connection: sql.Connection, patience: timedelta) -> Iterator[Check]:
    """Check titles, workflows and outbox; the schema has to be current.

    Args:
        patience: how late a success may be.
    """
    now = datetime.now(UTC)
    rows = workflows.read_all(connection)
    yield check_columns(connection)
    yield _titles(connection)
    yield _dates(connection)
    yield from _refused(rows)
    yield _workflows(rows, patience, now)
    yield _events(backlog.read_backlog(connection), now)


def _titles(connection: sql.Connection) -> Check:
    row = connection.execute(
        "SELECT count(*) FROM (SELECT FROM manga WHERE mangadex_id IS NOT NULL LIMIT 1) AS one"
    ).fetchone()
    if row and row[0]:
        return Check("titles", "ok", "the catalogue has titles")
    return Check("titles", "warn", "the catalogue is empty", "run: mangahub-batch initial-sync")


def _dates(connection: sql.Connection) -> Check:
    """Name rows with dates that the programs cannot read; they cost no other row anything."""
    found = []
    for table, columns in DATED.items():
        odd = " OR ".join(f"{c} NOT BETWEEN '0001-01-01' AND '9999-12-31'" for c in columns)
        query = f"SELECT id FROM {table} WHERE {odd} ORDER BY id LIMIT {MAX_NAMED}"
        ids = [str(row[0]) for row in connection.execute(query.encode())]
        found += [f"{table} with the id {', '.join(ids)}"] if ids else []
    if not found:
        return Check("dates", "ok", "all can be read")
    fact = f"outside of the years 1 to 9999: {'; '.join(found)}"
    return Check("dates", "warn", fact, "set them right, or to NULL")


def _refused(rows: list[SyncState]) -> Iterator[Check]:
    """Yield a warning for items that could not be stored; each run tries them again."""
    counts = {row.sync_type: len(row.rejected) for row in rows}
    if total := sum(counts.values()):
        where = ", ".join(f"{n:,} in {command_name(name)}" for name, n in counts.items() if n)
        cure = "read why: mangahub-batch status"
        yield Check("refused", "warn", f"{total:,} entities could not be stored: {where}", cure)


def _workflows(rows: list[SyncState], patience: timedelta, now: datetime) -> Check:
    late = [fact for row in rows if (fact := workflows.find_delay(row, patience, now))]
    if not late:
        return Check("workflows", "ok", "none is late")
    cure = (
        "run `mangahub-batch status`, and check that the timers run:"
        " systemctl list-timers 'mangahub-*'"
    )
    return Check("workflows", "warn", "; ".join(late), cure)


def _events(backlog: backlog.Backlog, now: datetime) -> Check:
    fact = f"{backlog.count:,} owed"
    if backlog.rejected:
        fact = f"{fact}, {backlog.rejected:,} rejected by the notification server"
        return Check("events", "warn", fact, "read why: mangahub-batch status")
    if backlog.oldest_at is None or now - backlog.oldest_at < LONG_OWED:
        return Check("events", "ok", fact)
    reason = f": {backlog.last_error}" if backlog.last_error else ""
    fact = f"{fact}, the oldest since {backlog.oldest_at:%Y-%m-%d %H:%M} UTC{reason}"
    cure = "check the notification server, then run: mangahub-batch relay"
    return Check("events", "warn", fact, cure)
