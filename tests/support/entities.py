"""Titles and chapters as the API sends them, to be changed one thing at a time."""

from __future__ import annotations

from typing import Any

from tests.support.paths import SHARED

ANSWERS = SHARED / "answers"
TITLE_ID = "0d1e2f30-4152-4364-9586-a7b8c9dae0f1"
CHAPTER_ID = "5a6b7c8d-9e0f-4a1b-8c2d-3e4f50617283"
GROUP_ID = "11111111-2222-4333-8444-555555555555"
USER_ID = "99999999-8888-4777-8666-555555555555"


def title_entity(**attributes: Any) -> dict[str, Any]:
    """A title as the API sends it; `...` leaves an attribute out."""
    usual: dict[str, Any] = {
        "title": {"en": "The Lighthouse Keeper's Debt"},
        "altTitles": [{"ja": "灯台守の借り"}],
        "description": {"fr": "Un phare.", "en": "A lighthouse."},
        "status": "ongoing",
        "lastChapter": "42.5",
        "contentRating": "suggestive",
        "chapterNumbersResetOnNewVolume": False,
        "tags": [tag("Drama"), tag("Award Winning", group="format"), tag("Mystery")],
        "createdAt": "2024-02-29T23:59:59+00:00",
        "updatedAt": "2025-01-02T03:04:05+00:00",
        "version": 7,
    }
    return {
        "id": TITLE_ID,
        "type": "manga",
        "attributes": {k: v for k, v in (usual | attributes).items() if v is not ...},
        "relationships": [
            related("author", name="Ine Moss"),
            related("artist", name="Somebody Else"),
            related("author", name="Rolf Quay"),
            related("cover_art", fileName="0a1b.jpg"),
        ],
    }


def chapter_entity(**attributes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "translatedLanguage": "pt-br",
        "volume": "3",
        "chapter": "10.5",
        "title": "Low tide",
        "externalUrl": None,
        "pages": 18,
        "createdAt": "2025-05-01T10:00:00+00:00",
        "publishAt": "2025-05-01T12:00:00+00:00",
        "readableAt": "2025-05-01T12:00:00+00:00",
        "isUnavailable": False,
        "version": 1,
    }
    return {
        "id": CHAPTER_ID,
        "type": "chapter",
        "attributes": {k: v for k, v in (usual | attributes).items() if v is not ...},
        "relationships": [
            {"id": TITLE_ID, "type": "manga"},
            {"id": GROUP_ID, "type": "scanlation_group"},
            {"id": USER_ID, "type": "user"},
        ],
    }


def tag(name: object, group: str = "genre") -> dict[str, Any]:
    return {"type": "tag", "attributes": {"group": group, "name": {"en": name}}}


def related(kind: str, **attributes: Any) -> dict[str, Any]:
    return {"id": USER_ID, "type": kind, "attributes": attributes}
