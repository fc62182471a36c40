"""Health: for operators alone, plain at a glance, and what is asked for there is done."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from psycopg.types.json import Jsonb

import sql
from readers.users import User, add_user
from sql.budget import Budget, Pace
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.website import COOKIE, RunningSite, running_site

HOSTILE = "<script>alert(1)</script>\u202e\"'&" + "x" * 400


class Notify(BaseHTTPRequestHandler):
    """The notification server as the page asks it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'# TYPE x\nmangahub_notify_clients 41.0\n{"streams": 12}\n')

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def notify() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Notify)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(database_url: str, notify: str, tmp_path: Path) -> Iterator[RunningSite]:
    with running_site(
        database_url,
        streams_at=notify,
        UDP_SERVER_URL=f"http://{notify}",
        MANGAHUB_DATA=str(tmp_path),
    ) as running:
        yield running


@pytest.fixture
def admin_user(connection: sql.Connection) -> User:
    user = add_user(connection, "root-of-it", None, None)
    connection.execute("UPDATE users SET role = 'admin' WHERE id = %s", [user.id])
    return user


def set_row(connection: sql.Connection, name: str, **columns: Any) -> None:
    for column, value in columns.items():
        query = f"UPDATE sync_state SET {column} = %s WHERE sync_type = %s"
        connection.execute(query.encode(), [value, name])


def spoil(connection: sql.Connection) -> None:
    """Leave what several failures leave."""
    set_row(
        connection,
        "chapter_check",
        status="error",
        error_message=HOSTILE,
        last_run_at=datetime.now(UTC),
        metadata=Jsonb(
            {
                "last_run": {"status": "error", "seconds": 2.5, "requests": 7},
                "rejected": {
                    "0" * 36: {"reason": HOSTILE, "attempts": 4, "last_at": "2026-01-01"},
                    HOSTILE: {"reason": 7},
                },
            }
        ),
    )
    connection.execute(
        "INSERT INTO notification_events (type, payload, dedup_key, rejected_at, last_error)"
        " VALUES ('new-chapter', %s, 'key-1', now(), %s)",
        [Jsonb({"title": HOSTILE}), HOSTILE],
    )
    connection.execute(
        "INSERT INTO api_requests SELECT 'api.mangadex.org:443', n, m, 20 + n % 37 FROM"
        " generate_series(0, 1439) n, date_trunc('minute', now() - n * interval '1 min') m"
    )


@pytest.mark.parametrize("path", ["/health", "/health.json"])
def test_only_operators_see_it(site: RunningSite, mika: User, admin_user: User, path: str) -> None:
    assert site.visitor().get(path).status_code == 302
    assert site.visitor(mika).get(path).status_code == 403
    assert site.visitor(admin_user).get(path).status_code == 200


def test_only_operators_ask_for_anything(
    site: RunningSite, mika: User, connection: sql.Connection
) -> None:
    for visitor in (site.visitor(), site.visitor(mika)):
        for path in ("/health/retry", "/health/forget"):
            assert visitor.post(path, "/", workflow="chapter_feed").status_code == 403
    assert connection.execute("SELECT count(*) FROM run_wishes").fetchone() == (0,)


