"""Connecting, and what a failed or lost connection looks like to the operator: one line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
import psycopg_pool
import pytest

import sql
from mangahub.env import Env, SettingError
from sql import embedded
from sql.connection import PINNED
from tests.support.databases import HOSTILE_SETTINGS, make_hostile

SECRET = "s3cr3t"


def refusal(url: str) -> str:
    """The text of the error, checked for what is common to all."""
    with pytest.raises(sql.DatabaseDown) as caught:
        sql.connect(url)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert SECRET not in text
    assert text.startswith("cannot connect to postgresql://")
    # Nor in what a traceback would show besides.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return text


# --- sessions ----------------------------------------------------------------------------------


def test_sessions_are_in_utc_and_commit_by_themselves(connection: sql.Connection) -> None:
    assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    assert connection.execute("SHOW client_encoding").fetchone() == ("UTF8",)
    assert connection.autocommit


@pytest.fixture(params=["database", "role", "url"])
def hostile_url(
    request: pytest.FixtureRequest, connection: sql.Connection, database_url: str
) -> str:
    """A database whose settings, set there or for the role or in the URL, are all unfit."""
    info = connection.info
    if request.param == "database":
        make_hostile(connection, f'DATABASE "{info.dbname}"')
    elif request.param == "role":
        make_hostile(connection, f'ROLE "{info.user}" IN DATABASE "{info.dbname}"')
    else:
        settings = HOSTILE_SETTINGS.items()
        texts = [f"-c{n}={v}" for n, v in settings if n != "transaction_timeout"]
        return f"{database_url}&options={quote(' '.join(t.replace(' ', '') for t in texts))}"
    return database_url


def test_no_setting_from_elsewhere_changes_what_a_session_does(hostile_url: str) -> None:
    assert HOSTILE_SETTINGS.keys() == PINNED.keys()
    # Those of TCP are always 0 at the socket of a directory.
    pinned = {name: value for name, value in PINNED.items() if not name.startswith("tcp_")}
    with sql.connect(hostile_url) as other:
        found = other.execute(
            "SELECT name, coalesce(current_setting(name, true), '0')"
            " FROM unnest(%s::text[]) AS name",  # older servers lack one
            [list(pinned)],
        ).fetchall()
        row = other.execute(
            "SELECT timestamptz '2026-02-03 04:05:06+00', interval '1 day', '\\xff'::bytea,"
            " current_setting('transaction_isolation'), '’'::text, %s::text[]",
            [["a", None]],
        ).fetchone()
    assert dict(found) == pinned
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert row == (moment, timedelta(days=1), b"\xff", "read committed", "’", ["a", None])


def test_a_host_that_vanishes_is_noticed_by_the_server_within_a_minute() -> None:
    idle_s, every_s, times = (
        int(PINNED[f"tcp_keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert idle_s + every_s * times < 60
    assert int(PINNED["tcp_user_timeout"]) < 60_000


def test_the_program_is_named_to_the_server(database_url: str) -> None:
    with sql.connect(database_url, "mangahub-batch") as connection:
        shown = connection.execute("SHOW application_name").fetchone()
    assert shown == ("mangahub-batch",)


def test_what_the_url_says_comes_first(database_url: str) -> None:
    with sql.connect(f"{database_url}&application_name=mine&connect_timeout=1") as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("mine",)


def test_a_pool_takes_the_same_arguments(database_url: str) -> None:
    pool = psycopg_pool.ConnectionPool(
        database_url,
        min_size=1,
        kwargs=sql.connect_arguments(database_url, "mangahub-notify"),
        configure=sql.pin_session,
        open=False,
    )
    with pool, pool.connection() as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("mangahub-notify",)


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("//postgres@", "//stranger@"), "the user does not exist there"),
        (("/test_", "/no_such_"), "the database does not exist there"),
        (("?host=/", "?host=/nonexistent/"), "its socket does not exist"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_refusals_of_the_server_are_distinguished(
    database_url: str, change: tuple[str, str], reason: str
) -> None:
    assert refusal(database_url.replace(*change)).endswith(reason)


def test_a_wrong_password_is_distinguished(home: Path) -> None:
    embedded.ensure_running(home, Env({}), durable=False)
    place = embedded.places(home)
    with sql.connect(place.url("postgres", "postgres")) as admin:
        admin.execute("CREATE ROLE keeper LOGIN PASSWORD 'another'")
        rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        (place.cluster / "pg_hba.conf").write_text(rules)
        admin.execute("SELECT pg_reload_conf()")
        where = f"/postgres?host={quote(str(place.sockets))}"
        assert refusal_when_loaded(f"postgresql://keeper:{SECRET}@{where}") == (
            "the password was rejected"
        )
        assert refusal(f"postgresql://keeper@{where}").endswith("the password was rejected")


def refusal_when_loaded(url: str) -> str:
    """The server reads its rules anew in a moment of its own choosing."""
    for _ in range(200):
        try:
            sql.connect(url).close()
        except sql.DatabaseDown:
            return refusal(url).rpartition(": ")[2]
    raise AssertionError("the server never read its rules")


def test_a_port_where_nothing_listens() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        text = refusal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db")
    assert text == (
        f"cannot connect to postgresql://u:***@127.0.0.1:{port}/db: nothing listens there"
    )


@pytest.mark.parametrize(
    "part",
    [
        "127.0.0.1:1/db?target_session_attrs=any1",
        "127.0.0.1:1/db?keepalives=often",
        "127.0.0.1:1/db?ssl_min_protocol_version=9",
        "/db?hostaddr=nowhere",
        "/db?service=none",
        "/db?host=/" + "a" * 200,
        "a..b/db",
    ],
)
def test_what_libpq_takes_for_no_address_is_a_bad_setting(part: str) -> None:
    with pytest.raises(SettingError, match=r"^DATABASE_URL='postgresql://u:") as caught:
        sql.connect(f"postgresql://u:{SECRET}@{part}")
    assert SECRET not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_host() -> None:
    assert refusal(f"postgresql://u:{SECRET}@no-such-host.invalid/db").endswith(
        "the host name is unknown"
    )


@contextmanager
def peer(answer: bytes | None) -> Iterator[int]:
    """A port whose owner gives one answer to each connection, or none at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        ended = threading.Event()
        held: list[socket.socket] = []

        def serve() -> None:
            while not ended.is_set():
                try:
                    client = server.accept()[0]
                except TimeoutError:
                    continue
                held.append(client)
                if answer is not None:
                    client.recv(1000)
                    client.sendall(answer)
                    client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()
            for client in held:
                client.close()


