"""What may be ordered about chapters: JSON in, JSON out."""

from __future__ import annotations

from mangadex_sim.catalogue.chapter_history import FAR_FUTURE, number_release
from mangadex_sim.catalogue.clock import Clock, format_instant
from mangadex_sim.catalogue.ids import USER, UUID_PATTERN
from mangadex_sim.catalogue.models import ChapterRow, Json
from mangadex_sim.catalogue.state import Catalogue
from mangadex_sim.catalogue.traits import has_trait, is_external
from mangadex_sim.orders.order_fields import (
    LAST_INSTANT,
    as_list,
    read_index,
    read_instant,
    read_number,
    read_whole,
    refuse_unknown,
)

CHAPTER_KEYS = (
    "number",
    "volume",
    "title",
    "language",
    "groups",
    "uploader",
    "createdAt",
    "updatedAt",
    "publishAt",
    "readableAt",
    "in_s",
    "externalUrl",
    "pages",
    "unavailable",
    "version",
)

_PLAIN_NUMBERS = (
    "numbers_restart",
    "numbers_from_zero",
    "halves",
    "letters",
    "blanks",
    "unnumbered",
    "odd_volume",
    "no_group",
    "legacy_no_group",
)


class ChapterOrders:
    """Carries out orders on a catalogue. The caller holds the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    def publish(self, order: Json) -> Json:
        """Add chapters: one, or a list `chapters` of such orders."""
        wanted = order.get("chapters")
        published = [self._publish(each) for each in (wanted if wanted is not None else [order])]
        return {"ids": [self._catalogue.ids.to_text(each.key) for each in published]}

    def _publish(self, order: Json) -> ChapterRow:
        fields = {name: value for name, value in order.items() if name != "manga"}
        refuse_unknown(fields, CHAPTER_KEYS)
        index, now = read_index(self._catalogue, order["manga"]), self._clock.now()
        volume, number = number_release(index, self._next_release(index))
        plain = ChapterRow(
            key=self._catalogue.new_chapter_key(),
            manga=index,
            number=number,
            volume=volume,
            title=None,
            language="en",
            external_url=None,
            pages=20,
            created=now,
            updated=now,
            publish=now,
            version=1,
            unavailable=False,
            groups=(self._catalogue.people.group_ids[index % 400],),
            uploader=self._catalogue.people.user_ids[index % 900],
        )
        chapter = self._change_chapter(plain, fields)
        if "updatedAt" not in fields:
            chapter = chapter._replace(updated=chapter.created)
        self._catalogue.put_chapter(chapter)
        return chapter

    def _next_release(self, index: int) -> int:
        bulk = self._catalogue.bulk
        base = bulk.releases[index] if index < bulk.count else 0
        return base + self._catalogue.count_published(index)

    def _change_chapter(self, chapter: ChapterRow, fields: Json) -> ChapterRow:
        chapter = chapter._replace(**_plain_changes(fields))
        if "groups" in fields:
            chapter = chapter._replace(
                groups=tuple(self._group(each) for each in as_list(fields["groups"]))
            )
        if "uploader" in fields:
            chapter = chapter._replace(uploader=self._user(fields["uploader"]))
        return _schedule(chapter, fields, self._clock.now())

    def _group(self, group: object) -> str:
        if UUID_PATTERN.fullmatch(str(group)):
            return str(group).lower()
        return self._catalogue.people.name_group(str(group))

    def _user(self, user: object) -> str | None:
        if user is None or UUID_PATTERN.fullmatch(str(user)):
            return None if user is None else str(user).lower()
        return self._catalogue.ids.named(USER, str(user))

    def edit(self, order: Json) -> Json:
        """Change a chapter; version and updatedAt move unless they are given."""
        fields = {name: value for name, value in order.items() if name != "chapter"}
        refuse_unknown(fields, CHAPTER_KEYS)
        chapter = self._find(order)
        moved = chapter._replace(updated=self._clock.now(), version=chapter.version + 1)
        self._catalogue.put_chapter(self._change_chapter(moved, fields))
        return {"id": self._catalogue.ids.to_text(chapter.key)}

    def remove(self, order: Json) -> Json:
        """Delete the chapters `chapter`: an id or a list of them."""
        chapters = [self._find({"chapter": each}) for each in as_list(order["chapter"])]
        for chapter in chapters:
            self._catalogue.remove_chapter(chapter)
        return {"ids": [self._catalogue.ids.to_text(each.key) for each in chapters]}

    def make_unavailable(self, order: Json) -> Json:
        """Take a chapter down; `value: false` brings it back."""
        chapter = self._find(order)
        self._catalogue.put_chapter(chapter._replace(unavailable=bool(order.get("value", True))))
        return {"id": self._catalogue.ids.to_text(chapter.key)}

    def _find(self, order: Json) -> ChapterRow:
        chapter = self._catalogue.find_chapter(str(order["chapter"]))
        if chapter is None:
            raise ValueError(f"no chapter has the id {order['chapter']!r}")
        return chapter

    def list_rows(self, order: Json) -> Json:
        """Return all rows of a title, also those that no list shows."""
        return {
            "chapters": [
                {
                    "id": self._catalogue.ids.to_text(each.key),
                    "number": each.number,
                    "volume": each.volume,
                    "language": each.language,
                    "unavailable": each.unavailable,
                    "readableAt": format_instant(each.readable),
                }
                for each in self._catalogue.chapters_of(read_index(self._catalogue, order["manga"]))
            ]
        }

    def spread(self, order: Json) -> Json:
        """Publish `count` English chapters over the last `hours`, on plainly numbered titles.

        Title after title gets its next chapter, then all of them another, until there are enough.
        """
        count = read_whole(order, "count", None, 0, 1_000_000)
        hours = read_number(order, "hours", 48, 0, 100_000)
        now, step_s = self._clock.now(), hours * 3_600 / max(1, count)
        eligible = [index for index in self._catalogue.indexes() if self._is_plain(index)]
        if count and not eligible:
            raise ValueError("no title of the catalogue is suitable")
        stride = max(1, len(eligible) // max(1, count))
        chapters = []
        for position in range(count):
            index = eligible[position * stride % len(eligible)]
            created = now - int((count - position) * step_s)
            chapters.append(
                self._publish({"manga": index, "createdAt": created, "publishAt": created})
            )
        return {"ids": [self._catalogue.ids.to_text(each.key) for each in chapters]}

    def _is_plain(self, index: int) -> bool:
        """Tell whether a title's next chapter is plainly news: numbered, English, listed."""
        bulk = self._catalogue.bulk
        return (
            index < bulk.count
            and bulk.releases[index] > 0
            and self._catalogue.rating(index) != "pornographic"
            and not is_external(index)
            and not any(has_trait(index, trait) for trait in _PLAIN_NUMBERS)
            and "en" in self._catalogue.history.languages(index)
        )


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


def _schedule(chapter: ChapterRow, fields: Json, now: int) -> ChapterRow:
    """Set the instants; what is published in the past was made then, if nothing else is said."""
    if "createdAt" in fields:
        created = read_instant(fields["createdAt"])
        publish = chapter.publish if chapter.external_url else created
        chapter = chapter._replace(created=created, publish=publish)
    if "readableAt" in fields and chapter.external_url:
        chapter = chapter._replace(created=read_instant(fields["readableAt"]))
    elif "readableAt" in fields or "publishAt" in fields:
        publish = read_instant(fields.get("publishAt", fields.get("readableAt")))
        created = chapter.created if "createdAt" in fields else min(chapter.created, publish)
        chapter = chapter._replace(publish=publish, created=created)
    if "in_s" in fields:
        chapter = chapter._replace(
            publish=now + read_whole(fields, "in_s", None, -now, LAST_INSTANT - 2 * now)
        )
    if "updatedAt" in fields:
        chapter = chapter._replace(updated=read_instant(fields["updatedAt"]))
    return chapter
