"""Each event is pushed at one server once, in whatever order request and wake-up come."""

from __future__ import annotations

import pytest

from notify_server.publish.claims import Claims
from sql.snapshot import Snapshot


def test_what_a_request_stores_is_not_pushed_by_a_wake_up() -> None:
    claims = Claims()
    claims.begin("e")
    assert not claims.acquire("e", 7)
    claims.end("e", xid=7)
    assert not claims.acquire("e", 7)
    assert claims.take_unsettled() == {}


def test_an_event_that_another_server_stores_is_pushed_once() -> None:
    claims = Claims()
    assert claims.acquire("e", 7)
    claims.remember("e", 7)
    assert not claims.acquire("e", 7)


@pytest.mark.parametrize("others", [0, 1])
def test_what_a_request_did_not_store_after_all_comes_back(others: int) -> None:
    claims = Claims()
    for _ in range(1 + others):
        claims.begin("e")
    assert not claims.acquire("e", 7)
    for _ in range(others):
        claims.end("e", xid=None)
        assert claims.take_unsettled() == {}
    claims.end("e", xid=None)
    assert claims.take_unsettled() == {"e": None}
    assert claims.take_unsettled() == {}
    assert claims.acquire("e", 7)


def test_what_may_have_been_stored_comes_back() -> None:
    claims = Claims()
    claims.begin("e")
    claims.end("e", xid=None, is_certain=False)
    assert claims.take_unsettled() == {"e": None}


def test_what_the_snapshot_saw_is_forgotten() -> None:
    claims = Claims()
    pushed = {"seen": 5, "running": 7, "later": 12}
    for event_id, xid in pushed.items():
        claims.remember(event_id, xid)
    claims.forget(Snapshot(7, 10, frozenset({7})))
    assert [e for e, xid in pushed.items() if claims.acquire(e, xid)] == ["seen"]


def test_another_transaction_of_the_event_is_pushed_too() -> None:
    claims = Claims()
    claims.begin("e")
    assert not claims.acquire("e", 8)
    claims.end("e", xid=7)
    assert claims.take_unsettled() == {"e": None}
    assert [xid for xid in (7, 8) if claims.acquire("e", xid)] == [8]


def test_what_was_pushed_before_an_answer_was_lost_is_not_pushed_again() -> None:
    claims, seen = Claims(), Snapshot(6, 6, frozenset())
    claims.forget(seen)
    claims.remember("e", 7)
    claims.begin("e")
    claims.forget(Snapshot(10, 10, frozenset()))
    claims.end("e", xid=None, is_certain=False)
    claims.forget(Snapshot(11, 11, frozenset()))
    assert claims.take_unsettled() == {"e": seen}
    assert [xid for xid in (7, 9) if claims.acquire("e", xid)] == [9]
