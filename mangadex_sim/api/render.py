"""Turns titles and chapters into the JSON of the API, references expanded as asked.

A reference that cannot be expanded, or was not requested, has id and type and no key `attributes`
(recorded; the description would allow null).
"""

from __future__ import annotations

from collections.abc import Collection

from mangadex_sim.catalogue.clock import format_instant
from mangadex_sim.catalogue.models import ChapterRow, Json, MangaEntry, Reference
from mangadex_sim.catalogue.state import Catalogue


def render_title(
    catalogue: Catalogue, title: MangaEntry, includes: Collection[str], now: int
) -> Json:
    """Return a manga entity."""
    references = title.references
    if "manga" in includes:
        references = [_expand_related(catalogue, each, now) for each in references]
    return {
        "id": title.id,
        "type": "manga",
        "attributes": title.attributes,
        "relationships": [_render_reference(each, includes) for each in references],
    }


def _expand_related(catalogue: Catalogue, reference: Reference, now: int) -> Reference:
    if reference.type != "manga":
        return reference
    index = catalogue.find_title(reference.id)
    if index is None:
        return reference
    return reference._replace(attributes=catalogue.title(index, now).attributes)


def render_chapter(
    catalogue: Catalogue, chapter: ChapterRow, includes: Collection[str], now: int
) -> Json:
    """Return a chapter entity."""
    return {
        "id": catalogue.ids.to_text(chapter.key),
        "type": "chapter",
        "attributes": {
            "volume": chapter.volume,
            "chapter": chapter.number,
            "title": chapter.title,
            "translatedLanguage": chapter.language,
            "externalUrl": chapter.external_url,
            "isUnavailable": chapter.unavailable,
            "publishAt": format_instant(chapter.publish),
            "readableAt": format_instant(chapter.readable),
            "createdAt": format_instant(chapter.created),
            "updatedAt": format_instant(chapter.updated),
            "pages": chapter.pages,
            "version": chapter.version,
        },
        "relationships": [
            _render_reference(each, includes)
            for each in _chapter_references(catalogue, chapter, includes, now)
        ],
    }


def _chapter_references(
    catalogue: Catalogue, chapter: ChapterRow, includes: Collection[str], now: int
) -> list[Reference]:
    references = [catalogue.people.group(each) for each in chapter.groups]
    attributes = catalogue.title(chapter.manga, now).attributes if "manga" in includes else None
    references.append(Reference("manga", catalogue.ids.title(chapter.manga), attributes))
    if chapter.uploader:
        references.append(catalogue.people.user(chapter.uploader))
    return references


def _render_reference(reference: Reference, includes: Collection[str]) -> Json:
    rendered: Json = {"id": reference.id, "type": reference.type}
    if reference.related:
        rendered["related"] = reference.related
    if reference.attributes is not None and reference.type in includes:
        rendered["attributes"] = reference.attributes
    return rendered
