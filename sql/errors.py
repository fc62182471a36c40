"""Errors of the database, one class for each reaction of a caller. Each text is one clear line."""

from __future__ import annotations

import psycopg

# Errors of one row: its values, its keys, the size of its index entries, or another program's
# trigger. Other rows can be stored.
REJECTIONS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.RaiseException,
)


def one_line(exc: BaseException) -> str:
    """Return the error's text on one line; of PostgreSQL's errors the message alone."""
    text = str(exc)
    if isinstance(exc, psycopg.Error):  # further lines are details, or libpq's advice
        text = exc.diag.message_primary or text.partition("\n")[0]
    return " ".join(text.split()) or type(exc).__name__


class SqlError(Exception):
    """Root of this package's errors; the text contains no password."""


class DatabaseDown(SqlError):
    """The database cannot be reached (down, starting, wrong password): try again later."""


class NoFreeConnection(DatabaseDown):
    """The server, the database or the role has as many sessions as it may have."""


class DatabaseUnwritable(SqlError):
    """It answers but does not store: a full disk, a read-only database, or a missing right."""


class Unsuitable(SqlError):
    """The programs cannot work with this database, or with what stands before it."""


class SchemaOutdated(SqlError):
    """The schema is older than this program; the text names the command that helps."""


class SchemaTooNew(SqlError):
    """The schema has migrations that this program lacks."""


class SchemaChanged(SqlError):
    """A migration that was applied differs from the file of that name in this program."""


class MigrationFailed(SqlError):
    """PostgreSQL rejected a migration; nothing of it is left."""


class MigrationStopped(SqlError):
    """The caller stopped `migrate`; what was under way is undone, what was applied before stays."""


class Unadoptable(SqlError):
    """Existing tables hold values that cannot be converted; nothing was changed."""


class PausedForLong(SqlError):
    """The source asked for a longer pause than a caller should wait.

    Attributes:
        left_s: how many seconds of it are left.
    """

    def __init__(self, left_s: float) -> None:
        super().__init__(f"the source asked for a pause; {left_s:.0f} s of it are left")
        self.left_s = left_s


class EmbeddedUnavailable(SqlError):
    """The embedded server cannot be started here; the text says what to do instead."""