def error_message(state: bytes, text: bytes) -> bytes:
    """PostgreSQL's ErrorResponse."""
    fields = b"SFATAL\0VFATAL\0C" + state + b"\0M" + text + b"\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error_message(b"57P03", b"the database system is starting up"), "starting up"),
        (error_message(b"57P03", b"the database system is in recovery mode"), "starting up"),
        (error_message(b"57P03", b"the database system is shutting down"), "shutting down"),
        (error_message(b"53300", b"sorry, too many clients already"), "no free connection"),
        (error_message(b"28000", b"no pg_hba.conf entry for host"), "access was denied"),
        (error_message(b"XX000", b"odd words"), "odd words"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ""),
        (b"", ""),
        (None, "it does not answer"),
    ],
    ids=["starting", "recovery", "stopping", "full", "hba", "odd", "http", "closes", "silent"],
)
def test_answers_of_a_peer_are_distinguished(answer: bytes | None, reason: str) -> None:
    timeout = f"connect_timeout={2 if answer is None else 20}"
    with peer(answer) as port:
        url = f"postgresql://u:{SECRET}@127.0.0.1:{port}/db?sslmode=disable&gssencmode=disable"
        assert reason in refusal(f"{url}&{timeout}").rpartition(timeout)[2]


# --- lost --------------------------------------------------------------------------------------


def test_a_session_that_is_ended_means_down(
    admin: sql.Connection, connection: sql.Connection
) -> None:
    admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    for _ in range(2):
        with pytest.raises(sql.DatabaseDown) as caught, sql.translated():
            connection.execute("SELECT 1")
        assert len(str(caught.value).splitlines()) == 1


def test_a_closed_connection_means_down(database_url: str) -> None:
    connection = sql.connect(database_url)
    connection.close()
    with pytest.raises(sql.DatabaseDown), sql.translated():
        connection.execute("SELECT 1")


def test_a_read_only_server_cannot_store(connection: sql.Connection) -> None:
    connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(sql.DatabaseUnwritable, match="read-only"), sql.translated():
        connection.execute("INSERT INTO genres (name) VALUES ('x')")


def test_a_full_disk_cannot_store(connection: sql.Connection) -> None:
    raising = "DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$"
    with pytest.raises(sql.DatabaseUnwritable, match="no room"), sql.translated():
        connection.execute(raising)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO manga (title) VALUES (NULL)", psycopg.errors.NotNullViolation),
        ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
        ("SELECT FROM nowhere", psycopg.errors.UndefinedTable),
        ("SET statement_timeout = 1; SELECT pg_sleep(5)", psycopg.errors.QueryCanceled),
    ],
)
def test_what_speaks_of_the_statement_passes(
    connection: sql.Connection, statement: str, error: type[Exception]
) -> None:
    with pytest.raises(error), sql.translated():
        connection.execute(statement.encode())


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("date", "read"),
    [
        ("infinity", sql.LATEST),
        ("10000-01-01", sql.LATEST),
        ("-infinity", sql.EARLIEST),
        ("0001-12-31 BC", sql.EARLIEST),
        ("2026-03-01 12:00+00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_date_that_python_cannot_hold_is_read_as_the_nearest_one(
    database_url: str, date: str, read: datetime, binary: bool
) -> None:
    with sql.connect(database_url) as connection:
        found = connection.execute("SELECT %s::timestamptz, 1", [date], binary=binary).fetchone()
    assert found == (read, 1)
