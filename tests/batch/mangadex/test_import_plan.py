"""Plans of an initial sync: whatever the order, the gaps and the changes, they end and find all."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.errors import SourceDown
from batch.mangadex import paging
from batch.mangadex.import_plan import AllPlan, CountPlan, Plan
from batch.models import ImportedPage, ImportRequest

BEGINNING = datetime(2018, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Shelf:
    """A source with titles in order of creation; reads like the API does."""

    titles: list[tuple[datetime, str]]
    includes_since: bool = True
    requests: list[ImportRequest] = field(default_factory=list)

    def read(self, request: ImportRequest) -> ImportedPage:
        self.requests.append(request)
        assert 0 < request.limit <= paging.PAGE
        assert request.offset + request.limit <= paging.MAX_WINDOW
        found = [title for title in self.titles if self._is_later(title[0], request.since)]
        if request.order != ("createdAt", "asc"):
            found.reverse()
        page = found[request.offset : request.offset + request.limit]
        dates = [created_at for created_at, _ in page]
        return ImportedPage(tuple(i for _, i in page), len(found), max(dates, default=None))

    def _is_later(self, created_at: datetime, since: datetime | None) -> bool:
        return since is None or created_at > since or (self.includes_since and created_at == since)

    @property
    def ids(self) -> set[str]:
        return {identifier for _, identifier in self.titles}


def shelf(count: int, a_second: int = 1, includes_since: bool = True) -> Shelf:
    titles = [(BEGINNING + i // a_second * SECOND, f"title {i:06}") for i in range(count)]
    return Shelf(titles, includes_since)


Pages = dict[str, ImportedPage]


def follow(
    wanted: Plan,
    read: Callable[[ImportRequest], ImportedPage],
    random: Random,
    known: Pages | None = None,
    steps: int = 100_000,
) -> Pages:
    """Follow a plan as the job does: some pages in flight, read and handed in in any order.

    Returns:
        the pages that were handed in; not all of them where `steps` ends it early.
    """
    done: Pages = {}
    asked: list[ImportRequest] = []
    answered: list[tuple[ImportRequest, ImportedPage]] = []
    for _ in range(steps):
        while len(asked) + len(answered) < 4 and (request := wanted.next()) is not None:
            if known and request.key in known:
                wanted.done(request, known[request.key])
                done[request.key] = known[request.key]
            else:
                asked.append(request)
        if not asked and not answered:
            return done
        if asked and (not answered or random.random() < 0.5):
            request = asked.pop(random.randrange(len(asked)))
            answered.append((request, read(request)))
        else:
            request, outcome = answered.pop(random.randrange(len(answered)))
            wanted.done(request, outcome)
            assert request.key not in done
            done[request.key] = outcome
    assert steps < 100_000, "the plan does not end"
    return done


def ids_in(pages: Pages) -> set[str]:
    return {identifier for page in pages.values() for identifier in page.ids}


@contextmanager
def small_pages() -> Iterator[None]:
    """Four titles a page and twenty a window, so that many windows are soon read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "PAGE", 4)
        patch.setattr(paging, "MAX_WINDOW", 20)
        yield


# --- a number of titles ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "available", "pages"),
    [
        pytest.param(150, 1_000, [100, 50], id="two-pages"),
        pytest.param(1, 1_000, [1], id="one-title"),
        pytest.param(100, 1_000, [100], id="exactly-a-page"),
        pytest.param(150, 40, [100, 50], id="fewer-than-a-page"),
        pytest.param(10_000, 20_000, [100] * 100, id="all-that-can-be-paged"),
    ],
)
def test_a_count_is_asked_for_in_as_few_pages_as_can_be(
    count: int, available: int, pages: list[int]
) -> None:
    source = shelf(available)
    wanted = CountPlan(count, "followedCount")
    follow(wanted, source.read, Random(1))
    assert sorted((r.limit for r in source.requests), reverse=True) == pages
    assert {r.order for r in source.requests} == {("followedCount", "desc")}
    assert len(wanted.seen) == min(count, available)


def test_an_empty_catalogue_is_read_by_one_page() -> None:
    source = shelf(0)
    wanted = CountPlan(50, "createdAt")
    follow(wanted, source.read, Random(1))
    assert (len(source.requests), wanted.seen, wanted.expected()) == (1, set(), 0)


def test_titles_that_come_twice_are_made_up_for() -> None:
    wanted = CountPlan(150, "followedCount")
    first, second = wanted.next(), wanted.next()
    assert first and second and wanted.next() is None
    wanted.done(first, ImportedPage(tuple(map(str, range(100))), 1_000, BEGINNING))
    assert wanted.next() is None
    wanted.done(second, ImportedPage(tuple(map(str, range(90, 140))), 1_000, BEGINNING))
    third = wanted.next()
    assert third is not None
    assert (third.offset, third.limit) == (150, 10)


def shuffled(source: Shelf, random: Random) -> Callable[[ImportRequest], ImportedPage]:
    """Equal titles come in another order with every page."""

    def read(request: ImportRequest) -> ImportedPage:
        random.shuffle(source.titles)
        return source.read(request)

    return read


