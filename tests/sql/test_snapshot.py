"""Snapshots as values: what one sees, its text, and how it grows transaction by transaction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sql.snapshot import Snapshot, full_xid, parse_snapshot

MOST = 40


@st.composite
def two_snapshots(draw: st.DrawFn) -> tuple[Snapshot, Snapshot]:
    """An earlier snapshot and a later one, as a database could have given them."""
    first_end, second_end = sorted(draw(st.tuples(*[st.integers(3, MOST)] * 2)))
    running = draw(st.frozensets(st.integers(3, first_end - 1))) if first_end > 3 else frozenset()
    begun = range(first_end, second_end)
    candidates = sorted({*running, *begun})
    still = draw(st.frozensets(st.sampled_from(candidates))) if candidates else frozenset()
    return _snapshot(first_end, running), _snapshot(second_end, still)


def _snapshot(xmax: int, running: frozenset[int]) -> Snapshot:
    return Snapshot(min(running, default=xmax), xmax, running)


@given(two_snapshots())
def test_what_was_given_in_order_is_seen_and_nothing_else_is(
    both: tuple[Snapshot, Snapshot],
) -> None:
    before, later = both
    new = [xid for xid in range(3, MOST) if later.sees(xid) and not before.sees(xid)]
    seen = before
    for given_count, xid in enumerate(new, 1):
        seen = seen.advanced(later, xid)
        left = [x for x in range(3, MOST) if later.sees(x) and not seen.sees(x)]
        assert left == new[given_count:]
        assert not any(seen.sees(x) for x in range(3, MOST) if not later.sees(x))
        assert parse_snapshot(str(seen)) == seen


@pytest.mark.parametrize(
    ("text", "seen", "unseen"),
    [("10:10:", [9], [10]), ("10:14:10,12", [9, 11, 13], [10, 12, 14])],
)
def test_a_text_is_read(text: str, seen: list[int], unseen: list[int]) -> None:
    snapshot = parse_snapshot(text)
    assert all(map(snapshot.sees, seen)) and not any(map(snapshot.sees, unseen))
    assert str(snapshot) == text


def test_a_number_of_32_bits_is_the_last_one_before_the_snapshot_end() -> None:
    snapshot = parse_snapshot(f"{2**32 + 5}:{2**32 + 5}:")
    assert full_xid(4, snapshot) == 2**32 + 4
    assert full_xid(2**32 - 1, snapshot) == 2**32 - 1
