"""Ids are computed, not kept."""

from __future__ import annotations

import uuid

import pytest

from mangadex_sim.catalogue.ids import CHAPTER, TITLE, Ids, make_key, split_key


@pytest.mark.parametrize("kind", [TITLE, CHAPTER])
def test_every_id_leads_back_to_its_key(kind: int) -> None:
    ids = Ids(seed=7)
    keys = [make_key(kind, index, sub) for index in range(0, 200_000, 997) for sub in (0, 1, 9)]
    texts = [ids.to_text(key) for key in keys]
    assert len(set(texts)) == len(keys)
    assert [ids.to_key(text) for text in texts] == keys
    assert split_key(keys[5]) == (kind, 997, 9)


def test_ids_are_version_4_uuids() -> None:
    parsed = uuid.UUID(Ids(seed=1).title(12))
    assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


def test_neighbours_have_nothing_in_common() -> None:
    ids = Ids(seed=1)
    assert ids.title(0)[:8] != ids.title(1)[:8]
    assert ids.title(0)[-8:] != ids.title(1)[-8:]


def test_another_seed_makes_other_ids() -> None:
    assert Ids(seed=1).title(3) != Ids(seed=2).title(3)
    assert Ids(seed=2).to_key(Ids(seed=1).title(3)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "00000000-0000-0000-0000-000000000000",
        str(uuid.UUID(int=(1 << 128) - 1)),
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    ],
)
def test_a_foreign_id_is_unknown(text: str) -> None:
    assert Ids(seed=1).to_key(text) is None
