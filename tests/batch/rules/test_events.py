"""News as outbox rows: payloads as the receiver wants them, keys that repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from batch.models import Chapter, JsonObject, Manga, OutboxEvent
from batch.rules import events
from batch.rules.chapter_models import (
    ZERO,
    Announcement,
    Baseline,
    ChapterKey,
    StoredChapter,
    Title,
)
from batch.rules.titles import StoredTitle, find_changes
from notify_server.events import validation

MANGA = UUID(int=0xA)
SYNCED = datetime(2026, 3, 1, tzinfo=UTC)
TITLE = Title(7, MANGA, "A Title", SYNCED, False, (), {"en": Baseline("en", Decimal(180))})


def announcement(number: str, language: str = "en", *, told: bool = True) -> Announcement:
    value = Decimal(number).quantize(Decimal("0.01"))
    return Announcement(ChapterKey(language, "", value), told)


def nameless(upload_id: int) -> Announcement:
    return Announcement(ChapterKey("en", f"chapter:{UUID(int=upload_id)}", ZERO))


def row(number: str, language: str = "en") -> StoredChapter:
    key = ChapterKey(language, "", Decimal(number))
    return StoredChapter(1, 7, UUID(int=1), key, None, None, None, 0, None)


def made_of(
    title: Title,
    announcements: Sequence[Announcement],
    uploads: Mapping[ChapterKey, Chapter] | None = None,
) -> list[OutboxEvent]:
    return events.chapter_events(title, announcements, uploads or {})


def payloads(title: Title, *announcements: Announcement) -> list[JsonObject]:
    return [
        {k: event.payload[k] for k in ("chapter", "chapters", "old_chapter") if k in event.payload}
        for event in made_of(title, announcements)
    ]


def test_a_chapter_event_is_the_body_that_the_receiver_takes() -> None:
    (event,) = made_of(TITLE, [announcement("181")])
    assert (event.type, event.manga_id) == ("new-chapter", 7)
    assert event.payload == {
        "manga_id": 7,
        "title": "A Title",
        "chapter": 181,
        "old_chapter": 180,
    }


@pytest.mark.parametrize(
    ("title", "announcements", "expected"),
    [
        pytest.param(
            TITLE,
            [announcement("182"), announcement("181")],
            [{"chapter": 181, "old_chapter": 180}, {"chapter": 182, "old_chapter": 181}],
            id="lowest first, each after the one before",
        ),
        pytest.param(
            TITLE,
            [announcement("180.5")],
            [{"chapter": 180.5, "old_chapter": 180}],
            id="a fraction",
        ),
        pytest.param(
            replace(TITLE, stored=(row("183"),)),
            [announcement("181")],
            [{"chapter": 181, "old_chapter": 183}],
            id="the highest known before may be above",
        ),
        pytest.param(
            replace(TITLE, baselines={"en": Baseline("en", None)}),
            [announcement("1"), announcement("2")],
            [{"chapter": 1}, {"chapter": 2, "old_chapter": 1}],
            id="nothing was known before",
        ),
        pytest.param(
            TITLE, [nameless(1)], [{"chapter": None, "old_chapter": 180}], id="without a number"
        ),
        pytest.param(
            TITLE,
            [announcement("4", "pt-br"), announcement("181")],
            [{"chapter": 4}, {"chapter": 181, "old_chapter": 180}],
            id="languages know their own",
        ),
        pytest.param(TITLE, [announcement("181", told=False)], [], id="marked without an event"),
        pytest.param(
            replace(TITLE, baselines={"*": Baseline("*", Decimal(9))}, stored=(row("11", "fr"),)),
            [announcement("10"), announcement("12", "fr")],
            [{"chapter": 10, "old_chapter": 9}, {"chapter": 12, "old_chapter": 11}],
            id="an adopted number was known in every language",
        ),
    ],
)
def test_up_to_five_chapters_are_an_event_each(
    title: Title, announcements: Sequence[Announcement], expected: list[JsonObject]
) -> None:
    assert payloads(title, *announcements) == expected


def test_five_chapters_are_five_events_and_six_are_one() -> None:
    five = [announcement(str(n)) for n in range(181, 186)]
    assert len(made_of(TITLE, five)) == 5
    assert payloads(TITLE, *five, announcement("186.5")) == [
        {
            "chapter": 186.5,
            "chapters": [181, 182, 183, 184, 185, 186.5],
            "old_chapter": 180,
        }
    ]


def test_chapters_without_an_event_do_not_count_towards_the_list() -> None:
    silent = [announcement(str(n), told=False) for n in range(200, 210)]
    assert payloads(TITLE, announcement("181"), *silent) == [{"chapter": 181, "old_chapter": 180}]


def test_chapters_without_number_are_news_without_a_list() -> None:
    six = [nameless(n) for n in range(6)]
    assert payloads(TITLE, *six) == [{"chapter": None, "old_chapter": 180}]
    assert payloads(TITLE, *six, announcement("181")) == [{"chapter": 181, "old_chapter": 180}]


def test_the_highest_of_a_list_is_its_largest_number_also_over_volumes() -> None:
    places = [("3", n) for n in range(1, 10)] + [("4", 1)]
    announcements = [
        Announcement(ChapterKey("en", f"volume:{volume}", Decimal(n))) for volume, n in places
    ]
    (payload,) = payloads(replace(TITLE, numbering_restarts=True, baselines={}), *announcements)
    assert payload == {"chapter": 9, "chapters": list(range(1, 10))}


@pytest.mark.parametrize(
    "announcements",
    [
        pytest.param([announcement("181")], id="a number"),
        pytest.param([announcement("10.25")], id="a fraction"),
        pytest.param([announcement("99999999.99")], id="the largest"),
        pytest.param([nameless(1)], id="without a number"),
        pytest.param([announcement(f"{n}.5") for n in range(9)], id="a list"),
        pytest.param([nameless(n) for n in range(9)], id="a list without numbers"),
    ],
)
def test_the_receiver_takes_what_is_made(announcements: list[Announcement]) -> None:
    for event in made_of(TITLE, announcements):
        body = {**event.payload, "type": event.type, "event_id": event.dedup_key}
        posted = validation.parse_json(json.dumps(body).encode())
        taken = validation.parse_typed_event(posted, "spare")
        assert taken.event_id == event.dedup_key


@pytest.mark.parametrize(
    "announcements",
    [
        pytest.param([announcement("181"), announcement("182")], id="single"),
        pytest.param([announcement(str(n)) for n in range(181, 190)], id="a list"),
        pytest.param([nameless(3)], id="without a number"),
    ],
)
def test_the_same_news_has_the_same_keys_in_whatever_order(
    announcements: list[Announcement],
) -> None:
    once = [event.dedup_key for event in made_of(TITLE, announcements)]
    again = [event.dedup_key for event in made_of(TITLE, announcements[::-1])]
    assert once == again
    assert all(len(key) <= 200 for key in once)


def test_different_news_have_different_keys() -> None:
    other = replace(TITLE, mangadex_id=UUID(int=0xB))
    volumes = [Announcement(ChapterKey("en", f"volume:{v}", Decimal(1))) for v in (1, 2)]
    made = [
        *made_of(TITLE, [announcement("181"), announcement("18.1"), announcement("181", "fr")]),
        *made_of(TITLE, [nameless(1), nameless(2), *volumes]),
        *made_of(other, [announcement("181")]),
        *made_of(TITLE, [announcement(str(n)) for n in range(181, 187)]),
        *made_of(TITLE, [announcement(str(n)) for n in range(181, 188)]),
    ]
    assert len({event.dedup_key for event in made}) == len(made) == 10


def test_the_longest_key_fits() -> None:
    key = ChapterKey("zz-long", f"volume:{'9' * 8}.99", Decimal("99999999.99"))
    (event,) = made_of(TITLE, [Announcement(key)])
    assert len(event.dedup_key) <= 200


def test_the_largest_number_is_written_exactly() -> None:
    assert payloads(TITLE, announcement("99999999.99"))[0]["chapter"] == 99999999.99


# --- titles --------------------------------------------------------------------------------------


BEFORE = StoredTitle(7, MANGA, "A Title", "ongoing", "https://covers.example/1.jpg", 3)


def entity(**changes: object) -> Manga:
    values: dict[str, object] = {
        "mangadex_id": MANGA,
        "title": "A Title",
        "description": "other text",
        "author": "Somebody else",
        "status": "ongoing",
        "total_chapters": 5,
        "cover_url": "https://covers.example/1.jpg",
        "genres": ("Drama",),
        "content_rating": "safe",
        "numbering_restarts": False,
        "created_at": SYNCED,
        "version": 4,
    }
    return Manga(**{**values, **changes})  # type: ignore[arg-type]


def test_a_new_title_is_announced_once_by_its_id() -> None:
    event = events.manga_event(7, entity(title="A Title", genres=("Drama",)))
    assert event.dedup_key == f"new-manga:{MANGA}"
    assert event.payload == {
        "manga_id": 7,
        "title": "A Title",
        "url": f"https://mangadex.org/title/{MANGA}",
        "genres": ["Drama"],
        "content_rating": "safe",
    }


def test_an_update_names_fields_with_old_and_new_values() -> None:
    after = entity(title="Another", status="completed")
    event = events.update_event(7, after, find_changes(BEFORE, after))
    assert event.payload == {
        "manga_id": 7,
        "title": "Another",
        "changes": ["title", "status"],
        "detailed_changes": [
            {"field": "title", "old_value": "A Title", "new_value": "Another"},
            {"field": "status", "old_value": "ongoing", "new_value": "completed"},
        ],
    }


def test_an_updates_key_holds_the_version_and_tells_changes_of_one_version_apart() -> None:
    def key(after: Manga) -> str:
        return events.update_event(7, after, find_changes(BEFORE, after)).dedup_key

    first = key(entity(status="completed"))
    assert first.startswith(f"manga-update:{MANGA}:4:") and len(first) <= 200
    assert first == key(entity(status="completed"))
    assert first != key(entity(status="completed", version=5))
    assert first != key(entity(cover_url=None))


# --- what a reader needs to open a chapter -------------------------------------------------------


def upload(number: str, language: str = "en", **changes: object) -> dict[ChapterKey, Chapter]:
    values = {
        "mangadex_chapter_id": UUID(int=5),
        "manga_mangadex_id": MANGA,
        "translated_language": language,
        "volume": "19",
        "number": Decimal(number),
        "title": "A Storm",
        "external_url": None,
        "pages": 20,
        "readable_at": SYNCED,
        "appeared_at": SYNCED,
        "groups": frozenset(),
        "uploader": None,
        "is_unavailable": False,
        "group_names": ((UUID(int=1), "Night Owls"),),
    }
    chapter = Chapter(**{**values, **changes})  # type: ignore[arg-type]
    return {announcement(number, language).key: chapter}


def test_an_event_tells_how_to_open_the_chapter_and_whose_work_it_is() -> None:
    (event,) = made_of(TITLE, [announcement("181")], upload("181"))
    assert event.payload == {
        "manga_id": 7,
        "title": "A Title",
        "chapter": 181,
        "old_chapter": 180,
        "language": "en",
        "volume": "19",
        "chapter_title": "A Storm",
        "groups": [{"id": str(UUID(int=1)), "name": "Night Owls"}],
        "mangadex_chapter_id": str(UUID(int=5)),
        "url": f"https://mangadex.org/chapter/{UUID(int=5)}",
    }


@pytest.mark.parametrize(
    ("address", "is_kept"),
    [
        ("https://publisher.example/read?id=7", True),
        ("http://publisher.example", True),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https://[::1", False),
        ("//publisher.example", False),
        ("https://publisher.example/a b", False),
        ("https://publisher.example/\u9577", False),
        ("https://publisher.example/" + "x" * 3_000, False),
        ("", False),
    ],
)
def test_the_publishers_address_is_told_where_a_browser_may_be_sent_there(
    address: str, is_kept: bool
) -> None:
    (event,) = made_of(TITLE, [announcement("181")], upload("181", external_url=address))
    expected = address if is_kept else f"https://mangadex.org/chapter/{UUID(int=5)}"
    assert event.payload["url"] == expected


def test_many_groups_and_long_titles_are_cut_to_what_the_receiver_takes() -> None:
    groups = tuple((UUID(int=n), f"Group {n}") for n in range(1, 41))
    found = upload("181", group_names=groups, title="x" * 5_000)
    (event,) = made_of(TITLE, [announcement("181")], found)
    assert len(event.payload["groups"]) == 10  # type: ignore[arg-type]
    assert len(str(event.payload["chapter_title"])) == 500


def test_many_chapters_are_listed_a_language() -> None:
    numbers = [str(n) for n in range(181, 188)]
    uploads = {k: v for lang in ("en", "vi") for n in numbers for k, v in upload(n, lang).items()}
    both = [announcement(n, language) for n in numbers for language in ("en", "vi")]
    english, vietnamese = made_of(TITLE, [*both, announcement("1", "fr")], uploads)[1:]
    assert (english.payload["language"], vietnamese.payload["language"]) == ("en", "vi")
    assert english.payload["url"] == f"https://mangadex.org/title/{MANGA}"
    items = english.payload["items"]
    assert [item["chapter"] for item in items] == list(range(181, 188))  # type: ignore[attr-defined]
    body = {**english.payload, "type": "new-chapter", "event_id": "x"}
    posted = validation.parse_json(json.dumps(body).encode())
    assert validation.parse_typed_event(posted, "spare").traits.language == "en"
