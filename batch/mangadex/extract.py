"""From the API's JSON to `Manga` and `Chapter`: pure, and strict about what is used.

A value of the wrong type is an ExtractionError that names the field; what the API is known to
omit, to set to null, or to send as `[]` for an empty map is accepted. See "Meaning of fields" in
the API's documentation (https://api.mangadex.org/docs/) and its OpenAPI description, version 5.13.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from batch.errors import ExtractionError
from batch.models import Chapter, JsonObject, Manga, Rejected, plain_decimal

COVERS_URL = "https://uploads.mangadex.org/covers"
MAX_TITLE = 2_000  # characters; the longest real ones have some 300
# Characters of an indexed text: index entries have to fit into a third of a database page.
MAX_KEY = 200
MAX_NAME = 500  # characters of one of a title's names, which are indexed
MAX_NAMES = 300
MAX_LANGUAGE = 20
STATUSES = frozenset({"ongoing", "completed", "hiatus", "cancelled"})
# The group of old imports that had none.
NO_GROUP = UUID("00e03853-1b96-4f41-9542-c71b8692033b")

Entity = TypeVar("Entity", Manga, Chapter)
Value = TypeVar("Value")

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_WHOLE_PART = re.compile(r"(\d{1,9})(\.\d+)?", re.ASCII)


class _Fault(Exception):
    """What is wrong with a field; becomes an ExtractionError together with the entity's id."""


def manga(entity: JsonObject) -> Manga:
    """Read one title.

    Raises:
        ExtractionError: it has no id or no usable title, or a field of the wrong type.
    """
    label = _label(entity)
    try:
        return _manga(entity)
    except _Fault as exc:
        raise ExtractionError(label, str(exc)) from None


def chapter(entity: JsonObject) -> Chapter:
    """Read one chapter upload; its `manga` relationship must be there.

    Raises:
        ExtractionError: it has no id, manga, language or date, or a field of the wrong type.
    """
    label = _label(entity)
    try:
        return _chapter(entity)
    except _Fault as exc:
        raise ExtractionError(label, str(exc)) from None


def each(
    read: Callable[[JsonObject], Entity], entities: Iterable[JsonObject]
) -> tuple[list[Entity], list[Rejected]]:
    """Read a page's entities with `manga` or `chapter` and why each unusable one is rejected."""
    found: list[Entity] = []
    rejected: list[Rejected] = []
    for entity in entities:
        try:
            found.append(read(entity))
        except ExtractionError as exc:
            rejected.append(Rejected(exc.mangadex_id, exc.reason))
    return found, rejected


def ids(entities: Iterable[JsonObject]) -> tuple[str, ...]:
    """Return the ids of the entities, each once; some come without one."""
    found = (_optional_uuid(entity.get("id")) for entity in entities)
    return tuple(dict.fromkeys(str(each) for each in found if each))


def _manga(entity: JsonObject) -> Manga:
    attributes = _attributes(entity)
    mangadex_id = _uuid(entity.get("id"), "id")
    related = list(_relationships(entity))
    return Manga(
        mangadex_id=mangadex_id,
        title=_title(attributes),
        description=_localised(attributes, "description"),
        author=_author(related),
        status=_status(attributes),
        total_chapters=_total_chapters(attributes),
        cover_url=_cover_url(mangadex_id, related),
        genres=_genres(attributes),
        content_rating=_text(attributes, "contentRating") or "safe",
        numbering_restarts=_flag(attributes, "chapterNumbersResetOnNewVolume"),
        created_at=_moment(attributes, "createdAt"),
        version=_whole(attributes, "version", 1),
        titles=_all_titles(attributes),
        links=_links(attributes),
    )


def _chapter(entity: JsonObject) -> Chapter:
    attributes = _attributes(entity)
    related = list(_relationships(entity))
    language = _key(attributes, "translatedLanguage")
    if not language:
        raise _Fault("attributes.translatedLanguage is missing")
    readable_at = _readable_at(attributes)
    return Chapter(
        mangadex_chapter_id=_uuid(entity.get("id"), "id"),
        manga_mangadex_id=_uuid(_first_id(related, "manga"), "the related manga's id"),
        translated_language=language,
        volume=_key(attributes, "volume"),
        number=plain_decimal(_text(attributes, "chapter")),
        title=_optional(_text, attributes, "title") or None,
        external_url=_optional(_text, attributes, "externalUrl") or None,
        pages=_optional(_whole, attributes, "pages") or 0,
        readable_at=readable_at,
        appeared_at=_appeared_at(attributes, readable_at),
        groups=_group_ids(related),
        uploader=_optional_uuid(_first_id(related, "user")),
        is_unavailable=_flag(attributes, "isUnavailable"),
        group_names=_group_names(related),
    )


