"""What other sites call a title: their ids and addresses, pure.

The codes are those of `manga_links`: al AniList, ap Anime-Planet, kt Kitsu, mal MyAnimeList,
mu MangaUpdates.
"""

from __future__ import annotations

import re
from uuid import UUID

# In order of how much an id says: the first that an entry has is its key.
CODES = ("al", "mal", "mu", "kt", "ap")
_NUMBERED = {"al", "mal"}
_ADDRESSES = {
    "al": r"anilist\.co/manga/(\d+)",
    "mal": r"myanimelist\.net/manga/(\d+)",
    "mu": r"mangaupdates\.com/series(?:\.html\?id=|/)(\w+)",
    "kt": r"kitsu\.(?:io|app)/manga/([\w-]+)",
    "ap": r"anime-planet\.com/manga/([\w-]+)",
}
_PAGES = {
    "al": ("AniList", "https://anilist.co/manga/{}"),
    "mal": ("MyAnimeList", "https://myanimelist.net/manga/{}"),
    "mu": ("MangaUpdates", "https://www.mangaupdates.com/series/{}"),
    "kt": ("Kitsu", "https://kitsu.app/manga/{}"),
    "ap": ("Anime-Planet", "https://www.anime-planet.com/manga/{}"),
}
_MANGADEX = re.compile(r"mangadex\.(?:org|cc)/(?:title|manga)/([0-9a-f-]{36}|\d+)\b", re.I)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONGEST = 200
_OLD_MU_DIGITS = 7  # numbers of MangaUpdates before 2022


def read_id(site: str, value: object) -> str | None:
    """Return a site's id as it is compared; None for what is none, such as 0 of tools without it.

    Args:
        value: an id or an address of a title there, as text or number.
    """
    text = str(value).strip() if isinstance(value, str | int) else ""
    if "/" in text:
        found = re.search(_ADDRESSES[site], text, re.I)
        text = found[1] if found else ""
    if text.isascii() and text.isdigit():
        text = text.lstrip("0")
    elif site in _NUMBERED:
        return None
    is_id = re.fullmatch(r"[\w-]+", text, re.ASCII) is not None and len(text) <= _LONGEST
    return text.lower() if is_id else None


def spellings(site: str, id: str) -> set[str]:
    """Return the forms in which MangaDex may link the id.

    MangaUpdates has had numbers of 64 bits since 2022, and writes them in base 36.
    """
    if site == "mu" and id.isdigit():
        return {id, base_36(int(id))}
    if site == "mu" and id.isalnum():
        return {id, str(int(id, 36))}
    return {id}


def base_36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def page_of(site: str, id: str) -> tuple[str, str]:
    """Return the site's name, and the address of a title there."""
    name, pattern = _PAGES[site]
    shown = base_36(int(id)) if site == "mu" and id.isdigit() and len(id) > _OLD_MU_DIGITS else id
    return name, pattern.format(shown)


def read_address(text: str) -> tuple[str, str] | None:
    """Return the site and id that an address is of; None for another site."""
    for site, pattern in _ADDRESSES.items():
        if (found := re.search(pattern, text, re.I)) and (id := read_id(site, found[1])):
            return site, id
    return None


def read_mangadex(text: object) -> tuple[UUID | None, int | None]:
    """Return the MangaDex id, or the number of before 2021, in an id or an address."""
    if not isinstance(text, str):
        return None, None
    found = _MANGADEX.search(text)
    return read_uuid(found[1] if found else text), read_legacy(found[1]) if found else None


def read_uuid(text: object) -> UUID | None:
    """Return an id of MangaDex in its usual form."""
    if isinstance(text, str) and re.fullmatch(r"[0-9a-fA-F-]{36}", text.strip()):
        try:
            return UUID(text.strip())
        except ValueError:
            return None
    return None


def read_legacy(text: object) -> int | None:
    """Return a number that MangaDex gave before 2021; they reach some 60,000."""
    is_number = isinstance(text, str) and re.fullmatch(r"[0-9]{1,9}", text) is not None
    return int(str(text)) or None if is_number else None
