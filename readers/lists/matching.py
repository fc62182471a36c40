"""Which title of the catalogue an entry is: by id, by links, by names; never a guess, pure.

What is not certain is left to the reader: with candidates (doubtful) or without (unmatched). An
entry whose MangaDex id is known but not stored is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from readers.lists.entries.entry import Entry
from readers.lists.entries.titles import normalise
from readers.lists.similarity import SURE

MOST_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A title of the catalogue that an entry may be."""

    manga_id: int
    title: str


@dataclass(frozen=True, slots=True)
class Match:
    """What an entry was found to be.

    Attributes:
        state: matched, wanted, doubtful or unmatched.
        by: id, legacy, link or title; none where it is not matched.
        title: of the catalogue, where it is matched.
    """

    state: str
    by: str = "none"
    manga_id: int | None = None
    title: str = ""
    candidates: tuple[Candidate, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class CatalogueTitle:
    """What matching needs of a title: its main name, all names normalised, its author."""

    manga_id: int
    title: str
    names: frozenset[str] = frozenset()
    author: str = ""


@dataclass(slots=True)
class Hits:
    """What the catalogue has for one entry.

    Attributes:
        by_id: the title of its MangaDex id.
        by_site: for each site whose id is linked, the titles that link it.
        by_name: titles with a name near one of its own, with how near, from 0 to 100.
    """

    by_id: int | None = None
    by_site: dict[str, set[int]] = field(default_factory=dict)
    by_name: dict[int, float] = field(default_factory=dict)


def names_of(entry: Entry) -> set[str]:
    """Return the entry's names, normalised."""
    return {normalise(name) for name in (entry.title, *entry.other_titles) if name}


def needs_names(entry: Entry, hits: Hits) -> bool:
    """Say whether only names can tell what the entry is."""
    return not (entry.mangadex_id or entry.legacy_id or hits.by_site)


def decide(entry: Entry, hits: Hits, titles: Mapping[int, CatalogueTitle]) -> Match:
    """Return what the entry is, by the first of id, links and names that says anything."""
    if hits.by_id is not None:
        by = "id" if entry.legacy_id is None else "legacy"
        return _matched(by, titles[hits.by_id], "its MangaDex id")
    if entry.mangadex_id is not None:
        return Match("wanted", why="its MangaDex id is not in the catalogue yet")
    if entry.legacy_id is not None:
        return Match("wanted", why=f"MangaDex's old number {entry.legacy_id} is to be looked up")
    if hits.by_site:
        return _by_links(entry, hits.by_site, titles)
    return _by_names(entry, hits.by_name, titles)


def _by_links(
    entry: Entry, by_site: Mapping[str, set[int]], titles: Mapping[int, CatalogueTitle]
) -> Match:
    """Take the title on which all sites agree; of several, the one of the entry's own name."""
    sites = ", ".join(sorted(by_site))
    shared = set.intersection(*by_site.values())
    if not shared:
        everything = [titles[id] for id in sorted(set.union(*by_site.values()))]
        return _doubtful(entry, everything, f"its ids disagree ({sites})")
    if len(shared) == 1:
        return _matched("link", titles[shared.pop()], f"its id at {sites}")
    found = [titles[id] for id in sorted(shared)]
    named = [title for title in found if names_of(entry) & title.names]
    if len(named) == 1:
        return _matched("link", named[0], f"its id at {sites}, and its name")
    return _doubtful(entry, found, f"several titles have its id ({sites})")


def _by_names(
    entry: Entry, by_name: Mapping[int, float], titles: Mapping[int, CatalogueTitle]
) -> Match:
    order = sorted(by_name, key=lambda id: (-by_name[id], id))
    near = [titles[id] for id in order]
    equal = [titles[id] for id in order if by_name[id] >= 100]
    sure = equal or [titles[id] for id in order if by_name[id] >= SURE]
    if len(sure) > 1:
        sure = _by_author(entry, sure) or sure
    if len(sure) == 1 and entry.is_oneshot:
        return _doubtful(entry, near, "a oneshot: a series may have the same name")
    if len(sure) == 1:
        return _matched("title", sure[0], "its name" if equal else "nearly its name")
    if sure:
        return _doubtful(entry, sure, f"{len(sure)} titles have its name")
    if near:
        return _doubtful(entry, near, "names like it")
    why = "no title has its name" if entry.title else "no title has its id"
    return Match("unmatched", why=why)


def _by_author(entry: Entry, titles: Sequence[CatalogueTitle]) -> list[CatalogueTitle]:
    """Return the only title of the entry's author; an author alone identifies nothing."""
    author = normalise(entry.author)
    found = [each for each in titles if author and normalise(each.author) == author]
    return found if len(found) == 1 else []


def _matched(by: str, title: CatalogueTitle, why: str) -> Match:
    return Match("matched", by, title.manga_id, title.title, why=why)


def _doubtful(entry: Entry, titles: Iterable[CatalogueTitle], why: str) -> Match:
    """Return the candidates, those with the entry's own name first."""
    own = names_of(entry)
    order = sorted(titles, key=lambda each: not own & each.names)
    shown = tuple(Candidate(each.manga_id, each.title) for each in order[:MOST_CANDIDATES])
    return Match("doubtful", candidates=shown, why=why)