def _label(entity: JsonObject) -> str:
    identifier = entity.get("id")
    if isinstance(identifier, str) and _UUID.fullmatch(identifier):
        return identifier.lower()
    return f"an entity with the id {_shown(identifier) if identifier is not None else None}"


def _attributes(entity: JsonObject) -> JsonObject:
    attributes = entity.get("attributes")
    if not isinstance(attributes, Mapping):
        raise _Fault(f"attributes is {_kind(attributes)}, not an object")
    return attributes


def _relationships(entity: JsonObject) -> Iterator[JsonObject]:
    relationships = _list(entity.get("relationships"), "relationships")
    return (item for item in relationships if isinstance(item, Mapping))


def _title(attributes: JsonObject) -> str:
    title = _localised(attributes, "title") or _alternative_title(attributes)
    if not title:
        raise _Fault("attributes.title is empty")
    if len(title) > MAX_TITLE:
        raise _Fault(
            f"attributes.title has {len(title):,} characters, at most {MAX_TITLE:,} are allowed"
        )
    return title


def _alternative_title(attributes: JsonObject) -> str | None:
    alternatives = attributes.get("altTitles")
    for item in alternatives if isinstance(alternatives, list) else []:
        for text in item.values() if isinstance(item, Mapping) else []:
            if isinstance(text, str) and _clean(text):
                return _clean(text)
    return None


def _all_titles(attributes: JsonObject) -> tuple[tuple[str, str], ...]:
    """Return every name with its language, each once; what is no text or too long is left out."""
    alternatives = attributes.get("altTitles")
    maps = [attributes.get("title"), *(alternatives if isinstance(alternatives, list) else [])]
    found = [
        (language[:MAX_LANGUAGE], _clean(text))
        for texts in maps
        if isinstance(texts, Mapping)
        for language, text in texts.items()
        if isinstance(text, str) and 0 < len(_clean(text)) <= MAX_NAME
    ]
    return tuple(dict.fromkeys(found))[:MAX_NAMES]


def _links(attributes: JsonObject) -> tuple[tuple[str, str], ...]:
    """Return the title's ids at other sites; PHP sends an empty map as `[]`."""
    links = attributes.get("links")
    if not isinstance(links, Mapping):
        return ()
    texts = {
        _clean(site): _clean(str(value))
        for site, value in links.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }
    return tuple(
        (site, text)
        for site, text in texts.items()
        if 0 < len(site) <= MAX_LANGUAGE and 0 < len(text) <= MAX_KEY
    )


def _localised(attributes: JsonObject, name: str) -> str | None:
    """Return the English text, else the first that is not empty; PHP sends an empty map as `[]`."""
    texts = attributes.get(name)
    if texts is None or texts == []:
        return None
    if not isinstance(texts, Mapping):
        raise _Fault(f"attributes.{name} is {_kind(texts)}, not an object")
    for language, text in texts.items():
        if not (text is None or isinstance(text, str)):
            raise _Fault(f"attributes.{name}, {_shown(language)}, is {_kind(text)}, not text")
    candidates = [texts.get("en"), *texts.values()]
    return next((_clean(text) for text in candidates if text and _clean(text)), None)


def _author(related: list[JsonObject]) -> str | None:
    names: list[str] = []
    for item in related:
        attributes = item.get("attributes")
        if item.get("type") == "author" and isinstance(attributes, Mapping):
            name = (_text(attributes, "name", "an author's name") or "").strip()
            names += [name] if name and name not in names else []
    return ", ".join(names) or None


def _status(attributes: JsonObject) -> str | None:
    status = _text(attributes, "status")
    if status and status not in STATUSES:
        allowed = ", ".join(sorted(STATUSES))
        raise _Fault(f"attributes.status is {_shown(status)}, not one of {allowed}")
    return status or None


def _total_chapters(attributes: JsonObject) -> int | None:
    match = _WHOLE_PART.fullmatch((_text(attributes, "lastChapter") or "").strip())
    return int(match[1]) if match else None


def _cover_url(mangadex_id: UUID, related: list[JsonObject]) -> str | None:
    for item in related:
        attributes = item.get("attributes")
        if item.get("type") == "cover_art" and isinstance(attributes, Mapping):
            file_name = (_text(attributes, "fileName", "the cover's fileName") or "").strip()
            return f"{COVERS_URL}/{mangadex_id}/{file_name}" if file_name else None
    return None