@pytest.mark.parametrize("count", [240, 250, 1_000])
def test_equal_titles_that_change_places_between_pages_are_read_again(count: int) -> None:
    source = shelf(250, a_second=250)
    wanted = CountPlan(count, "followedCount")
    follow(wanted, shuffled(source, Random(1)), Random(1))
    # Each of the four readings finds 60 % of what is missing.
    assert 0.9 * min(count, 250) < len(wanted.seen) <= count
    assert max(request.reread for request in source.requests) <= 4


def test_reading_again_ends_when_all_are_found() -> None:
    wanted = CountPlan(150, "followedCount")
    asked = [wanted.next(), wanted.next()]
    for request, ids in zip(asked, (range(100), range(90, 100)), strict=True):
        assert request is not None
        wanted.done(request, ImportedPage(tuple(map(str, ids)), 110, BEGINNING))
    again = wanted.next()
    assert again is not None and (again.offset, again.limit, again.reread) == (0, 50, 2)
    wanted.done(again, ImportedPage(tuple(map(str, range(100, 110))), 110, BEGINNING))
    assert wanted.next() is None


def test_entities_without_an_id_are_made_up_for() -> None:
    wanted = CountPlan(10, "followedCount")
    request = wanted.next()
    assert request is not None
    wanted.done(request, ImportedPage(("1", "2"), 1_000, BEGINNING))
    following = wanted.next()
    assert following is not None and (following.offset, following.limit) == (10, 8)


def test_an_answer_without_content_does_not_end_the_plan() -> None:
    wanted = CountPlan(300, "followedCount")
    pages = [request for request in iter(wanted.next, None)]
    for request in pages:
        empty = request.offset == 100
        ids = () if empty else tuple(f"{request.offset + i}" for i in range(request.limit))
        wanted.done(request, ImportedPage(ids, 100 if empty else 1_000, BEGINNING))
    again = wanted.next()
    assert again is not None and (again.offset, again.reread) == (100, 1)
    wanted.done(again, ImportedPage((), 100, None))
    following = wanted.next()
    assert following is not None and following.offset == 300


@given(st.integers(1, 20), st.integers(0, 40), st.randoms(use_true_random=False), st.floats(0, 1))
@small_pages()
def test_a_count_is_found_in_any_order_from_any_pages(
    count: int, available: int, random: Random, kept: float
) -> None:
    source = shelf(available)
    first = follow(CountPlan(count, "rating"), source.read, random, steps=random.randrange(20))
    known = {key: page for key, page in first.items() if random.random() < kept}
    wanted = CountPlan(count, "rating")
    follow(wanted, source.read, random, known)
    newest = [identifier for _, identifier in reversed(source.titles)]
    assert wanted.seen == set(newest[:count])
    assert wanted.expected() == min(count, available)


@given(st.integers(1, 20), st.randoms(use_true_random=False))
@small_pages()
def test_a_count_ends_whatever_the_pages_hold(count: int, random: Random) -> None:
    def read(request: ImportRequest) -> ImportedPage:
        ids = tuple(str(random.randrange(30)) for _ in range(random.randrange(6)))
        return ImportedPage(ids, random.randrange(100), None)

    follow(CountPlan(count, "rating"), read, random)


# --- all titles --------------------------------------------------------------------------------


def test_the_whole_catalogue_is_read_in_windows_below_the_ceiling() -> None:
    source = shelf(25_000, a_second=3)
    wanted = AllPlan()
    assert ids_in(follow(wanted, source.read, Random(1))) == source.ids
    assert wanted.expected() == 25_000
    assert len(source.requests) <= 253
    assert {r.order for r in source.requests} == {("createdAt", "asc")}


def test_the_next_window_is_known_as_soon_as_two_pages_are_read() -> None:
    source = shelf(25_000)
    wanted = AllPlan()
    for _ in range(2):
        request = wanted.next()
        assert request is not None
        wanted.done(request, source.read(request))
    assert [r.offset for r in source.requests] == [0, 9_900]
    planned = [request.since for request in iter(wanted.next, None)]
    assert BEGINNING + 9_998 * SECOND in planned


@pytest.mark.parametrize("available", [0, 1, 100, 101, 10_000, 10_001])
def test_any_size_of_catalogue_is_read_in_full(available: int) -> None:
    source = shelf(available)
    wanted = AllPlan()
    assert ids_in(follow(wanted, source.read, Random(2))) == source.ids


changes = st.lists(st.integers(0, 60), max_size=3)  # before which reading each one happens
kinds = st.sampled_from(["vanish", "appear"])


