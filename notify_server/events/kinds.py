"""An event as it was posted, and what it says to its readers: message, data and changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Number = int | float

# The kinds of event, as routes, outbox and batch call them, and the type of their datagrams.
DATAGRAM_TYPES = {
    "new-manga": "NEW_MANGA",
    "new-chapter": "NEW_CHAPTER",
    "manga-update": "MANGA_UPDATE",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A checked event, ready to be stored.

    Attributes:
        kind: `new-manga`, `new-chapter` or `manga-update`.
        data, changes: the fields of the datagram, and of `notifications.data`.
    """

    event_id: str
    kind: str
    manga_id: int
    title: str
    message: str
    data: dict[str, Json]
    changes: list[Json]

    @property
    def datagram_type(self) -> str:
        return DATAGRAM_TYPES[self.kind]

    @property
    def audience(self) -> str:
        """All `users`, or those with the title in their library: its `readers`."""
        return "users" if self.kind == "new-manga" else "readers"


def new_manga(event_id: str, manga_id: int, title: str) -> Event:
    return Event(event_id, "new-manga", manga_id, title, f"New manga added: {title}", {}, [])


def new_chapter(
    event_id: str,
    manga_id: int,
    title: str,
    chapter: Number | None,
    old_chapter: Number | None,
    chapters: list[Number],
) -> Event:
    """One new chapter, or several where `chapters` lists them; `chapter` is the highest then."""
    data: dict[str, Json] = {"chapter": chapter}
    if chapters:
        data["chapters"] = list(chapters)
    change: Json = {"field": "current_chapter", "old_value": old_chapter, "new_value": chapter}
    message = _chapter_message(chapter, old_chapter, chapters)
    return Event(event_id, "new-chapter", manga_id, title, message, data, [change])


def _chapter_message(
    chapter: Number | None, old_chapter: Number | None, chapters: list[Number]
) -> str:
    old = f" (was chapter {old_chapter})" if old_chapter is not None else ""
    if len(chapters) > 1:
        low, high = min(chapters), max(chapters)
        span = f"{low}–{high}" if low != high else f"{low}"
        return f"{len(chapters)} new chapters available: {span}{old}"
    if chapter is None:
        return "New chapter available"
    return f"New chapter {chapter} available{old}"


def manga_update(
    event_id: str, manga_id: int, title: str, fields: list[str], changes: list[Json]
) -> Event:
    """`changes` holds field, old and new value of each of `fields`."""
    message = f"Updated: {_joined(fields)}"
    data: dict[str, Json] = {"updated_fields": list(fields)}
    return Event(event_id, "manga-update", manga_id, title, message, data, changes)


def _joined(names: list[str]) -> str:
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