def _genres(attributes: JsonObject) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for tag in _list(attributes.get("tags"), "attributes.tags"):
        inner = tag.get("attributes") if isinstance(tag, Mapping) else None
        if isinstance(inner, Mapping) and inner.get("group") == "genre":
            name = _localised(inner, "name")
            if name and len(name) > MAX_KEY:
                raise _Fault(f"a genre's name has {len(name):,} characters")
            names |= {name: None} if name else {}
    return tuple(names)


def _readable_at(attributes: JsonObject) -> datetime:
    """Return `readableAt`; answers from before 2021 lack it and say the same in `publishAt`."""
    name = "readableAt" if attributes.get("readableAt") else "publishAt"
    return _moment(attributes, name)


def _appeared_at(attributes: JsonObject, readable_at: datetime) -> datetime:
    """Return when a chapter could first be read: its date may lie before its upload."""
    if not attributes.get("createdAt"):
        return readable_at
    return max(readable_at, _moment(attributes, "createdAt"))


def _group_ids(related: list[JsonObject]) -> frozenset[UUID]:
    found = (
        _optional_uuid(item.get("id")) for item in related if item.get("type") == "scanlation_group"
    )
    return frozenset(group for group in found if group and group != NO_GROUP)


def _group_names(related: list[JsonObject]) -> tuple[tuple[UUID, str], ...]:
    found: dict[UUID, str] = {}
    for item in related:
        attributes, group = item.get("attributes"), _optional_uuid(item.get("id"))
        if item.get("type") == "scanlation_group" and isinstance(attributes, Mapping):
            name = attributes.get("name")
            if group and group != NO_GROUP and isinstance(name, str) and _clean(name):
                found[group] = _clean(name)[:MAX_KEY]
    return tuple(found.items())


def _first_id(related: list[JsonObject], kind: str) -> object:
    return next((item.get("id") for item in related if item.get("type") == kind), None)


def _text(attributes: JsonObject, name: str, label: str | None = None) -> str | None:
    value = attributes.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Fault(f"{label or f'attributes.{name}'} is {_kind(value)}, not text")
    return _storable(value)


def _optional(
    read: Callable[[JsonObject, str], Value], attributes: JsonObject, name: str
) -> Value | None:
    """Return a field that readers can do without: a wrong one must not cost the whole entity."""
    try:
        return read(attributes, name)
    except _Fault:
        return None


def _key(attributes: JsonObject, name: str) -> str | None:
    """Return a short text, which has to fit into an index."""
    text = (_text(attributes, name) or "").strip()
    if len(text) > MAX_KEY:
        raise _Fault(f"attributes.{name} has {len(text):,} characters")
    return text or None


def _flag(attributes: JsonObject, name: str) -> bool:
    value = attributes.get(name)
    if value is not None and not isinstance(value, bool):
        raise _Fault(f"attributes.{name} is {_kind(value)}, not a boolean")
    return value is True


def _list(value: object, label: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _Fault(f"{label} is {_kind(value)}, not a list")
    return value


def _whole(attributes: JsonObject, name: str, default: int = 0) -> int:
    value = attributes.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise _Fault(f"attributes.{name} is {_shown(value)}, not a whole number below 2**31")
    return value


def _moment(attributes: JsonObject, name: str) -> datetime:
    """Return an RFC 3339 time as an aware UTC datetime."""
    text = _text(attributes, name)
    try:
        moment = datetime.fromisoformat(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Fault(f"attributes.{name} is {_shown(text)}, not a time") from None


def _uuid(value: object, label: str) -> UUID:
    found = _optional_uuid(value)
    if found is None:
        raise _Fault(f"{label} is {_shown(value)}, not a UUID")
    return found


def _optional_uuid(value: object) -> UUID | None:
    return UUID(value) if isinstance(value, str) and _UUID.fullmatch(value) else None


def _clean(text: str) -> str:
    return _storable(text).strip()


def _storable(text: str) -> str:
    """Remove what PostgreSQL's text cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def _shown(value: object) -> str:
    """Return a text on one line, safe to print and store; of other values only the type."""
    return ascii(value[:60]) if isinstance(value, str) else _kind(value)


def _kind(value: object) -> str:
    """Return the name that JSON has for this value's type."""
    if value is None:
        return "missing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object")
