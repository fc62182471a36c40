"""A database with rules of its own rejects an event: that event alone is lost, and reported."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pytest_mock import MockerFixture

import sql
from readers import datagram
from readers.datagram import Content, DatagramTemplate
from tests.support.paths import OLD_DATABASES

OLD_DATABASE = OLD_DATABASES / "usual.sql"
USER = "6f1c1d8e-0000-4000-8000-000000000001"
ODD = "Odd"
LONG = "".join(f"{n * 7919 % 10007:x}" for n in range(6_000))


def trigger(code: str) -> str:
    """Another program's trigger that raises this error for one title."""
    return (
        "CREATE FUNCTION object() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.title = '{ODD}' THEN RAISE EXCEPTION E'not\\nthis' USING ERRCODE = '{code}';"
        " END IF; RETURN NEW; END $$; CREATE TRIGGER object BEFORE INSERT ON notifications"
        " FOR EACH ROW EXECUTE FUNCTION object()"
    )


RULES = {
    "a check": ("ALTER TABLE notifications ADD CHECK (char_length(title) <= 255)", "x" * 300),
    "a unique key": ("CREATE UNIQUE INDEX ON notifications (user_id, title)", "Lantern Bay"),
    "a foreign key": (
        "CREATE TABLE shown (title text PRIMARY KEY);"
        " INSERT INTO shown VALUES ('Lantern Bay'), ('One'), ('Two'), ('Three');"
        " ALTER TABLE notifications ADD FOREIGN KEY (title) REFERENCES shown",
        ODD,
    ),
    "an exclusion": (
        "ALTER TABLE notifications ADD EXCLUDE (title WITH =) WHERE (title = 'Odd')",
        ODD,
    ),
    "an index": ("CREATE INDEX ON notifications (title)", LONG),
    "a trigger": (trigger("P0001"), ODD),
}


@pytest.fixture
def old_database(empty_database_url: str) -> Any:
    """`old_database("ALTER …")` → the URL of an adopted database with that rule."""

    def make(rule: str) -> str:
        with sql.connect(empty_database_url) as connection:
            connection.execute(OLD_DATABASE.read_text().encode())
            connection.execute(rule.encode())
        sql.migrate(empty_database_url)
        return empty_database_url

    return make


def event(title: str, event_id: str | None = None) -> dict[str, object]:
    return {
        "type": "new-manga",
        "manga_id": 1,
        "title": title,
        "event_id": event_id or title[:200],
    }


def stored(url: str) -> set[str]:
    with sql.connect(url) as connection:
        rows = connection.execute("SELECT event_id FROM notification_receipts").fetchall()
    return {event_id for (event_id,) in rows}


@pytest.mark.parametrize(("rule", "title"), RULES.values(), ids=RULES.keys())
def test_an_event_that_the_database_rejects_costs_its_neighbours_nothing(
    old_database: Any, start_server: Any, make_client: Any, rule: str, title: str
) -> None:
    url = old_database(rule)
    server = start_server({"DATABASE_URL": url})
    client = make_client(server, USER)
    client.subscribe()
    events = [event("One"), event(title, "refused"), event("Two"), event("Three")]
    answer = server.post("batch", {"events": events})
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [r["status"] for r in results] == [202, 400, 202, 202]
    assert results[1]["event_id"] == "refused"
    assert results[1]["error"].startswith("the database refuses it: ")
    assert "\n" not in results[1]["error"]
    assert [n["title"] for n in client.read(3)] == ["One", "Two", "Three"]
    assert stored(url) == {"One", "Two", "Three"}
    alone = server.post("new-manga", event(title, "refused"))
    assert (alone.status_code, alone.json()) == (400, {"error": results[1]["error"]})


def test_a_column_without_value_is_reported_for_each_event_that_needs_it(
    old_database: Any, start_server: Any
) -> None:
    url = old_database(
        "ALTER TABLE notifications ADD topic text NOT NULL DEFAULT '';"
        " ALTER TABLE notifications ALTER topic DROP DEFAULT"
    )
    unread = {"type": "new-chapter", "manga_id": 3, "title": "T", "chapter": 1, "event_id": "none"}
    answer = start_server({"DATABASE_URL": url}).post(
        "batch", {"events": [event("One"), unread, event("Two")]}
    )
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [r["status"] for r in results] == [400, 202, 400]
    assert "topic" in results[0]["error"]
    assert stored(url) == {"none"}


@pytest.mark.parametrize("code", ["insufficient_privilege", "query_canceled", "XX000", "MH001"])
def test_an_unexpected_error_is_one_events_500_and_logged(
    old_database: Any, start_server: Any, caplog: Any, code: str
) -> None:
    url = old_database(trigger(code))
    server = start_server({"DATABASE_URL": url})
    caplog.clear()
    others = [{**event(title), "manga_id": 3} for title in ("One", "Two")]
    answer = server.post("batch", {"events": [event(ODD), *others]})
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [r["status"] for r in results] == [500, 202, 202]
    assert results[0] == {"status": 500, "event_id": ODD, "error": results[0]["error"]}
    assert "log" in results[0]["error"]
    assert stored(url) == {"One", "Two"}
    logged = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(logged) == 1 and ODD in logged[0].getMessage()


def test_a_mistake_of_our_own_in_one_event_is_its_500_too(
    server: Any, make_user: Any, make_manga: Any, mocker: MockerFixture
) -> None:
    make_user()

    def make_template(content: Content, received: float | None) -> DatagramTemplate:
        if content.title == ODD:
            raise LookupError("unexpected")
        return datagram.make_template(content, received)

    mocker.patch("notify_server.udp.server.make_template", make_template)
    events = [{**event(title), "manga_id": make_manga()} for title in ("One", ODD, "Two")]
    answer = server.post("batch", {"events": events})
    assert answer.status_code == 207
    assert [r["status"] for r in answer.json()["results"]] == [202, 500, 202]