@given(
    st.integers(0, 90), st.integers(1, 5), st.booleans(), changes, kinds,
    st.randoms(use_true_random=False), st.floats(0, 1),
)  # fmt: skip
@small_pages()
def test_titles_that_are_there_throughout_are_found_however_others_come_and_go(
    available: int,
    a_second: int,
    includes_since: bool,
    when: list[int],
    kind: str,
    random: Random,
    kept: float,
) -> None:
    source = shelf(available, a_second, includes_since)
    throughout = source.ids
    readings = 0

    def read(request: ImportRequest) -> ImportedPage:
        nonlocal readings
        for number in [n for n in when if n == readings]:
            if kind == "appear":
                place = BEGINNING + random.randrange(available + 1) // a_second * SECOND
                insort(source.titles, (place, f"new {number} {len(source.titles)}"))
            elif source.titles:
                throughout.discard(source.titles.pop(random.randrange(len(source.titles)))[1])
        readings += 1
        return source.read(request)

    first = follow(AllPlan(), read, random, steps=random.choice([0, random.randrange(120)]))
    known = {key: page for key, page in first.items() if random.random() < kept}
    wanted = AllPlan()
    assert throughout <= ids_in(follow(wanted, read, random, known))


@pytest.mark.parametrize("change", ["vanish", "appear"])
def test_a_title_that_was_moved_past_the_reader_is_found_by_reading_again(change: str) -> None:
    source = shelf(200)
    throughout = {identifier for _, identifier in source.titles[1:]}
    wanted = AllPlan()
    first = wanted.next()
    assert first is not None
    begun = source.read(first)
    wanted.done(first, begun)
    if change == "vanish":
        del source.titles[0]
    else:
        source.titles.insert(0, (BEGINNING, "new"))
    found = ids_in(follow(wanted, source.read, Random(8)))
    assert throughout <= found.union(begun.ids)
    assert len(source.requests) == (4 if change == "vanish" else 5)


@given(st.randoms(use_true_random=False))
@small_pages()
def test_all_titles_end_whatever_the_pages_hold(random: Random) -> None:
    def read(request: ImportRequest) -> ImportedPage:
        ids = tuple(str(random.randrange(60)) for _ in range(random.randrange(6)))
        last = (request.since or BEGINNING) + random.randrange(-3, 20) * SECOND
        # Dates are below an end, as in any catalogue; without one there would be no last window.
        last = min(last, BEGINNING + 500 * SECOND)
        return ImportedPage(ids, random.randrange(60), random.choice([None, last, last]))

    try:
        follow(AllPlan(), read, random)
    except SourceDown:
        pass


def test_a_window_whose_order_changes_with_every_page_is_read_again() -> None:
    source = shelf(1_000, a_second=500)
    wanted = AllPlan()
    found = follow(wanted, shuffled(source, Random(1)), Random(1))
    assert len(ids_in(found)) > 950
    assert max(request.reread for request in source.requests) <= paging.MAX_REREADS


def test_a_window_that_changes_with_every_page_is_read_four_times_at_most() -> None:
    source = shelf(500)
    total = iter(range(1_000, 2_000))
    wanted = AllPlan()

    def read(request: ImportRequest) -> ImportedPage:
        page = source.read(request)
        return ImportedPage(page.ids, next(total), page.last_created_at)

    follow(wanted, read, Random(3))
    assert sorted({r.reread for r in source.requests}) == [0, 1, 2, 3]


def test_a_catalogue_that_outgrows_its_window_while_it_is_read_is_read_to_its_end() -> None:
    source = shelf(9_990)
    throughout = set(source.ids)
    wanted = AllPlan()

    def read(request: ImportRequest) -> ImportedPage:
        if len(source.requests) == 50:
            source.titles[:0] = [(BEGINNING, f"new {i}") for i in range(200)]
        return source.read(request)

    assert throughout <= ids_in(follow(wanted, read, Random(4)))


def test_a_window_whose_last_page_cannot_be_read_is_continued_from_the_page_before() -> None:
    source = shelf(10_500)
    wanted = AllPlan()

    def read(request: ImportRequest) -> ImportedPage:
        page = source.read(request)
        is_unreadable = request.since is None and request.offset == 9_900
        return ImportedPage(page.ids, page.total, None if is_unreadable else page.last_created_at)

    assert ids_in(follow(wanted, read, Random(5))) == source.ids


def test_a_window_without_any_date_ends_the_run_instead_of_the_plan() -> None:
    source = shelf(10_500)

    def read(request: ImportRequest) -> ImportedPage:
        page = source.read(request)
        return ImportedPage(page.ids, page.total, None)

    with pytest.raises(SourceDown, match="has a readable creation date"):
        follow(AllPlan(), read, Random(6))


def test_more_titles_of_one_second_than_can_be_paged_end_the_run() -> None:
    source = shelf(30_000, a_second=25_000)
    with pytest.raises(SourceDown, match="share the second"):
        follow(AllPlan(), source.read, Random(7))


def test_a_page_is_named_by_all_that_makes_it() -> None:
    since = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
    request = ImportRequest(("createdAt", "asc"), since, 200, 100, reread=2)
    assert request.key == "createdAt since 2020-05-06T07:08:09 offset 200 limit 100 reread 2"
    first = ImportRequest(("followedCount", "desc"), None, 0, 100)
    assert first.key == "followedCount since the beginning offset 0 limit 100"
