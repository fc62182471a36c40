"""Feeds, the global chapter list, one chapter, aggregates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mangadex_sim.api import chapter_list
from tests.mangadex_sim.api.test_manga import ALL, walk
from tests.mangadex_sim.conftest import Asker

Make = Callable[..., Asker]
Json = dict[str, Any]
DAY_S = 86_400


def numbers(asker: Asker, title: str, query: str = "") -> list[str | None]:
    page = asker.json(f"/manga/{title}/feed?{ALL}&limit=500{query}")
    return [row["attributes"]["chapter"] for row in page["data"]]


def manga_of(chapter: Json) -> str:
    return str(next(r["id"] for r in chapter["relationships"] if r["type"] == "manga"))


@pytest.fixture
def fresh(asker: Asker) -> str:
    """A title without chapters."""
    return asker.sim.add_title(title="Fresh")


def test_a_published_chapter_is_everywhere_at_once(asker: Asker, fresh: str) -> None:
    chapter = asker.sim.publish(
        fresh,
        number="12.5",
        volume="2",
        title="Rain",
        language="pt-br",
        groups=["Night Shift"],
        uploader="mio",
        pages=31,
    )
    row = asker.json(f"/chapter/{chapter}?includes[]=scanlation_group&includes[]=user")["data"]
    attributes = row["attributes"]
    assert (attributes["chapter"], attributes["volume"], attributes["title"]) == (
        "12.5",
        "2",
        "Rain",
    )
    assert (attributes["translatedLanguage"], attributes["pages"], attributes["version"]) == (
        "pt-br",
        31,
        1,
    )
    assert (attributes["isUnavailable"], attributes["externalUrl"]) == (False, None)
    assert row["relationships"][0]["attributes"]["name"] == "Night Shift"
    assert [r["type"] for r in row["relationships"]] == ["scanlation_group", "manga", "user"]
    assert asker.json("/chapter?order[readableAt]=desc&limit=1")["data"][0]["id"] == chapter
    assert asker.json(f"/manga/{fresh}/feed")["data"][0]["id"] == chapter


def test_references_of_chapters_are_expanded_only_when_asked(asker: Asker) -> None:
    kinds = ["manga", "scanlation_group", "user"]
    for asked in kinds:
        rows = asker.json(f"/chapter?limit=100&includes[]={asked}")["data"]
        shown = {r["type"] for row in rows for r in row["relationships"] if "attributes" in r}
        assert shown == {asked}


def test_a_feed_has_500_at_most_and_100_by_default(asker: Asker, fresh: str) -> None:
    asker.sim.publish_many([{"manga": fresh, "number": str(n)} for n in range(650)])
    default = asker.json(f"/manga/{fresh}/feed")
    assert (len(default["data"]), default["limit"], default["total"]) == (100, 100, 650)
    rest = asker.json(f"/manga/{fresh}/feed?limit=500&offset=500")
    assert len(rest["data"]) == 150


def test_chapter_numbers_sort_as_numbers(asker: Asker, fresh: str) -> None:
    for number in ["10", "9", "12a", "12", None, "9.5", "Extra", " 3 "]:
        asker.sim.publish(fresh, number=number)
    expected = [" 3 ", "9", "9.5", "10", "12", "12a", "Extra", None]
    assert numbers(asker, fresh, "&order[chapter]=asc") == expected
    assert numbers(asker, fresh, "&order[chapter]=desc") == expected[::-1]


def test_volume_then_chapter_orders_by_both(asker: Asker, fresh: str) -> None:
    for volume, number in [("2", "1"), ("1", "2"), ("1", "1"), (None, "3"), ("10", "1")]:
        asker.sim.publish(fresh, number=number, volume=volume)
    rows = asker.json(f"/manga/{fresh}/feed?order[volume]=desc&order[chapter]=asc")["data"]
    assert [(r["attributes"]["volume"], r["attributes"]["chapter"]) for r in rows] == [
        (None, "3"),
        ("10", "1"),
        ("2", "1"),
        ("1", "1"),
        ("1", "2"),
    ]


def test_a_scheduled_chapter_becomes_readable_when_its_time_comes(asker: Asker, fresh: str) -> None:
    chapter = asker.sim.publish(fresh, number="7", in_s=3_600)
    newest = "/chapter?order[readableAt]=desc&limit=1"
    assert numbers(asker, fresh) == []
    assert asker.get(f"/chapter/{chapter}").status_code == 404
    assert asker.json(newest)["data"][0]["id"] != chapter
    assert asker.json(f"/manga/{fresh}")["data"]["attributes"]["latestUploadedChapter"] is None
    asker.sim.shift_clock(3_601)
    assert numbers(asker, fresh) == ["7"]
    assert asker.json(f"/chapter/{chapter}")["data"]["id"] == chapter
    assert asker.json(newest)["data"][0]["id"] == chapter
    latest = asker.json(f"/manga/{fresh}")["data"]["attributes"]["latestUploadedChapter"]
    assert latest == chapter


def test_a_link_with_a_far_publish_date_is_readable_at_once(asker: Asker, fresh: str) -> None:
    link = asker.sim.publish(fresh, number="1", externalUrl="https://reader.example/1")
    attributes = asker.json(f"/chapter/{link}")["data"]["attributes"]
    assert attributes["publishAt"].startswith("2037-") and attributes["pages"] == 0
    assert attributes["readableAt"] == attributes["createdAt"]
    assert asker.json("/chapter?order[readableAt]=desc&limit=1")["data"][0]["id"] == link
    since = "publishAtSince=2020-01-01T00:00:00"
    assert numbers(asker, fresh, "&" + since) == [], "polling by publishAt misses it"


@pytest.fixture
def mixed(asker: Asker, fresh: str) -> str:
    """A title with one chapter of every kind: plain, link, future, empty, down."""
    asker.sim.publish(fresh, number="1")
    asker.sim.publish(fresh, number="2", externalUrl="https://reader.example/2")
    asker.sim.publish(fresh, number="3", in_s=DAY_S)
    asker.sim.publish(fresh, number="4", pages=0)
    asker.sim.make_unavailable(asker.sim.publish(fresh, number="5"))
    return fresh


FLAGS: dict[str, tuple[str, str]] = {
    "nothing": ("", "124"),
    "only the unavailable too": ("includeUnavailable=1", "1245"),
    "no future updates": ("includeFutureUpdates=0", "14"),
    "future updates": ("includeFutureUpdates=1", "124"),
    "only empty": ("includeEmptyPages=1", "24"),
    "none empty": ("includeEmptyPages=0", "13"),
    "only future": ("includeFuturePublishAt=1", "23"),
    "none future": ("includeFuturePublishAt=0", "14"),
    "only links": ("includeExternalUrl=1", "2"),
    "no links, and the future ones are back": ("includeExternalUrl=0", "134"),
    "no links, none future": ("includeExternalUrl=0&includeFuturePublishAt=0", "14"),
    "no links, no future updates": ("includeExternalUrl=0&includeFutureUpdates=0", "14"),
    "one host": ("externalUrl=reader.example", "2"),
    "not that host": ("excludeExternalUrl=reader.example", "14"),
    "another host": ("externalUrl=elsewhere.example", ""),
}


@pytest.mark.parametrize("case", FLAGS)
def test_the_include_flags_have_three_states(case: str, asker: Asker, mixed: str) -> None:
    query, expected = FLAGS[case]
    assert "".join(str(each) for each in numbers(asker, mixed, "&" + query)) == expected
    page = asker.json(f"/chapter?manga={mixed}&limit=100&{query}")
    assert "".join(row["attributes"]["chapter"] for row in page["data"]) == expected


def test_a_pornographic_titles_feed_is_empty_by_default(asker: Asker, fresh: str) -> None:
    asker.sim.publish(fresh, number="1")
    asker.sim.edit_title(fresh, contentRating="pornographic")
    assert asker.json(f"/manga/{fresh}/feed")["total"] == 0
    assert numbers(asker, fresh) == ["1"]


def test_blocked_groups_and_uploaders_are_left_out(asker: Asker, fresh: str) -> None:
    for number, group, user in [("1", "Good", "ann"), ("2", "Bad", "ann"), ("3", "Good", "bob")]:
        asker.sim.publish(fresh, number=number, groups=[group], uploader=user)
    rows = asker.json(f"/manga/{fresh}/feed")["data"]
    bad, bob = rows[1]["relationships"][0]["id"], rows[2]["relationships"][-1]["id"]
    assert numbers(asker, fresh, f"&excludedGroups[]={bad}") == ["1", "3"]
    assert numbers(asker, fresh, f"&excludedUploaders[]={bob}") == ["1", "2"]
    page = asker.json(f"/chapter?groups[]={bad}&manga={fresh}")
    assert [row["attributes"]["chapter"] for row in page["data"]] == ["2"]


def test_a_corrected_chapter_keeps_its_id(asker: Asker) -> None:
    base = asker.json("/chapter?limit=1")["data"][0]
    asker.sim.edit_chapter(base["id"], number="99.9", title=None, language="fr")
    after = asker.json(f"/chapter/{base['id']}")["data"]
    assert after["attributes"]["chapter"] == "99.9"
    assert after["attributes"]["title"] is None
    assert after["attributes"]["version"] == base["attributes"]["version"] + 1
    assert after["attributes"]["updatedAt"] > base["attributes"]["updatedAt"]
    assert after["attributes"]["readableAt"] == base["attributes"]["readableAt"]
    assert after["relationships"] == base["relationships"]
    everything = walk(asker, f"/chapter?{ALL}&order[createdAt]=asc&includeUnavailable=1", 100)
    assert [row["id"] for row in everything].count(base["id"]) == 1
    newest = asker.json("/chapter?order[updatedAt]=desc&limit=1")["data"][0]
    assert newest["id"] == base["id"]


def test_a_removed_chapter_just_stops_being_listed(asker: Asker) -> None:
    base = asker.json("/chapter?limit=1")["data"][0]
    asker.sim.remove_chapter(base["id"])
    assert asker.get(f"/chapter/{base['id']}").status_code == 404
    assert asker.json("/chapter?limit=1")["data"][0]["id"] != base["id"]
    assert asker.json(f"/chapter?ids[]={base['id']}")["data"] == []
    assert base["id"] not in [
        r["id"]
        for r in asker.json(f"/manga/{manga_of(base)}/feed?{ALL}&includeUnavailable=1")["data"]
    ]


@pytest.mark.parametrize("field", ["createdAt", "updatedAt", "publishAt", "readableAt"])
def test_the_global_list_is_the_sum_of_all_feeds(field: str, make_sim: Make) -> None:
    asker = make_sim(titles=70)
    asker.sim.spread_chapters(25)
    query = f"{ALL}&includeUnavailable=1&order[{field}]"
    rows = walk(asker, f"/chapter?{query}=asc", 100)
    assert [row["attributes"][field] for row in rows] == sorted(
        row["attributes"][field] for row in rows
    )
    down = walk(asker, f"/chapter?{query}=desc", 100)
    assert [row["id"] for row in down] == [row["id"] for row in reversed(rows)]
    feeds = [
        row["id"]
        for title in asker.sim.title_ids(0, 70)
        for row in asker.json(f"/manga/{title}/feed?{query}=asc&limit=500")["data"]
    ]
    assert sorted(feeds) == sorted(row["id"] for row in rows)


@pytest.mark.parametrize("field", ["createdAt", "updatedAt", "publishAt"])
def test_since_cuts_the_global_list_exactly(field: str, make_sim: Make) -> None:
    asker = make_sim(titles=70)
    rows = walk(asker, f"/chapter?{ALL}&order[createdAt]=asc&includeFutureUpdates=0", 100)
    since = rows[len(rows) // 2]["attributes"][field]
    found = walk(
        asker,
        f"/chapter?{ALL}&order[createdAt]=asc&includeFutureUpdates=0&{field}Since={since[:19]}",
        100,
    )
    assert [r["id"] for r in found] == [r["id"] for r in rows if r["attributes"][field] >= since]


def test_languages_filter_the_global_list(make_sim: Make) -> None:
    asker = make_sim(titles=70)
    rows = walk(asker, "/chapter?order[createdAt]=asc", 100)
    found = walk(
        asker, "/chapter?order[createdAt]=asc&translatedLanguage[]=en&translatedLanguage[]=ru", 100
    )
    assert found == [r for r in rows if r["attributes"]["translatedLanguage"] in ("en", "ru")]


def test_the_global_list_sorts_by_number_where_it_is_small(asker: Asker) -> None:
    page = asker.json("/chapter?order[chapter]=desc&limit=100")
    assert len(page["data"]) == 100


def test_chapters_by_id_come_in_list_order(asker: Asker) -> None:
    rows = asker.json("/chapter?limit=5")["data"]
    query = "&".join(f"ids[]={row['id']}" for row in reversed(rows))
    assert asker.json(f"/chapter?{query}")["data"] == rows
    one = manga_of(rows[0])
    both = asker.json(f"/chapter?{query}&manga={one}")["data"]
    assert both == [row for row in rows if manga_of(row) == one]


def test_recent_chapters_lie_within_two_days_one_a_title(make_sim: Make) -> None:
    asker = make_sim(titles=2_000, recent_chapters=140)
    rows = walk(
        asker,
        "/chapter?order[readableAt]=desc&translatedLanguage[]=en"
        "&publishAtSince=2025-10-02T00:00:00",
        100,
    )
    assert len(rows) == len({manga_of(row) for row in rows}) == 140
    assert all(row["attributes"]["chapter"].isdigit() for row in rows)
    age = datetime.now(UTC) - datetime.fromisoformat(rows[-1]["attributes"]["readableAt"])
    assert 47 * 3_600 < age.total_seconds() < 48.1 * 3_600


def test_recent_chapters_are_numbered_above_the_history(make_sim: Make) -> None:
    asker = make_sim(titles=300)
    fresh = asker.sim.spread_chapters(20)
    for chapter in fresh:
        row = asker.json(f"/chapter/{chapter}")["data"]
        older = [float(n) for n in numbers(asker, manga_of(row)) if n]
        assert float(row["attributes"]["chapter"]) == max(older)
        assert older.count(max(older)) == 1


def test_a_large_catalogue_answers_the_newest_and_estimates_the_rest(make_sim: Make) -> None:
    asker = make_sim(titles=2_000)
    page = asker.json("/chapter?order[readableAt]=desc&limit=100&offset=9900")
    dates = [row["attributes"]["readableAt"] for row in page["data"]]
    assert dates == sorted(dates, reverse=True) and len(dates) == 100
    assert page["total"] > 10_000


def test_a_query_that_would_derive_millions_of_chapters_is_refused(
    make_sim: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chapter_list, "MOST_VISITED", 500)
    asker = make_sim(titles=300)
    for query in ("title=zzz&order[readableAt]=desc", "order[chapter]=asc"):
        assert "mangadex_sim cannot answer" in asker.detail(f"/chapter?{query}")
    assert asker.json("/chapter?title=zzz&createdAtSince=2025-09-30T00:00:00")["data"] == []


AGGREGATES: dict[str, tuple[list[tuple[str | None, str | None]], object]] = {
    "a map": ([("1", "1"), ("1", "2")], {"1": {"1", "2"}}),
    "null is none": ([(None, "1"), ("1", None)], {"none": {"1"}, "1": {"none"}}),
    "a list of volumes": ([("0", "5"), ("1", "6")], [{"5"}, {"6"}]),
    "a list of chapters": ([("1", "0"), ("1", "1")], {"1": ["0", "1"]}),
    "nothing": ([], []),
}


@pytest.mark.parametrize("case", AGGREGATES)
def test_an_aggregate_is_written_as_php_does(case: str, asker: Asker, fresh: str) -> None:
    rows, expected = AGGREGATES[case]
    for volume, number in rows:
        asker.sim.publish(fresh, volume=volume, number=number)
    volumes = asker.json(f"/manga/{fresh}/aggregate")["volumes"]

    def shape(chapters: Any) -> Any:
        return (
            [each["chapter"] for each in chapters] if isinstance(chapters, list) else set(chapters)
        )

    found: object = (
        [shape(v["chapters"]) for v in volumes]
        if isinstance(volumes, list)
        else {name: shape(volume["chapters"]) for name, volume in volumes.items()}
    )
    assert found == expected


def test_an_aggregate_counts_uploads_of_the_same_number(asker: Asker, fresh: str) -> None:
    ids = [asker.sim.publish(fresh, volume="1", number="1") for _ in range(3)]
    volume = asker.json(f"/manga/{fresh}/aggregate")["volumes"]["1"]
    chapter = volume["chapters"]["1"]
    assert (volume["count"], chapter["count"]) == (3, 3)
    assert [chapter["id"], *chapter["others"]] == ids


def test_dates_given_to_publish_are_kept(asker: Asker, fresh: str) -> None:
    past = asker.sim.publish(fresh, number="1", readableAt="2024-05-01T10:00:00Z")
    attributes = asker.json(f"/chapter/{past}")["data"]["attributes"]
    assert {attributes[name] for name in ("createdAt", "publishAt", "readableAt", "updatedAt")} == {
        "2024-05-01T10:00:00+00:00"
    }
    delayed = asker.sim.publish(
        fresh, number="2", createdAt="2024-05-01T10:00:00", publishAt="2024-05-04T10:00:00"
    )
    attributes = asker.json(f"/chapter/{delayed}")["data"]["attributes"]
    assert attributes["createdAt"] == "2024-05-01T10:00:00+00:00"
    assert attributes["readableAt"] == "2024-05-04T10:00:00+00:00"
    link = asker.sim.publish(
        fresh, number="3", externalUrl="https://reader.example/3", readableAt="2024-06-01T10:00:00"
    )
    attributes = asker.json(f"/chapter/{link}")["data"]["attributes"]
    assert attributes["readableAt"] == "2024-06-01T10:00:00+00:00"
    assert attributes["publishAt"].startswith("2037")


def test_without_a_number_a_chapter_is_the_next_one(asker: Asker, fresh: str) -> None:
    for _ in range(3):
        asker.sim.publish(fresh)
    found = [row["number"] for row in asker.sim.list_chapters(fresh)]
    assert len(set(found)) == 3 and None not in found
