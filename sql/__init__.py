"""The database: connecting to it, and bringing it to the current schema.

The embedded server's machinery is imported only where it is used.
"""

from __future__ import annotations

from mangahub.config import data_dir
from mangahub.env import Env
from sql.adoption.report import (
    Adoption,
    find_narrow_columns,
    find_other_schemas,
    look_back,
)
from sql.connection import (
    EARLIEST,
    LATEST,
    AsyncConnection,
    Connection,
    connect,
    connect_arguments,
    connect_async,
    is_down,
    pin_session,
    translated,
)
from sql.errors import (
    REJECTIONS,
    DatabaseDown,
    DatabaseUnwritable,
    EmbeddedUnavailable,
    MigrationFailed,
    MigrationStopped,
    NoFreeConnection,
    SchemaChanged,
    SchemaOutdated,
    SchemaTooNew,
    SqlError,
    Unadoptable,
    Unsuitable,
    one_line,
)
from sql.rights import count_free_connections, require_writable
from sql.schema import migrate, require_current
from sql.urls import checked, is_local, masked

__all__ = [
    "EARLIEST",
    "LATEST",
    "REJECTIONS",
    "Adoption",
    "AsyncConnection",
    "Connection",
    "DatabaseDown",
    "DatabaseUnwritable",
    "EmbeddedUnavailable",
    "MigrationFailed",
    "MigrationStopped",
    "NoFreeConnection",
    "SchemaChanged",
    "SchemaOutdated",
    "SchemaTooNew",
    "SqlError",
    "Unadoptable",
    "Unsuitable",
    "connect",
    "connect_arguments",
    "connect_async",
    "count_free_connections",
    "database_url",
    "find_narrow_columns",
    "find_other_schemas",
    "is_down",
    "is_local",
    "look_back",
    "masked",
    "migrate",
    "one_line",
    "pin_session",
    "require_current",
    "require_writable",
    "translated",
]


def database_url(env: Env) -> str:
    """Return `DATABASE_URL`, or the URL of the embedded server, which is started if necessary.

    Raises:
        SettingError: the variable holds no libpq URL.
        EmbeddedUnavailable: there is no variable, and no server can be started here.
    """
    url = env.raw("DATABASE_URL")
    if url is not None:
        return checked("DATABASE_URL", url)
    from sql import embedded

    return embedded.ensure_running(data_dir(env), env)
