"""The tag list: names and groups like the public ones, ids of this simulator's own."""

from __future__ import annotations

from mangadex_sim.catalogue.ids import TAG, Ids, make_key
from mangadex_sim.catalogue.models import Json

TAG_NAMES: dict[str, tuple[str, ...]] = {
    "genre": (
        "Action",
        "Adventure",
        "Boys' Love",
        "Comedy",
        "Crime",
        "Drama",
        "Fantasy",
        "Girls' Love",
        "Historical",
        "Horror",
        "Isekai",
        "Magical Girls",
        "Mecha",
        "Medical",
        "Mystery",
        "Philosophical",
        "Psychological",
        "Romance",
        "Sci-Fi",
        "Slice of Life",
        "Sports",
        "Superhero",
        "Thriller",
        "Tragedy",
        "Wuxia",
    ),
    "theme": (
        "Aliens",
        "Animals",
        "Cooking",
        "Crossdressing",
        "Delinquents",
        "Demons",
        "Genderswap",
        "Ghosts",
        "Gyaru",
        "Harem",
        "Mafia",
        "Magic",
        "Martial Arts",
        "Military",
        "Monster Girls",
        "Monsters",
        "Music",
        "Ninja",
        "Office Workers",
        "Police",
        "Post-Apocalyptic",
        "Reincarnation",
        "Reverse Harem",
        "Samurai",
        "School Life",
        "Supernatural",
        "Survival",
        "Time Travel",
        "Traditional Games",
        "Vampires",
        "Video Games",
        "Villainess",
        "Virtual Reality",
        "Zombies",
    ),
    "format": (
        "4-Koma",
        "Adaptation",
        "Anthology",
        "Award Winning",
        "Doujinshi",
        "Fan Colored",
        "Full Color",
        "Long Strip",
        "Official Colored",
        "Oneshot",
        "Self-Published",
        "Web Comic",
    ),
    "content": ("Gore", "Sexual Violence"),
}


class Tags:
    """All tags of one seed, in the two shapes that the real API has answered."""

    def __init__(self, ids: Ids) -> None:
        named = [(group, name) for group, names in TAG_NAMES.items() for name in names]
        self.ids = [ids.to_text(make_key(TAG, number)) for number in range(len(named))]
        self.by_group = {
            group: [number for number, (its, _) in enumerate(named) if its == group]
            for group in TAG_NAMES
        }
        self.by_name = {name: number for number, (_, name) in enumerate(named)}
        self._with_map = [self._entity(n, *named[n], description={}) for n in range(len(named))]
        self._with_list = [self._entity(n, *named[n], description=[]) for n in range(len(named))]

    def _entity(self, number: int, group: str, name: str, description: object) -> Json:
        return {
            "id": self.ids[number],
            "type": "tag",
            "attributes": {
                "name": {"en": name},
                "description": description,
                "group": group,
                "version": 1,
            },
            "relationships": [],
        }

    def entities(self, numbers: list[int], empty_as_list: bool) -> list[Json]:
        """Return tag objects; the description is `[]` or `{}`, both of which occur."""
        shape = self._with_list if empty_as_list else self._with_map
        return [shape[number] for number in numbers]

    def everything(self) -> list[Json]:
        """Return the whole list."""
        return list(self._with_map)
