"""Authors, groups, users and covers: the attributes of what relationships refer to."""

from __future__ import annotations

from functools import lru_cache

from mangadex_sim.catalogue import names
from mangadex_sim.catalogue.clock import format_instant
from mangadex_sim.catalogue.ids import AUTHOR, COVER, GROUP, USER, Ids, make_key, split_key
from mangadex_sim.catalogue.models import Json, Reference

GROUP_COUNT, USER_COUNT = 400, 900
# A leftover of the site's third version that MangaDex clients treat as "no group".
NO_GROUP = "00e03853-1b96-4f41-9542-c71b8692033b"

_SINCE_2021 = 1_618_867_559  # 2021-04-19T21:25:59, when the real site moved all its people over
_LINK_NAMES = (
    "twitter",
    "pixiv",
    "melonBook",
    "fanBox",
    "booth",
    "namicomi",
    "nicoVideo",
    "skeb",
    "fantia",
    "tumblr",
    "youtube",
    "weibo",
    "naver",
    "website",
)
_NO_LINKS: Json = dict.fromkeys(_LINK_NAMES)


class People:
    """All people of one seed. People added by orders are known by the name in the order."""

    def __init__(self, seed: int, ids: Ids) -> None:
        self._seed = seed
        self._ids = ids
        self._group_names: dict[str, str] = {}
        self.group_ids = [ids.to_text(make_key(GROUP, n)) for n in range(GROUP_COUNT)]
        self.user_ids = [ids.to_text(make_key(USER, n)) for n in range(USER_COUNT)]
        self._group = lru_cache(maxsize=1024)(self._describe_group)
        self._user = lru_cache(maxsize=1024)(self._describe_user)

    def author(self, kind: str, index: int, expandable: bool = True) -> Reference:
        """Return the reference to an author or artist of the catalogue."""
        author_id = self._ids.to_text(make_key(AUTHOR, index))
        attributes = self._describe_author(names.invent_author(self._seed, index))
        return Reference(kind, author_id, attributes if expandable else None)

    def named_author(self, kind: str, name: str) -> Reference:
        """Return the reference to an author that an order named."""
        return Reference(kind, self._ids.named(AUTHOR, name), self._describe_author(name))

    def creator(self, index: int, expandable: bool) -> Reference:
        """Return the reference to the user who made an entry."""
        user_id = self.user_ids[index * 7 % USER_COUNT]
        return Reference("creator", user_id, self._user(user_id) if expandable else None)

    def cover(self, index: int, revision: int, created: int) -> Reference:
        """Return the primary cover; another revision has another file."""
        file_name = self._ids.to_text(make_key(COVER, index, 1_000 + revision)) + ".jpg"
        stamp = format_instant(created)
        attributes = {
            "description": "",
            "volume": str(index % 9 + 1),
            "fileName": file_name,
            "locale": "ja",
            "createdAt": stamp,
            "updatedAt": stamp,
            "version": 1 + revision,
        }
        cover_id = self._ids.to_text(make_key(COVER, index, min(revision, 999)))
        return Reference("cover_art", cover_id, attributes)

    def name_group(self, name: str) -> str:
        """Return the id of a group that an order names."""
        group_id = self._ids.named(GROUP, name)
        if group_id not in self._group_names:
            self._group_names[group_id] = name
            self._group.cache_clear()
        return group_id

    def group(self, group_id: str) -> Reference:
        """Return the reference to a scanlation group."""
        return Reference("scanlation_group", group_id, self._group(group_id))

    def user(self, user_id: str) -> Reference:
        """Return the reference to an uploader."""
        return Reference("user", user_id, self._user(user_id))

    def _describe_author(self, name: str) -> Json:
        stamp = format_instant(_SINCE_2021)
        return {
            "name": name,
            "imageUrl": None,
            "biography": {},
            **_NO_LINKS,
            "createdAt": stamp,
            "updatedAt": stamp,
            "version": 1,
        }

    def _describe_group(self, group_id: str) -> Json:
        stamp = format_instant(_SINCE_2021)
        return {
            "name": self._find_group_name(group_id),
            "altNames": [],
            "locked": False,
            "website": None,
            "ircServer": None,
            "ircChannel": None,
            "discord": None,
            "contactEmail": None,
            "description": None,
            "twitter": None,
            "mangaUpdates": None,
            "focusedLanguages": ["en"],
            "official": False,
            "verified": False,
            "inactive": False,
            "publishDelay": None,
            "createdAt": stamp,
            "updatedAt": stamp,
            "version": 1,
        }

    def _find_group_name(self, group_id: str) -> str:
        if group_id == NO_GROUP:
            return "no group"
        if group_id in self._group_names:
            return self._group_names[group_id]
        return names.invent_group(self._seed, self._index_of(group_id))

    def _describe_user(self, user_id: str) -> Json:
        name = names.invent_user(self._seed, self._index_of(user_id))
        return {"username": name, "roles": ["ROLE_MEMBER", "ROLE_GROUP_MEMBER"], "version": 1}

    def _index_of(self, some_id: str) -> int:
        """Return a number for the name: the index of our own, any stable one for others."""
        key = self._ids.to_key(some_id)
        return split_key(key)[1] if key is not None else int(some_id[:6], 16)
