"""Each event is pushed at one server once, in whatever order request and wake-up come."""

from __future__ import annotations

import pytest

from notify_server.publish.claims import Claims
from sql.snapshot import Snapshot


def test_what_a_request_stores_is_not_pushed_by_a_wake_up() -> None:
    claims = Claims()
    claims.begin("e")
    assert not claims.acquire("e")
    claims.end("e", xid=7)
    assert not claims.acquire("e")
    assert claims.take_unsettled() == set()


def test_an_event_that_another_server_stores_is_pushed_once() -> None:
    claims = Claims()
    assert claims.acquire("e")
    claims.remember("e", 7)
    assert not claims.acquire("e")


@pytest.mark.parametrize("others", [0, 1])
def test_what_a_request_did_not_store_after_all_comes_back(others: int) -> None:
    claims = Claims()
    for _ in range(1 + others):
        claims.begin("e")
    assert not claims.acquire("e")
    for _ in range(others):
        claims.end("e", xid=None)
        assert claims.take_unsettled() == set()
    claims.end("e", xid=None)
    assert claims.take_unsettled() == {"e"}
    assert claims.take_unsettled() == set()
    assert claims.acquire("e")


def test_what_may_have_been_stored_comes_back() -> None:
    claims = Claims()
    claims.begin("e")
    claims.end("e", xid=None, is_certain=False)
    assert claims.take_unsettled() == {"e"}


def test_what_the_snapshot_saw_is_forgotten() -> None:
    claims = Claims()
    for event_id, xid in (("seen", 5), ("running", 7), ("later", 12)):
        claims.remember(event_id, xid)
    claims.forget(Snapshot(7, 10, frozenset({7})))
    assert [e for e in ("seen", "running", "later") if claims.acquire(e)] == ["seen"]
