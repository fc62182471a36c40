"""A title's ids at other sites, as addresses. Pure.

The short names are those of the API's `links`
(https://api.mangadex.org/docs/3-enumerations/#manga-links-data).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from website.rules.sites import Place, web_host

# What the site is called, and the address of an id there.
_SITES = {
    "al": ("AniList", "https://anilist.co/manga/{}"),
    "ap": ("Anime-Planet", "https://www.anime-planet.com/manga/{}"),
    "bw": ("BookWalker", "https://bookwalker.jp/{}"),
    "kt": ("Kitsu", "https://kitsu.app/manga/{}"),
    "mal": ("MyAnimeList", "https://myanimelist.net/manga/{}"),
    "nu": ("NovelUpdates", "https://www.novelupdates.com/series/{}"),
}
_MANGA_UPDATES = "MangaUpdates"
_WHOLE = {"amz": "Amazon", "cdj": "CDJapan", "ebj": "eBookJapan", "engtl": "publisher (English)"}
_RAW = "publisher (original)"


def link_places(links: Iterable[tuple[str, str]]) -> list[Place]:
    """Return the addresses of a title elsewhere, by name; what makes none is left out."""
    places = [_place(site, id.strip()) for site, id in links]
    return sorted((each for each in places if each), key=lambda place: place.site)


def _place(site: str, id: str) -> Place | None:
    if not id:
        return None
    if site in _SITES:
        name, address = _SITES[site]
        return Place(address.format(quote(id, safe="/")), name)
    if site == "mu":
        # Ids of before 2022 are numbers of the old site.
        old = f"https://www.mangaupdates.com/series.html?id={id}"
        is_old = re.fullmatch(r"\d{1,7}", id, re.ASCII)
        new = f"https://www.mangaupdates.com/series/{quote(id, safe='')}"
        return Place(old if is_old else new, _MANGA_UPDATES)
    name = _RAW if site == "raw" else _WHOLE.get(site, "")
    return Place(id, name) if name and web_host(id) else None
