"""The catalogue as it is now: what is derived from the seed, changed by orders.

What is kept is what orders changed: added titles, changed attributes, removals, chapters that
were published or changed. `revision` rises with every order, and when a scheduled chapter becomes
readable; caches use it as their key.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mangadex_sim.catalogue.bulk_facts import BulkFacts
from mangadex_sim.catalogue.chapter_history import ChapterHistory
from mangadex_sim.catalogue.ids import CHAPTER, ORDERED_CHAPTER, TITLE, Ids, make_key, split_key
from mangadex_sim.catalogue.models import RATINGS, ChapterRow, Facts, Json, MangaEntry, Reference
from mangadex_sim.catalogue.people import People
from mangadex_sim.catalogue.tags import Tags
from mangadex_sim.catalogue.title_builder import TitleBuilder
from mangadex_sim.catalogue.traits import has_trait


@dataclass
class Edit:
    """What orders changed about one title."""

    attributes: Json = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)  # attributes to leave out
    makers: list[Reference] | None = None
    cover_revision: int = 0
    versions: int = 0


class Catalogue:
    """Titles and chapters as they are now. Not thread-safe: its user holds one lock."""

    def __init__(self, seed: int, count: int, history_end: int) -> None:
        self.ids = Ids(seed)
        self.people = People(seed, self.ids)
        self.tags = Tags(self.ids)
        self.bulk = BulkFacts(seed, count, history_end)
        self.history = ChapterHistory(seed, self.bulk, self.people)
        self.size = count  # titles ever, removed ones included
        self.removed: set[int] = set()
        self.patched_facts: dict[int, Facts] = {}
        self.edits: dict[int, Edit] = {}
        self.chapters: dict[int, ChapterRow] = {}  # published ones, and changed ones of the base
        self.gone: set[int] = set()  # keys of chapters that were removed
        self._ordered_of: dict[int, list[int]] = {}  # title → keys in self.chapters
        self._changed: set[int] = set()  # titles whose chapters are not the derived ones
        self._waiting: list[int] = []  # readable instants, rising
        self._revision = 0
        self._next_serial = 0
        self._builder = TitleBuilder(seed, self.ids, self.people, self.tags)

    # --- reading -----------------------------------------------------------------------------

    def revision(self, now: int) -> tuple[int, int]:
        """Return a value that changes when any answer might."""
        return self._revision, bisect_right(self._waiting, now)

    def indexes(self) -> Iterator[int]:
        """Yield the indexes of all titles that are there."""
        if not self.removed:
            return iter(range(self.size))
        return (index for index in range(self.size) if index not in self.removed)

    def has_title(self, index: int) -> bool:
        """Tell whether a title is there."""
        return 0 <= index < self.size and index not in self.removed

    def find_title(self, title_id: str) -> int | None:
        """Return the index behind an id, or None if it is deleted or never was."""
        index = self.find_index(title_id)
        return index if index is not None and self.has_title(index) else None

    def find_index(self, title_id: str) -> int | None:
        """Return the index behind an id, of a removed title too."""
        key = self.ids.to_key(title_id)
        if key is None:
            return None
        kind, index, sub = split_key(key)
        return index if kind == TITLE and sub == 0 and index < self.size else None

    def facts(self, index: int) -> Facts:
        """Return what lists filter and sort by."""
        return self.patched_facts.get(index) or self.bulk.facts(index)

    def rating(self, index: int) -> str:
        """Return a title's content rating; cheaper than all its facts."""
        patched = self.patched_facts.get(index)
        return patched.rating if patched else RATINGS[self.bulk.ratings[index]]

    def title(self, index: int, now: int) -> MangaEntry:
        """Return a title as it is at an instant."""
        releases = self.bulk.releases[index] if index < self.bulk.count else 0
        title = self._builder.build(index, self.facts(index), releases)
        title.attributes["availableTranslatedLanguages"] = self._languages(index, now)
        latest = self.latest_chapter(index, now)
        title.attributes["latestUploadedChapter"] = self.ids.to_text(latest[0]) if latest else None
        edit = self.edits.get(index)
        return self._apply(title, edit) if edit else title

    def _apply(self, title: MangaEntry, edit: Edit) -> MangaEntry:
        title.attributes.update(edit.attributes)
        if isinstance(title.attributes["version"], int):
            title.attributes["version"] += edit.versions
        for name in edit.absent:
            title.attributes.pop(name, None)
        references = [
            self.people.cover(title.index, edit.cover_revision, self.facts(title.index).created)
            if reference.type == "cover_art"
            else reference
            for reference in title.references
        ]
        if edit.makers is not None:
            others = [each for each in references if each.type not in ("author", "artist")]
            references = [*edit.makers, *others]
        return replace(title, references=references)

    def _languages(self, index: int, now: int) -> list[str | None]:
        languages: list[str | None] = list(self.history.languages(index))
        for key in self._ordered_of.get(index, ()):
            chapter = self.chapters[key]
            if chapter.language not in languages and chapter.readable <= now:
                languages.append(chapter.language)
        return [*languages, None] if has_trait(index, "languages_with_null") else languages

    def latest_chapter(self, index: int, now: int) -> tuple[int, int] | None:
        """Return (key, readable) of a title's newest readable chapter in any language."""
        if index not in self._changed:
            return self.history.latest(index)
        readable = [
            (chapter.readable, chapter.key)
            for chapter in self.chapters_of(index)
            if chapter.readable <= now and not chapter.unavailable
        ]
        return (max(readable)[1], max(readable)[0]) if readable else None

    def latest_instant(self, index: int, now: int) -> int:
        """Return when the newest readable chapter of a title came; 0 for none."""
        if index not in self._changed and index < self.bulk.count:
            return self.history.latest_instant(index)
        latest = self.latest_chapter(index, now)
        return latest[1] if latest else 0

    def chapters_of(self, index: int) -> list[ChapterRow]:
        """Return all rows of a title, future and unavailable ones too; none if it is removed."""
        if not self.has_title(index):
            return []
        base = [each for each in self.history.of_title(index) if self.is_untouched(each.key)]
        return base + [self.chapters[key] for key in self._ordered_of.get(index, ())]

    def is_untouched(self, key: int) -> bool:
        """Tell whether a base row stands as it was derived."""
        return key not in self.chapters and key not in self.gone

    def find_chapter(self, chapter_id: str) -> ChapterRow | None:
        """Return the row behind an id, or None if it is removed or never was."""
        key = self.ids.to_key(chapter_id)
        if key is None or key in self.gone:
            return None
        chapter = self.chapters.get(key)
        if chapter is None and split_key(key)[0] == CHAPTER:
            chapter = self.history.find(*split_key(key)[1:])
        return chapter if chapter and self.has_title(chapter.manga) else None

    # --- orders ------------------------------------------------------------------------------

    def touch(self) -> None:
        """Note that something changed."""
        self._revision += 1

    def add_title(self, facts: Facts) -> int:
        """Append a title, without chapters; return its index."""
        index, self.size = self.size, self.size + 1
        self.patched_facts[index] = facts
        self.touch()
        return index

    def edit(self, index: int) -> Edit:
        """Return the record of a title's changes, to be written into."""
        self.touch()
        return self.edits.setdefault(index, Edit())

    def remove_title(self, index: int) -> None:
        """Delete a title; its chapters go with it."""
        self.removed.add(index)
        self.touch()

    def restore_title(self, index: int) -> None:
        """Bring a removed title back as it was."""
        self.removed.discard(index)
        self.touch()

    def new_chapter_key(self) -> int:
        """Return the key of the next published chapter."""
        self._next_serial += 1
        return make_key(ORDERED_CHAPTER, self._next_serial)

    def put_chapter(self, chapter: ChapterRow) -> None:
        """Add a chapter, or replace the one of the same key."""
        if chapter.key not in self.chapters:
            self._ordered_of.setdefault(chapter.manga, []).append(chapter.key)
        self.chapters[chapter.key] = chapter
        self._changed.add(chapter.manga)
        self.gone.discard(chapter.key)
        insort(self._waiting, chapter.readable)
        self.touch()

    def remove_chapter(self, chapter: ChapterRow) -> None:
        """Delete a chapter: it just stops being listed."""
        if self.chapters.pop(chapter.key, None):
            self._ordered_of[chapter.manga].remove(chapter.key)
        self.gone.add(chapter.key)
        self._changed.add(chapter.manga)
        self.touch()

    def count_published(self, index: int) -> int:
        """Return how many chapters of a title came by order."""
        return sum(split_key(key)[0] == ORDERED_CHAPTER for key in self._ordered_of.get(index, ()))
