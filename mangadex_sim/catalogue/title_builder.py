"""Builds a title of the base catalogue: (seed, index, facts) to attributes and relationships."""

from __future__ import annotations

from mangadex_sim.catalogue import names, words
from mangadex_sim.catalogue.clock import format_instant
from mangadex_sim.catalogue.ids import Ids
from mangadex_sim.catalogue.models import Facts, Json, MangaEntry, Reference
from mangadex_sim.catalogue.people import People
from mangadex_sim.catalogue.seeded_random import SeededRandom
from mangadex_sim.catalogue.tags import Tags
from mangadex_sim.catalogue.traits import has_trait

# Several neighbours share an author; artists who only draw have indexes of their own.
_ARTIST_OFFSET = 10_000_000


class TitleBuilder:
    """Derives titles of one seed on demand; keeps nothing but the tag list."""

    def __init__(self, seed: int, ids: Ids, people: People, tags: Tags) -> None:
        self._seed = seed
        self._ids = ids
        self._people = people
        self._tags = tags

    def build(self, index: int, facts: Facts, releases: int) -> MangaEntry:
        """Return the title at an index.

        Languages and the latest chapter depend on the chapters, so the caller fills those in.
        """
        rng = SeededRandom(self._seed, "title", index)
        attributes: Json = {
            "title": self._name(index),
            "altTitles": self._alternatives(index, rng),
            "description": self._description(index),
            "isLocked": has_trait(index, "is_locked"),
            "links": self._links(index, rng),
            "originalLanguage": facts.language,
            "lastVolume": "" if facts.status != "completed" else str(releases // 6 + 1),
            "lastChapter": self._last_chapter(index, facts, releases),
            "publicationDemographic": facts.demographic,
            "status": facts.status,
            "year": self._year(index, facts, rng),
            "contentRating": facts.rating,
            "tags": self._title_tags(index, rng),
            "state": "published",
            "chapterNumbersResetOnNewVolume": has_trait(index, "numbers_restart"),
            "createdAt": format_instant(facts.created),
            "updatedAt": format_instant(facts.updated),
            "version": 1 + rng.below(40),
            "availableTranslatedLanguages": [],
            "latestUploadedChapter": None,
        }
        self._drop_absent(index, attributes)
        return MangaEntry(index, self._ids.title(index), attributes, self._references(index, facts))

    def _drop_absent(self, index: int, attributes: Json) -> None:
        """Take out keys that old entries lack, put in the one that only new ones have."""
        if has_trait(index, "is_locked_absent"):
            del attributes["isLocked"]
        if has_trait(index, "reset_flag_absent"):
            del attributes["chapterNumbersResetOnNewVolume"]
        if has_trait(index, "official_links"):
            attributes["officialLinks"] = {"engtl": f"https://publisher.example/series/{index}"}

    def _name(self, index: int) -> Json:
        if has_trait(index, "japanese_title_only"):
            return {"ja": names.invent_japanese_title(self._seed, index)[0]}
        if has_trait(index, "title_without_en"):
            return {"ja-ro": names.invent_japanese_title(self._seed, index)[1]}
        return {"en": names.invent_title(self._seed, index)}

    def _alternatives(self, index: int, rng: SeededRandom) -> list[Json]:
        if has_trait(index, "alt_titles_empty") or has_trait(index, "japanese_title_only"):
            return []
        japanese, romanised = names.invent_japanese_title(self._seed, index)
        alternatives: list[Json] = [{"ja": japanese}, {"ja-ro": romanised}]
        return alternatives[: rng.below(3) + 1]

    def _description(self, index: int) -> Json | list[str]:
        if has_trait(index, "description_list"):
            return []
        if has_trait(index, "description_empty"):
            return {}
        rng = SeededRandom(self._seed, "description", index)
        english = self._decorate(index, names.invent_description(rng))
        spanish = names.invent_foreign_description(rng, words.SPANISH)
        if has_trait(index, "description_without_en"):
            return {"es": spanish, "fr": names.invent_foreign_description(rng, words.FRENCH)}
        return {"en": english, "es-la": spanish} if rng.below(4) == 0 else {"en": english}

    def _decorate(self, index: int, text: str) -> str:
        if has_trait(index, "description_crlf"):
            return text.replace(". ", ".  \r\n") + "\r\n\r\n---\r\n"
        if has_trait(index, "description_entities"):
            return (
                f"**{text}**\n___\n*Tea &amp; &quot;toast&quot; &lt;3* [more](https://blog.example)"
            )
        return text

    def _links(self, index: int, rng: SeededRandom) -> Json | list[str] | None:
        if has_trait(index, "links_list"):
            return []
        if has_trait(index, "links_null"):
            return None
        if has_trait(index, "links_empty"):
            return {}
        number = rng.below(150_000)
        return {
            "al": str(number),
            "mu": str(number * 3),
            "ap": f"sim-{index}",
            "raw": f"https://comics.example/{index}",
        }

    def _last_chapter(self, index: int, facts: Facts, releases: int) -> str | None:
        if has_trait(index, "last_chapter_null"):
            return None
        if has_trait(index, "last_chapter_fraction"):
            return "7.5"
        if has_trait(index, "last_chapter_word"):
            return "Epilogue"
        return str(releases + 3) if facts.status == "completed" and index % 5 else ""

    def _year(self, index: int, facts: Facts, rng: SeededRandom) -> int | None:
        if has_trait(index, "year_null"):
            return None
        return 1970 + facts.created // 31_556_952 - rng.below(9)

    def _title_tags(self, index: int, rng: SeededRandom) -> list[Json]:
        if has_trait(index, "no_tags"):
            return []
        by_group = self._tags.by_group
        numbers = {rng.choice(by_group["genre"]) for _ in range(1 + rng.below(4))}
        numbers |= {rng.choice(by_group["theme"]) for _ in range(rng.below(4))}
        if rng.below(4) == 0:
            numbers.add(rng.choice(by_group["format"]))
        if rng.below(25) == 0:
            numbers.add(rng.choice(by_group["content"]))
        return self._tags.entities(sorted(numbers), has_trait(index, "tag_descriptions_list"))

    def _references(self, index: int, facts: Facts) -> list[Reference]:
        references = self._makers(index)
        references.append(self._people.cover(index, 0, facts.created))
        references.append(self._people.creator(index, has_trait(index, "creator_expanded")))
        if has_trait(index, "related_title") and index >= 2:
            references.append(Reference("manga", self._ids.title(index - 2), None, "prequel"))
        return references

    def _makers(self, index: int) -> list[Reference]:
        if has_trait(index, "author_absent"):
            return []
        main = index - index % 3
        expandable = not has_trait(index, "author_not_expanded")
        authors = [main, main + 1] if has_trait(index, "several_authors") else [main]
        drawn_by = _ARTIST_OFFSET + index if has_trait(index, "separate_artist") else main
        references = [self._people.author("author", each, expandable) for each in authors]
        return [*references, self._people.author("artist", drawn_by, expandable)]