def test_json_has_what_is_promised(
    site: RunningSite, admin_user: User, connection: sql.Connection
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    set_row(
        connection,
        "chapter_feed",
        status="completed",
        last_run_at=now,
        last_success_at=now,
        last_cursor=f"{now:%Y-%m-%dT%H:%M:%S}",
        metadata=Jsonb({"last_run": {"seconds": 6.25}}),
    )
    budget = Budget(lambda: connection, "https://api.mangadex.org", Pace(1000))
    for _ in range(3):
        with budget.departure(lambda seconds: None):
            pass
    found = site.visitor(admin_user).get("/health.json").json()
    assert found.keys() == {
        "ok", "problems", "workflows", "events_owed", "udp_clients", "streams", "requests",
    }  # fmt: skip
    assert (found["ok"], found["problems"]) == (True, [])
    assert (found["events_owed"], found["udp_clients"], found["streams"]) == (0, 41, 12)
    assert found["requests"] == {"last_hour": 3, "limit_hour": 18_000}
    feed = found["workflows"]["chapter_feed"]
    assert 0 <= feed.pop("cursor_age_s") < 60
    assert feed == {
        "status": "completed",
        "last_run_at": now.isoformat(),
        "last_success_at": now.isoformat(),
        "seconds": 6.25,
        "next_run_at": None,
        "rejected": 0,
    }
    assert set(found["workflows"]) >= {"initial_sync", "new_manga_poll", "metadata_refresh"}


def test_problems_have_a_cure_each(
    site: RunningSite, admin_user: User, connection: sql.Connection
) -> None:
    spoil(connection)
    found = site.visitor(admin_user).get("/health.json").json()
    assert not found["ok"] and len(found["problems"]) == 2
    assert all(set(problem) == {"what", "since", "cure"} for problem in found["problems"])
    assert found["workflows"]["chapter_check"]["rejected"] == 2


def test_it_says_so_where_nobody_answers(
    database_url: str, admin_user: User, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{unused.getsockname()[1]}"
        url, folder = f"http://{where}", str(tmp_path)
        with running_site(
            database_url, streams_at=where, UDP_SERVER_URL=url, MANGAHUB_DATA=folder
        ) as site:
            visitor = site.visitor(admin_user)
            found = visitor.get("/health.json").json()
            page = visitor.get("/health").text
    assert (found["udp_clients"], found["streams"], found["ok"]) == (None, None, False)
    assert "does not answer" in page and "not known" in page


def test_trouble_is_a_bar_on_other_pages_for_operators_alone(
    site: RunningSite, admin_user: User, mika: User, connection: sql.Connection
) -> None:
    spoil(connection)
    page = site.visitor(admin_user).get("/about").text
    bar = re.search(r'<p class="trouble"[^>]*>.*?</p>', page)
    assert bar and "hidden" not in bar[0] and "<span>2 things are</span> wrong: Health" in bar[0]
    assert "icon-wrong.svg" in page
    for visitor in (site.visitor(mika), site.visitor()):
        assert 'class="trouble"' not in visitor.get("/about").text


def test_hostile_reasons_are_text(
    site: RunningSite, admin_user: User, connection: sql.Connection
) -> None:
    spoil(connection)
    page = site.visitor(admin_user).get("/health").text
    assert "<script>alert" not in page and "&lt;script&gt;" in page


def test_what_is_not_there_cannot_be_retried(site: RunningSite, admin_user: User) -> None:
    visitor = site.visitor(admin_user)
    for fields in (
        {"workflow": "nothing"},
        {"event": "x"},
        {"workflow": "chapter_feed", "item": "x"},
        {},
    ):
        assert visitor.post("/health/retry", "/health", **fields).status_code == 404
    assert visitor.post("/health/forget", "/health", item="x").status_code == 404


def test_a_rejected_item_is_due_again_or_forgotten(
    site: RunningSite, admin_user: User, connection: sql.Connection
) -> None:
    spoil(connection)
    visitor = site.visitor(admin_user)
    fields = {"workflow": "chapter_check", "item": "0" * 36}
    assert visitor.post("/health/retry", "/health", **fields).status_code == 303
    query = "SELECT metadata->'rejected' FROM sync_state WHERE sync_type = 'chapter_check'"
    ((rejected,),) = connection.execute(query).fetchall()
    assert rejected["0" * 36]["attempts"] == 0
    assert "asked for" in visitor.get("/health").text
    fields["item"] = HOSTILE
    assert visitor.post("/health/forget", "/health", **fields).status_code == 303
    ((rejected,),) = connection.execute(query).fetchall()
    assert list(rejected) == ["0" * 36]


def test_the_next_run_starts_what_was_asked_for(
    site: RunningSite,
    admin_user: User,
    connection: sql.Connection,
    database_url: str,
    simulator: Callable[..., Any],
    run_batch: Callable[..., Any],
) -> None:
    sim = simulator(titles=5, rate=0)
    env = {"DATABASE_URL": database_url, "MANGADEX_API_URL": sim.url, "MANGA_SYNC_WORKERS": "1"}
    env["MANGA_SYNC_RATE_PER_SECOND"] = "200"
    assert run_batch("initial-sync", env=env).code == 0
    visitor = site.visitor(admin_user)
    for name in ("metadata_refresh", "chapter_check"):
        assert visitor.post("/health/retry", "/health", workflow=name).status_code == 303
    done = run_batch("chapter-feed", "--json", env=env)
    assert (done.code, done.json["sync_type"]) == (0, "chapter_feed")
    found = visitor.get("/health.json").json()["workflows"]
    for name in ("metadata_refresh", "chapter_check"):
        assert (found[name]["status"], bool(found[name]["last_success_at"])) == ("completed", True)
    assert connection.execute("SELECT count(*) FROM run_wishes").fetchone() == (0,)


def test_a_rejected_event_is_sent_again_by_the_next_run(
    site: RunningSite, admin_user: User, connection: sql.Connection, run_batch: Callable[..., Any],
    database_url: str,
) -> None:  # fmt: skip
    spoil(connection)
    visitor = site.visitor(admin_user)
    assert visitor.post("/health/retry", "/health", event="key-1").status_code == 303
    env = {"DATABASE_URL": database_url, "UDP_SERVER_URL": "http://127.0.0.1:9"}
    assert run_batch("relay", env=env).code == 75  # it is owed, and nobody is there to take it
    row = connection.execute("SELECT attempts, rejected_at FROM notification_events").fetchone()
    assert row == (1, None)


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("is_well", [True, False], ids=["well", "wrong"])
def test_a_browser_finds_nothing_wrong_with_it(
    site: RunningSite,
    browser: Browser,
    admin_user: User,
    connection: sql.Connection,
    tmp_path: Path,
    size: tuple[int, int],
    scheme: str,
    is_well: bool,
) -> None:
    if not is_well:
        spoil(connection)
    cookies = {COOKIE: site.session_token(admin_user)}
    with open_tab(browser, site.url, size=size, scheme=scheme, cookies=cookies) as tab:
        tab.open("/health")
        tab.check()
        assert not tab.overflows()
        state = "well" if is_well else "wrong"
        picture = tmp_path / f"health-{size[0]}-{scheme}-{state}.png"
        picture.write_bytes(tab.page.screenshot(full_page=True))


def test_json_is_json(site: RunningSite, admin_user: User) -> None:
    answer = site.visitor(admin_user).get("/health.json")
    assert answer.headers["Content-Type"] == "application/json"
    json.loads(answer.text)
