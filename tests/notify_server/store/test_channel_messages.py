"""What channels are owed, in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notify_server.store import channel_messages
from notify_server.store.horizon import Horizon
from readers.channels import store
from readers.channels.addresses import TRUSTED, parse_address
from readers.channels.messages import Delivery
from readers.channels.options import Digest, Options, next_digest
from readers.users import User, find_user

LATER = Digest((datetime.now(UTC) + timedelta(hours=12)).time().replace(microsecond=0), "UTC")


@pytest.fixture
def ine(connection: Any, make_user: Callable[..., str]) -> User:
    return find_user(connection, make_user("ine"))


@pytest.fixture
def horizon(connection: Any) -> Callable[[], Horizon]:
    """Return one that has seen everything that is there."""

    def look() -> Horizon:
        found = Horizon()
        while not found.look(connection):
            pass
        found.look(connection)
        return found

    return look


def add(connection: Any, user: User, text: str = "ntfy://t", **options: Any) -> int:
    address = parse_address(text, TRUSTED)
    return store.add_channel(connection, user, address, Options(**options))[0].id


def news(connection: Any, user: User, count: int = 1, kind: str = "NEW_CHAPTER") -> None:
    connection.execute(
        "INSERT INTO notifications (user_id, type, message)"
        " SELECT %s, %s, 'x' FROM generate_series(1, %s)",
        [user.id, kind, count],
    )


def due(connection: Any, horizon: Horizon, busy: Any = (), full: Any = ()) -> list[int]:
    found = channel_messages.find_due(connection, horizon, busy, full, 100)
    return [each.channel_id for each in found]


def begin(connection: Any, horizon: Horizon, id: int, size: int) -> list[Delivery]:
    return channel_messages.begin_messages(connection, horizon, {id: size}, TRUSTED, None)


def test_what_is_due_are_channels_that_something_waits_for(
    connection: Any, ine: User, horizon: Any
) -> None:
    one = add(connection, ine, "ntfy://a.example/t")
    add(connection, ine, "ntfy://b.example/t", only=["NEW_MANGA"])
    add(connection, ine, "ntfy://c.example/t", digest=LATER)
    paused = add(connection, ine, "ntfy://d.example/t")
    store.pause_channel(connection, store.find_channel(connection, ine, str(paused)))
    assert due(connection, horizon()) == []
    news(connection, ine)
    assert due(connection, horizon()) == [one]
    assert due(connection, horizon(), busy=[one]) == []
    assert due(connection, horizon(), full=["a.example"]) == []


def test_what_has_failed_comes_last(connection: Any, ine: User, horizon: Any) -> None:
    first, second = add(connection, ine), add(connection, ine, "ntfy://u")
    news(connection, ine)
    connection.execute("UPDATE channel_deliveries SET attempts = 1 WHERE channel_id = %s", [first])
    assert due(connection, horizon()) == [second, first]


def test_a_message_stays_the_same_until_it_is_accepted(
    connection: Any, ine: User, horizon: Any
) -> None:
    id = add(connection, ine)
    news(connection, ine, 3)
    (message,) = begin(connection, horizon(), id, 2)
    assert len(message.message.news) == 2
    news(connection, ine, 3)
    (again,) = begin(connection, horizon(), id, 200)
    assert again.message == message.message
    channel_messages.note_failure(connection, again, "it fails", datetime.now(UTC))
    (third,) = begin(connection, horizon(), id, 200)
    assert (third.message, third.attempts) == (message.message, 1)
    channel_messages.note_success(connection, third)
    (rest,) = begin(connection, horizon(), id, 200)
    assert len(rest.message.news) == 4 and rest.message.id != message.message.id


def test_an_outdated_result_changes_nothing(connection: Any, ine: User, horizon: Any) -> None:
    id = add(connection, ine)
    news(connection, ine, 2)
    (first,) = begin(connection, horizon(), id, 1)
    channel_messages.note_success(connection, first)
    (second,) = begin(connection, horizon(), id, 1)
    channel_messages.note_success(connection, first)
    channel_messages.note_failure(connection, first, "late", None)
    assert begin(connection, horizon(), id, 1) == [second]
    assert store.find_channel(connection, ine, str(id)).paused_at is None


def test_a_channel_moves_on_over_what_it_is_not_sent(
    connection: Any, ine: User, horizon: Any
) -> None:
    add(connection, ine, only=["NEW_MANGA"])
    news(connection, ine, 5)
    channel_messages.skip_unwanted(connection, horizon())
    rows = connection.execute("SELECT last_id, (SELECT max(id) FROM notifications)"
                              " FROM channel_deliveries").fetchall()  # fmt: skip
    assert rows[0][0] == rows[0][1]
    news(connection, ine, 1, "NEW_MANGA")
    channel_messages.skip_unwanted(connection, horizon())
    assert len(due(connection, horizon())) == 1


def test_a_digest_without_news_is_due_the_next_day(
    connection: Any, ine: User, horizon: Any
) -> None:
    id = add(connection, ine, digest=LATER)
    connection.execute("UPDATE channel_deliveries SET next_attempt_at = now()")
    channel_messages.skip_unwanted(connection, horizon())
    found = store.find_channel(connection, ine, str(id))
    assert found.next_attempt_at == next_digest(LATER, datetime.now(UTC))
    connection.execute("UPDATE channel_deliveries SET next_attempt_at = now()")
    news(connection, ine)
    channel_messages.skip_unwanted(connection, horizon())
    assert due(connection, horizon()) == [id]


def test_a_channel_that_is_removed_meanwhile_is_forgotten(
    connection: Any, ine: User, horizon: Any
) -> None:
    id = add(connection, ine)
    news(connection, ine)
    (message,) = begin(connection, horizon(), id, 1)
    store.remove_channel(connection, store.find_channel(connection, ine, str(id)))
    channel_messages.note_success(connection, message)
    channel_messages.note_failure(connection, message, "late", None)
    assert connection.execute("SELECT count(*) FROM notifications").fetchone() == (1,)
