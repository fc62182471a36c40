"""What can go wrong with the database, by who reacts differently. Every text is one clear line."""

from __future__ import annotations

import psycopg

# What is wrong with one row: its values, its keys, the size of its index entries, or another
# program's trigger. Rows beside it can be stored.
REJECTIONS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.RaiseException,
)


def one_line(exc: BaseException) -> str:
    """Return the error's text on one line; of PostgreSQL's errors the message alone."""
    message = exc.diag.message_primary if isinstance(exc, psycopg.Error) else None
    return " ".join((message or str(exc)).split()) or type(exc).__name__


class SqlError(Exception):
    """Root of this package's errors; a password never stands in its text."""


class DatabaseDown(SqlError):
    """Not to be reached just now (gone, starting, refusing the password): try again later."""


class DatabaseUnwritable(SqlError):
    """It answers but cannot store: its disk is full, or it is read-only."""


class Unsuitable(SqlError):
    """The programs cannot work with this database, or with what stands before it."""


class SchemaOutdated(SqlError):
    """The schema is older than this program; the text names the command that helps."""


class SchemaTooNew(SqlError):
    """The schema knows migrations that this program does not."""


class SchemaChanged(SqlError):
    """A migration that was applied differs from the file of that name in this program."""


class MigrationFailed(SqlError):
    """PostgreSQL refused a migration, which has left nothing behind."""


class MigrationStopped(SqlError):
    """The caller asked for it; what was under way is undone, what was applied before stays."""


class Unadoptable(SqlError):
    """Tables that existed before hold what cannot be converted; nothing was changed."""


class PausedForLong(SqlError):
    """The source asked for a pause that is longer than a caller should wait.

    Attributes:
        left_s: how many seconds of it are left.
    """

    def __init__(self, left_s: float) -> None:
        super().__init__(f"the source asked for a pause; {left_s:.0f} s of it are left")
        self.left_s = left_s


class EmbeddedUnavailable(SqlError):
    """The embedded server cannot be started here; the text says what to do instead."""
