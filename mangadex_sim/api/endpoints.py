"""The closed query schema of every endpoint: nothing outside these tables is accepted.

Source: OpenAPI description 5.13.1. Its `includes` of /chapter is `includes[]` in all clients, and
PHP accepts both.
"""

from __future__ import annotations

from mangadex_sim.api.query import (
    HOST,
    LANGUAGE,
    Date,
    Integer,
    Items,
    Order,
    Rule,
    Text,
    Uuid,
    Year,
)
from mangadex_sim.catalogue.models import DEMOGRAPHICS, RATINGS, STATUSES

MOST_IDS = 100  # per request, says the description's text
DEFAULT_RATINGS = RATINGS[:3]

_UUIDS = Items(Uuid())
_LANGUAGES = Items(LANGUAGE)
_FLAG = Text(allowed=("0", "1"))
_BOOLEAN = Text(allowed=("0", "1", "true", "false"))
_MODE = Text(allowed=("AND", "OR"))
_RATINGS = Items(Text(allowed=RATINGS))

MANGA_INCLUDES = Items(
    Text(allowed=("manga", "cover_art", "author", "artist", "tag", "creator")), lone=True
)
CHAPTER_INCLUDES = Items(Text(allowed=("manga", "scanlation_group", "user")), lone=True)

MANGA: dict[str, Rule] = {"includes": MANGA_INCLUDES}
CHAPTER: dict[str, Rule] = {"includes": CHAPTER_INCLUDES}

MANGA_LIST: dict[str, Rule] = {
    "limit": Integer(0, 100),
    "offset": Integer(0),
    "title": Text(),
    "authorOrArtist": Uuid(),
    "authors": _UUIDS,
    "artists": _UUIDS,
    "year": Year(),
    "includedTags": _UUIDS,
    "includedTagsMode": _MODE,
    "excludedTags": _UUIDS,
    "excludedTagsMode": _MODE,
    "status": Items(Text(allowed=STATUSES)),
    "originalLanguage": _LANGUAGES,
    "excludedOriginalLanguage": _LANGUAGES,
    "availableTranslatedLanguage": _LANGUAGES,
    "publicationDemographic": Items(Text(allowed=(*DEMOGRAPHICS, "none"))),
    "ids": Items(Uuid(), MOST_IDS),
    "contentRating": _RATINGS,
    "createdAtSince": Date(),
    "updatedAtSince": Date(),
    "order": Order(
        "title",
        "year",
        "createdAt",
        "updatedAt",
        "latestUploadedChapter",
        "followedCount",
        "relevance",
        "rating",
    ),
    "includes": MANGA_INCLUDES,
    "hasAvailableChapters": _BOOLEAN,
    "hasUnavailableChapters": _BOOLEAN,
    "group": Uuid(),
}

FEED: dict[str, Rule] = {
    "limit": Integer(1, 500),
    "offset": Integer(0),
    "externalUrl": HOST,
    "excludeExternalUrl": HOST,
    "translatedLanguage": _LANGUAGES,
    "originalLanguage": _LANGUAGES,
    "excludedOriginalLanguage": _LANGUAGES,
    "contentRating": _RATINGS,
    "excludedGroups": _UUIDS,
    "excludedUploaders": _UUIDS,
    "includeFutureUpdates": _FLAG,
    "includeEmptyPages": _FLAG,
    "includeFuturePublishAt": _FLAG,
    "includeExternalUrl": _FLAG,
    "includeUnavailable": _FLAG,
    "createdAtSince": Date(),
    "updatedAtSince": Date(),
    "publishAtSince": Date(),
    "order": Order("createdAt", "updatedAt", "publishAt", "readableAt", "volume", "chapter"),
    "includes": CHAPTER_INCLUDES,
}

CHAPTER_LIST: dict[str, Rule] = {
    **FEED,
    "limit": Integer(0, 100),
    "ids": Items(Uuid(), MOST_IDS),
    "title": Text(),
    "groups": _UUIDS,
    "uploader": Items(Uuid(), lone=True),
    "manga": Uuid(),
    "volume": Items(Text(), lone=True),
    "chapter": Items(Text(), lone=True),
}

AGGREGATE: dict[str, Rule] = {
    "translatedLanguage": _LANGUAGES,
    "groups": _UUIDS,
    "includeUnavailable": _FLAG,
}
STATISTICS: dict[str, Rule] = {"manga": _UUIDS}
READING = ("reading", "on_hold", "plan_to_read", "dropped", "re_reading", "completed")
READING_STATUSES: dict[str, Rule] = {"status": Text(allowed=READING)}
FOLLOWS: dict[str, Rule] = {
    "limit": Integer(1, 100),
    "offset": Integer(0),
    "includes": MANGA_INCLUDES,
}
NOTHING: dict[str, Rule] = {}
