"""Names of what lists in CSV and JSON have of a title: one table for reading both, pure."""

from __future__ import annotations

from collections.abc import Mapping

from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, make_entry

# By names without case, blanks and punctuation.
_NAMES = {
    "title": ("title", "name", "manga", "mangatitle", "seriestitle", "series"),
    "mangadex": ("mangadexid", "mangadex", "mdid", "md", "uuid", "mangadexurl", "url", "link"),
    "status": ("status", "mystatus", "readingstatus", "state"),
    "progress": (
        *("progress", "chapter", "chapters", "ch", "lastchapter", "chaptersread", "readchapters"),
        *("myreadchapters", "lastread", "currentchapter"),
    ),
    "author": ("author", "authors"),
    "added": ("addedat", "added"),
    "al": ("al", "alid", "anilist", "anilistid"),
    "mal": ("mal", "malid", "myanimelist", "myanimelistid", "mangadbid", "idmal"),
    "mu": ("mu", "muid", "mangaupdates", "mangaupdatesid"),
    "kt": ("kt", "ktid", "kitsu", "kitsuid"),
    "ap": ("ap", "apid", "animeplanet", "animeplanetslug", "animeplanetid"),
}
_COLUMNS = {name: column for column, names in _NAMES.items() for name in names}
IDENTIFYING = {"title", "mangadex", *sites.CODES}
WRITTEN = ("title", "mangadex_id", "status", "progress", "author")


def column_of(name: object) -> str | None:
    """Return what a column's or key's name means."""
    if not isinstance(name, str):
        return None
    return _COLUMNS.get("".join(filter(str.isalnum, name.lower())))


def entry_of(values: Mapping[str, object]) -> Entry | None:
    """Return the entry of a row, by meaning; None if it names no title."""
    mangadex_id, legacy_id = sites.read_mangadex(values.get("mangadex"))
    ids = {site: sites.read_id(site, values.get(site)) for site in sites.CODES}
    entry = make_entry(
        title=values.get("title"),
        author=values.get("author"),
        status=values.get("status"),
        progress=values.get("progress"),
        mangadex_id=mangadex_id,
        legacy_id=legacy_id,
        ids=ids,
    )
    return entry if entry.key else None
