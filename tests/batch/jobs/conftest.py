"""Runs jobs in this process against a stand-in API and a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from batch.commands.sync import Workflow, run_workflow
from batch.config import load
from batch.mangadex import client, extract
from batch.models import Summary
from batch.stop import SignalStop
from batch.store.titles import store_manga
from mangadex_sim import Simulator
from mangahub.env import Env

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]


@pytest.fixture
def sim(simulator: Callable[..., Simulator]) -> Simulator:
    """An empty site without a rate limit."""
    return simulator(titles=0, rate=0)


@pytest.fixture
def stop() -> Iterator[SignalStop]:
    made = SignalStop()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def run_job(sim: Simulator, database_url: str, home: Path, stop: SignalStop) -> RunJob:
    """`run_job("chapter_feed", LANGUAGES="en,fr")` → its Summary; capitals are settings."""

    def run(name: str, *, full: bool = False, limit: int | None = None, **settings: str) -> Summary:
        named = {f"MANGA_SYNC_{key}": value for key, value in settings.items()}
        environ = {
            "MANGADEX_API_URL": sim.url,
            "MANGAHUB_DATA": str(home),
            "MANGA_SYNC_RATE_PER_SECOND": "500",
            "MANGA_SYNC_WORKERS": "2",
            "UDP_SERVER_URL": "http://127.0.0.1:9",  # nothing listens there
        } | named
        summary = Summary(name)
        workflow = Workflow(name, full=full, limit=limit)
        run_workflow(workflow, load(Env(environ)), database_url, stop, summary)
        return summary

    return run


@pytest.fixture
def track(sim: Simulator, connection: Connection) -> Callable[..., list[str]]:
    """`track(3)` → ids of three titles that are tracked since yesterday."""

    def add(count: int = 1, days: float = 1, **attributes: object) -> list[str]:
        ids = sim.add_titles(count, **attributes)
        mangas = [
            extract.manga(entity)
            for start in range(0, count, 100)
            for entity in fetch_titles(sim, ids[start : start + 100])
        ]
        with connection.transaction():
            store_manga(connection, mangas, datetime.now(UTC))
            connection.execute("UPDATE manga SET first_synced_at = %s", [ago(days=days)])
        return ids

    return add


def fetch_titles(sim: Simulator, ids: list[str]) -> list[dict[str, Any]]:
    """As an initial sync would get them."""
    parameters = [("limit", "100"), ("includes[]", "author"), ("includes[]", "cover_art")]
    parameters += [("ids[]", each) for each in ids]
    with requests.get(
        f"{sim.url}/manga", parameters, headers={"User-Agent": "tests/1"}, timeout=10
    ) as response:
        data: list[dict[str, Any]] = response.json()["data"]
    sim.reset()
    return data


def ago(**span: float) -> datetime:
    """A whole second in the past, as the API tells times."""
    return (datetime.now(UTC) - timedelta(**span)).replace(microsecond=0)


@pytest.fixture
def long_ago() -> Callable[..., str]:
    """`long_ago(hours=3)` → the time as the stand-in wants it."""
    return lambda **span: ago(**span).isoformat()


_TOLD = ("chapter", "chapters", "old_chapter", "changes", "detailed_changes")


@pytest.fixture
def payloads(connection: Connection) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """What the outbox holds: type and numbers or changes, in order."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        rows = connection.execute("SELECT type, payload FROM notification_events ORDER BY id")
        return [(kind, {k: v for k, v in payload.items() if k in _TOLD}) for kind, payload in rows]

    return read


@pytest.fixture
def numbers(connection: Connection) -> Callable[[], list[tuple[str, float]]]:
    """The stored chapters: language and number, in order of storing."""

    def read() -> list[tuple[str, float]]:
        rows = connection.execute(
            "SELECT translated_language, chapter_number FROM chapters ORDER BY id"
        )
        return [(language, float(number)) for language, number in rows]

    return read


SNAPSHOT = (
    "SELECT m.mangadex_id, c.translated_language, c.number_scope, c.chapter_number,"
    " c.mangadex_chapter_id FROM chapters c JOIN manga m ON m.id = c.manga_id ORDER BY 1, 2, 3, 4",
    "SELECT m.mangadex_id, e.type, e.dedup_key, e.payload - 'manga_id' FROM notification_events e"
    " JOIN manga m ON m.id = e.manga_id ORDER BY e.dedup_key",
    "SELECT m.mangadex_id, a.translated_language, a.volume, a.chapter_number"
    " FROM chapter_announcements a JOIN manga m ON m.id = a.manga_id ORDER BY 1, 2, 3, 4",
    "SELECT mangadex_id, title, status, total_chapters FROM manga ORDER BY 1",
)


@pytest.fixture
def snapshot(connection: Connection) -> Callable[[], list[list[tuple[Any, ...]]]]:
    """Everything that a disturbed run must have in common with an uninterrupted one."""
    return lambda: [connection.execute(query.encode()).fetchall() for query in SNAPSHOT]
