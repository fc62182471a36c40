"""What answers hold that are no lists of titles: numbers, figures, a token."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.errors import TransientError
from batch.mangadex.accounts import follows_of, ids_by_number, token_of

ID = UUID(int=7)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def pair(number: object, id: object) -> dict[str, Any]:
    return {"attributes": {"type": "manga", "legacyId": number, "newId": id}}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], {}),
        ([pair(1, str(ID))], {1: ID}),
        ([pair(2, str(ID)), pair(10**12, str(ID))], {}),
        ([pair("1", str(ID)), pair(True, str(ID)), pair(1, "x"), pair(1, None), None, 3, {}], {}),
    ],
    ids=["none", "one", "not asked for", "no pairs"],
)
def test_numbers_lead_to_ids(data: list[object], expected: dict[int, UUID]) -> None:
    assert ids_by_number({"data": data}, [1, 3]) == expected


@pytest.mark.parametrize(
    ("statistics", "expected"),
    [
        ([], {}),
        ({str(ID): {"follows": 3}}, {ID: 3}),
        ({str(ID): {"follows": 10**12}}, {ID: 2**31 - 1}),
        ({str(ID): {"follows": None}}, {}),
        ({str(ID): {"follows": -1}}, {}),
        ({str(ID): {"follows": True}, "x": {"follows": 3}}, {}),
        ({str(ID): [], "": None}, {}),
    ],
)
def test_figures_are_whole_numbers(statistics: object, expected: dict[UUID, int]) -> None:
    assert follows_of({"statistics": statistics}) == expected


@pytest.mark.parametrize("token", [None, "", 7, "a\nb", "ü", ["x"]])
def test_what_no_header_can_carry_is_no_token(token: object) -> None:
    with pytest.raises(TransientError):
        token_of({"access_token": token})
    assert token_of({"access_token": "a.b-c"}) == "a.b-c"


@given(JSON)
def test_any_answer_is_read_or_is_a_fault_of_the_source(value: Any) -> None:
    for body in ({"data": value}, {"data": [value]}, {"statistics": value}):
        try:
            ids_by_number(body, [1])
            follows_of(body)
        except TransientError:
            continue
