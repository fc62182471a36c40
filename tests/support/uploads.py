"""Uploads as the API tells of them, the rows that they become, and a title that has some."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from batch.models import Chapter, plain_decimal
from batch.rules.chapter_models import Baseline, Rules, StoredChapter, Title, key_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SYNCED = NOW - timedelta(days=7)
BEFORE = SYNCED - timedelta(days=30)
MANGA = UUID(int=0xA)
OTHER_MANGA = UUID(int=0xB)
GROUP = UUID(int=0x61)
UPLOADER = UUID(int=0x75)
RULES = Rules(frozenset({"en", "pt-br"}))


def upload(
    number: str | None,
    upload_id: int = 1,
    *,
    language: str = "en",
    volume: str | None = None,
    readable: datetime = NOW - timedelta(hours=1),
    made: datetime | None = None,
    groups: frozenset[UUID] = frozenset({GROUP}),
    unavailable: bool = False,
    link: str | None = None,
) -> Chapter:
    return Chapter(
        mangadex_chapter_id=UUID(int=upload_id),
        manga_mangadex_id=MANGA,
        translated_language=language,
        volume=volume,
        number=plain_decimal(number),
        title=None,
        external_url=link,
        pages=0 if link else 20,
        readable_at=readable,
        appeared_at=max(readable, made or readable),
        groups=groups,
        uploader=UPLOADER,
        is_unavailable=unavailable,
    )


def title(
    baseline: str | None = "20",
    *,
    volume: str | None = None,
    language: str = "en",
    restarts: bool = False,
    stored: tuple[StoredChapter, ...] = (),
) -> Title:
    known = Baseline(language, plain_decimal(baseline), plain_decimal(volume))
    return Title(1, MANGA, "A Title", SYNCED, restarts, stored, {language: known})


def row_of(
    chapter: Chapter, row_id: int = 1, *, restarts: bool = False, manga_id: int = 1
) -> StoredChapter:
    return StoredChapter(
        row_id,
        manga_id,
        chapter.mangadex_chapter_id,
        key_of(chapter, restarts),
        chapter.volume,
        chapter.title,
        chapter.external_url,
        chapter.pages,
        chapter.readable_at,
    )
