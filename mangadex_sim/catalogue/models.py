"""Value types of the stand-in, and the errors that the API answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

# JSON objects as they are sent.
Json = dict[str, Any]

RATINGS = ("safe", "suggestive", "erotica", "pornographic")
STATUSES = ("ongoing", "completed", "hiatus", "cancelled")
DEMOGRAPHICS = ("shounen", "shoujo", "josei", "seinen")


class Facts(NamedTuple):
    """What lists are filtered and sorted by, known for each title without building it."""

    rating: str
    status: str
    language: str
    demographic: str | None
    created: int
    updated: int
    follows: int


class Reference(NamedTuple):
    """One relationship: type and id, attributes where it can be expanded at all."""

    type: str
    id: str
    attributes: Json | None = None
    related: str | None = None


@dataclass(frozen=True, slots=True)
class MangaEntry:
    """A manga entry as the API knows it at one moment."""

    index: int
    id: str
    attributes: Json
    references: list[Reference]


class ChapterRow(NamedTuple):
    """A chapter row. Instants are epoch seconds; readable follows from the other three."""

    key: int
    manga: int
    number: str | None
    volume: str | None
    title: str | None
    language: str
    external_url: str | None
    pages: int
    created: int
    updated: int
    publish: int
    version: int
    unavailable: bool
    groups: tuple[str, ...]
    uploader: str | None

    @property
    def readable(self) -> int:
        """When it can be read at all: at once if it is a link whose publishAt lies ahead."""
        if self.external_url is not None and self.publish > self.created:
            return self.created
        return self.publish


class SimulatedError(Exception):
    """An error that the API answers as JSON: HTTP status, MangaDex's title, a sentence."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def invalid_query(detail: str) -> SimulatedError:
    """Return the 400 of the closed query schema."""
    return SimulatedError(400, "validation_exception", detail)


def not_found(detail: str) -> SimulatedError:
    """Return the 404 of an entity that is deleted or never was."""
    return SimulatedError(404, "not_found_http_exception", detail)
