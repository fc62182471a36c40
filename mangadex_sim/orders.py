"""What may be ordered about titles and chapters, as JSON in and JSON out.

ValueError, TypeError or KeyError name a bad order; the control endpoint answers them with 400.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mangadex_sim.chapters import FAR_FUTURE, number_release
from mangadex_sim.clock import Clock, format_instant, parse_instant
from mangadex_sim.ids import USER, UUID_PATTERN
from mangadex_sim.shapes import Chapter, Facts, Json, Reference
from mangadex_sim.shelf import Shelf
from mangadex_sim.traits import has_trait, is_external

# Attribute → field of Facts: lists filter and sort by these.
_FACTS = {"contentRating": "rating", "status": "status", "originalLanguage": "language",
          "publicationDemographic": "demographic"}
_INSTANTS = {"createdAt": "created", "updatedAt": "updated"}
_TEXTS = ("title", "description")  # a text is taken as the English one
_OTHERS = ("altTitles", "isLocked", "links", "officialLinks", "lastVolume", "lastChapter", "year",
           "state", "chapterNumbersResetOnNewVolume", "availableTranslatedLanguages",
           "latestUploadedChapter", "version")
_SPECIAL = ("authors", "artists", "tags", "cover", "followedCount", "absent")
TITLE_KEYS = (*_FACTS, *_INSTANTS, *_TEXTS, *_OTHERS, *_SPECIAL)

CHAPTER_KEYS = ("number", "volume", "title", "language", "groups", "uploader", "createdAt",
                "updatedAt", "publishAt", "readableAt", "in_s", "externalUrl", "pages",
                "unavailable", "version")

_PLAIN_NUMBERS = ("numbers_restart", "numbers_from_zero", "halves", "letters", "blanks",
                  "unnumbered", "odd_volume", "no_group", "legacy_no_group")


class Orders:
    """Carries out orders on a shelf. The caller holds the shelf's lock."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock

    # --- titles --------------------------------------------------------------------------------

    def add_titles(self, order: Json) -> Json:
        """Append titles: `count` with the same attributes, or a list `titles` of attributes."""
        wanted = order.get("titles")
        if wanted is None:
            wanted = [order.get("attributes") or {}] * int(order.get("count", 1))
        indexes = [self._add_title(each) for each in wanted]
        return {"ids": [self._shelf.ids.title(each) for each in indexes], "indexes": indexes}

    def _add_title(self, attributes: Json) -> int:
        _refuse_unknown(attributes, TITLE_KEYS)
        now = self._clock.now()
        created = parse_instant(attributes.get("createdAt", now))
        facts = Facts("safe", "ongoing", "ja", None, created, created, 0)
        index = self._shelf.add_title(_change_facts(facts, attributes))
        self._change(index, attributes)
        return index

    def edit_title(self, order: Json) -> Json:
        """Change attributes of a title: version and updatedAt move unless they are given."""
        index, attributes = self._title(order), order.get("attributes") or {}
        _refuse_unknown(attributes, TITLE_KEYS)
        facts = self._shelf.facts(index)._replace(updated=self._clock.now())
        self._shelf.patched_facts[index] = _change_facts(facts, attributes)
        edit = self._shelf.edit(index)
        edit.versions = 0 if "version" in attributes else edit.versions + 1
        self._change(index, attributes)
        return {"id": self._shelf.ids.title(index)}

    def _change(self, index: int, attributes: Json) -> None:
        edit = self._shelf.edit(index)
        for name in _TEXTS:
            if name in attributes:
                value = attributes[name]
                edit.attributes[name] = {"en": value} if isinstance(value, str) else value
        edit.attributes |= {name: attributes[name] for name in _OTHERS if name in attributes}
        edit.absent |= set(attributes.get("absent") or ())
        edit.cover_revision += bool(attributes.get("cover"))
        if "tags" in attributes:
            numbers = [self._shelf.tags.by_name[name] for name in attributes["tags"]]
            edit.attributes["tags"] = self._shelf.tags.entities(numbers, empty_as_list=False)
        if "authors" in attributes or "artists" in attributes:
            edit.makers = list(self._makers(attributes))

    def _makers(self, attributes: Json) -> Iterator[Reference]:
        authors = attributes.get("authors") or ()
        for kind, people in (("author", authors), ("artist", attributes.get("artists", authors))):
            for name in people or ():
                yield self._shelf.people.named_author(kind, str(name))

    def remove_titles(self, order: Json) -> Json:
        """Delete the titles `manga`: an id, an index, or a list of them."""
        indexes = [self._index(each) for each in _listed(order["manga"])]
        for index in indexes:
            self._shelf.remove_title(index)
        return {"ids": [self._shelf.ids.title(each) for each in indexes]}

    def restore_titles(self, order: Json) -> Json:
        """Bring removed titles back."""
        indexes = [self._index(each) for each in _listed(order["manga"])]
        for index in indexes:
            self._shelf.restore_title(index)
        return {"ids": [self._shelf.ids.title(each) for each in indexes]}

    def list_ids(self, order: Json) -> Json:
        """Return the ids of `count` titles from index `first`, removed ones included."""
        first = int(order.get("first", 0))
        last = min(self._shelf.size, first + int(order.get("count", 100)))
        return {"ids": [self._shelf.ids.title(index) for index in range(first, last)],
                "titles": self._shelf.size, "removed": len(self._shelf.removed)}

    def _title(self, order: Json) -> int:
        return self._index(order["manga"])

    def _index(self, manga: object) -> int:
        if isinstance(manga, int) and not isinstance(manga, bool):
            if 0 <= manga < self._shelf.size:
                return manga
            raise ValueError(f"no title has the index {manga}")
        index = self._shelf.find_index(str(manga))
        if index is None:
            raise ValueError(f"no title has the id {manga!r}")
        return index

    # --- chapters ------------------------------------------------------------------------------

    def publish(self, order: Json) -> Json:
        """Add chapters: one, or a list `chapters` of such orders."""
        wanted = order.get("chapters")
        published = [self._publish(each) for each in (wanted if wanted is not None else [order])]
        return {"ids": [self._shelf.ids.to_text(each.key) for each in published]}

    def _publish(self, order: Json) -> Chapter:
        fields = {name: value for name, value in order.items() if name != "manga"}
        _refuse_unknown(fields, CHAPTER_KEYS)
        index, now = self._title(order), self._clock.now()
        volume, number = number_release(index, self._next_release(index))
        plain = Chapter(
            key=self._shelf.new_chapter_key(), manga=index, number=number, volume=volume,
            title=None, language="en", external_url=None, pages=20, created=now, updated=now,
            publish=now, version=1, unavailable=False,
            groups=(self._shelf.people.group_ids[index % 400],),
            uploader=self._shelf.people.user_ids[index % 900])
        chapter = self._change_chapter(plain, fields)
        if "updatedAt" not in fields:
            chapter = chapter._replace(updated=chapter.created)
        self._shelf.put_chapter(chapter)
        return chapter

    def _next_release(self, index: int) -> int:
        columns = self._shelf.columns
        base = columns.releases[index] if index < columns.count else 0
        return base + self._shelf.count_published(index)

    def _change_chapter(self, chapter: Chapter, fields: Json) -> Chapter:
        chapter = chapter._replace(**_plain_changes(fields))
        if "groups" in fields:
            chapter = chapter._replace(groups=tuple(
                each if UUID_PATTERN.fullmatch(each) else self._shelf.people.name_group(each)
                for each in _listed(fields["groups"])))
        if "uploader" in fields:
            chapter = chapter._replace(uploader=self._user(fields["uploader"]))
        return _schedule(chapter, fields, self._clock.now())

    def _user(self, user: object) -> str | None:
        if user is None or UUID_PATTERN.fullmatch(str(user)):
            return None if user is None else str(user).lower()
        return self._shelf.ids.named(USER, str(user))

    def edit_chapter(self, order: Json) -> Json:
        """Change a chapter; version and updatedAt move unless they are given."""
        fields = {name: value for name, value in order.items() if name != "chapter"}
        _refuse_unknown(fields, CHAPTER_KEYS)
        chapter = self._find(order)
        moved = chapter._replace(updated=self._clock.now(), version=chapter.version + 1)
        self._shelf.put_chapter(self._change_chapter(moved, fields))
        return {"id": self._shelf.ids.to_text(chapter.key)}

    def remove_chapters(self, order: Json) -> Json:
        """Delete the chapters `chapter`: an id or a list of them."""
        chapters = [self._find({"chapter": each}) for each in _listed(order["chapter"])]
        for chapter in chapters:
            self._shelf.remove_chapter(chapter)
        return {"ids": [self._shelf.ids.to_text(each.key) for each in chapters]}

    def make_unavailable(self, order: Json) -> Json:
        """Take a chapter down; `value: false` brings it back."""
        chapter = self._find(order)
        self._shelf.put_chapter(chapter._replace(unavailable=bool(order.get("value", True))))
        return {"id": self._shelf.ids.to_text(chapter.key)}

    def _find(self, order: Json) -> Chapter:
        chapter = self._shelf.find_chapter(str(order["chapter"]))
        if chapter is None:
            raise ValueError(f"no chapter has the id {order['chapter']!r}")
        return chapter

    def list_chapters(self, order: Json) -> Json:
        """Return all rows of a title, also those that no list shows."""
        return {"chapters": [
            {"id": self._shelf.ids.to_text(each.key), "number": each.number,
             "volume": each.volume, "language": each.language, "unavailable": each.unavailable,
             "readableAt": format_instant(each.readable)}
            for each in self._shelf.chapters_of(self._title(order))]}

    def spread(self, order: Json) -> Json:
        """Publish `count` English chapters over the last `hours`, on plainly numbered titles.

        Title after title gets its next chapter, then all of them another, until there are enough.
        """
        count, hours = int(order["count"]), float(order.get("hours", 48))
        now, step_s = self._clock.now(), hours * 3_600 / max(1, count)
        eligible = [index for index in self._shelf.indexes() if self._is_plain(index)]
        if count and not eligible:
            raise ValueError("no title of the catalogue is fit for it")
        stride = max(1, len(eligible) // max(1, count))
        chapters = []
        for position in range(count):
            index = eligible[position * stride % len(eligible)]
            created = now - int((count - position) * step_s)
            chapters.append(self._publish({"manga": index, "createdAt": created,
                                           "publishAt": created}))
        return {"ids": [self._shelf.ids.to_text(each.key) for each in chapters]}

    def _is_plain(self, index: int) -> bool:
        """Tell whether a title's next chapter is plainly news: numbered, English, listed."""
        columns = self._shelf.columns
        return (index < columns.count and columns.releases[index] > 0
                and self._shelf.rating(index) != "pornographic"
                and not is_external(index)
                and not any(has_trait(index, trait) for trait in _PLAIN_NUMBERS)
                and "en" in self._shelf.history.languages(index))


def _plain_changes(fields: Json) -> Json:
    """Return the fields that need no more than a conversion."""
    readers = {"language": str, "pages": int, "unavailable": bool, "version": int}
    changes: Json = {name: read(fields[name]) for name, read in readers.items() if name in fields}
    for name in ("number", "volume", "title"):
        if name in fields:
            changes[name] = None if fields[name] is None else str(fields[name])
    if "externalUrl" in fields:
        link = fields["externalUrl"]
        changes["external_url"] = str(link) if link else None
        if link:
            changes |= {"pages": changes.get("pages", 0), "publish": FAR_FUTURE}
    return changes


def _schedule(chapter: Chapter, fields: Json, now: int) -> Chapter:
    """Set the instants; what is published in the past was made then, if nothing else is said."""
    if "createdAt" in fields:
        created = parse_instant(fields["createdAt"])
        publish = chapter.publish if chapter.external_url else created
        chapter = chapter._replace(created=created, publish=publish)
    if "readableAt" in fields and chapter.external_url:
        chapter = chapter._replace(created=parse_instant(fields["readableAt"]))
    elif "readableAt" in fields or "publishAt" in fields:
        publish = parse_instant(fields.get("publishAt", fields.get("readableAt")))
        created = chapter.created if "createdAt" in fields else min(chapter.created, publish)
        chapter = chapter._replace(publish=publish, created=created)
    if "in_s" in fields:
        chapter = chapter._replace(publish=now + int(fields["in_s"]))
    if "updatedAt" in fields:
        chapter = chapter._replace(updated=parse_instant(fields["updatedAt"]))
    return chapter


def _change_facts(facts: Facts, attributes: Json) -> Facts:
    changes: Json = {field: attributes[name] for name, field in _FACTS.items()
                     if name in attributes}
    changes |= {field: parse_instant(attributes[name]) for name, field in _INSTANTS.items()
                if name in attributes}
    if "followedCount" in attributes:
        changes["follows"] = int(attributes["followedCount"])
    return facts._replace(**changes)


def _refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")


def _listed(value: object) -> list[str]:
    """Return a list of what may be one thing or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]  # type: ignore[list-item]
