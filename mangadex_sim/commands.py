"""All orders as Python methods: the same for a simulator in this process and in another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mangadex_sim.catalogue.models import Json

Manga = str | int  # a title's id, or its index


class Commands(ABC):
    """Orders to a simulator; ValueError, TypeError or LookupError for a bad one."""

    @abstractmethod
    def order(self, path: str, **order: object) -> Json:
        """Carry out one order of the control endpoint."""

    # --- titles --------------------------------------------------------------------------------

    def add_titles(self, count: int = 1, **attributes: object) -> list[str]:
        """Add titles; return their ids. Attributes: see title_orders.TITLE_KEYS."""
        return _ids(self.order("titles/add", count=count, attributes=attributes))

    def add_title(self, **attributes: object) -> str:
        """Add one title; return its id."""
        return self.add_titles(1, **attributes)[0]

    def edit_title(self, manga: Manga, **attributes: object) -> None:
        """Change attributes; version and updatedAt move."""
        self.order("titles/edit", manga=manga, attributes=attributes)

    def remove_title(self, *manga: Manga) -> None:
        """Delete titles."""
        self.order("titles/remove", manga=list(manga))

    def restore_title(self, *manga: Manga) -> None:
        """Bring removed titles back."""
        self.order("titles/restore", manga=list(manga))

    def title_ids(self, first: int = 0, count: int = 100) -> list[str]:
        """Return the ids of titles by index."""
        return _ids(self.order("titles/ids", first=first, count=count))

    def set_cover(self, manga: Manga, kind: str = "jpeg", width: int = 0, height: int = 0) -> None:
        """Change what a title has as its cover; kinds: see server.covers.KINDS."""
        size = {"height": height} if height else {}
        self.order("covers/set", manga=manga, kind=kind, width=width, **size)

    # --- chapters ------------------------------------------------------------------------------

    def publish(self, manga: Manga, **chapter: object) -> str:
        """Add a chapter; return its id. Without a number it is the title's next one.

        Keys: see chapter_orders.CHAPTER_KEYS; `in_s` schedules it, `groups` takes names or ids.
        """
        return _ids(self.order("chapters/publish", manga=manga, **chapter))[0]

    def publish_many(self, chapters: Sequence[Json]) -> list[str]:
        """Add chapters, each an object with `manga` and the keys of `publish`."""
        return _ids(self.order("chapters/publish", chapters=list(chapters)))

    def spread_chapters(self, count: int, hours: float = 48) -> list[str]:
        """Publish chapters of many titles, spread over the last hours."""
        return _ids(self.order("chapters/spread", count=count, hours=hours))

    def edit_chapter(self, chapter: str, **changes: object) -> None:
        """Correct a chapter; version and updatedAt move."""
        self.order("chapters/edit", chapter=chapter, **changes)

    def remove_chapter(self, *chapter: str) -> None:
        """Delete chapters."""
        self.order("chapters/remove", chapter=list(chapter))

    def make_unavailable(self, chapter: str, value: bool = True) -> None:
        """Take a chapter down, or bring it back."""
        self.order("chapters/unavailable", chapter=chapter, value=value)

    def list_chapters(self, manga: Manga) -> list[Json]:
        """Return all rows of a title, also those that no list shows."""
        rows: list[Json] = self.order("chapters/list", manga=manga)["chapters"]
        return rows

    # --- accounts ------------------------------------------------------------------------------

    def add_account(self, **account: object) -> None:
        """Add an account: username, password, client_id, client_secret, approved, token_s (s).

        Also its `statuses` (from id to reading, on_hold, …) and `follows` (ids).
        """
        self.order("accounts/add", **account)

    def end_tokens(self) -> None:
        """Make all access and refresh tokens invalid."""
        self.order("accounts/end-tokens")

    def add_list(self, *titles: str, **about: object) -> str:
        """Add a custom list of titles (name, public, owner); return its id."""
        made: str = self.order("lists/add", titles=list(titles), **about)["id"]
        return made

    # --- behaviour -----------------------------------------------------------------------------

    def stats(self) -> Json:
        """Return what was asked since the last reset."""
        return self.order("stats")

    def reset(self) -> None:
        """Forget counts, faults, slowness, outage, ban and window; the catalogue stays."""
        self.order("reset")

    def slow(self, ms: float) -> None:
        """Answer this long after the arrival of a request."""
        self.order("slow", ms=ms)

    def fail(self, mode: str, **how: object) -> None:
        """Fail in a named mode: once, unless `count`, `active_s` or `probability` say otherwise.

        Further keys: see faults.Fault and the package's docstring.
        """
        self.order("fail", mode=mode, **how)

    def heal(self) -> None:
        """Drop all ordered failures."""
        self.order("heal")

    def down(self, seconds: float | None = None, refuse: bool = False) -> None:
        """Close connections without an answer, or refuse them, for a time or until `up`."""
        self.order("down", seconds=seconds, refuse=refuse)

    def up(self) -> None:
        """End an outage."""
        self.order("up")

    def shift_clock(self, shift_s: float) -> None:
        """Set the site's clock to so many seconds after the real one."""
        self.order("clock", shift_s=shift_s)

    def change_settings(self, **changes: object) -> Json:
        """Change rules (see settings.Settings); return all of them."""
        return self.order("settings", **changes)


def _ids(answer: Json) -> list[str]:
    ids: list[str] = answer["ids"]
    return ids
