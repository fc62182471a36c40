"""Invents titles, descriptions and people's names: (seed, index) to text, nothing kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from mangadex_sim.catalogue import words
from mangadex_sim.catalogue.seeded_random import SeededRandom
from mangadex_sim.catalogue.traits import TRAITS, has_trait

_WRONG_ARTICLE = re.compile(r"\b([Aa]) (?=[AEIOUaeiou])")
_DUPLICATE_DISTANCE = TRAITS["duplicate_title"][0] // 4


def _creature_title(rng: SeededRandom) -> str:
    return (
        f"The {rng.choice(words.ADJECTIVES)} {rng.choice(words.CREATURES)}"
        f" of {rng.choice(words.PLACES)}"
    )


def _pair_title(rng: SeededRandom) -> str:
    return f"{rng.choice(words.THINGS)} & {rng.choice(words.THINGS)}"


def _relation_title(rng: SeededRandom) -> str:
    return (
        f"My {rng.choice(words.RELATIONS)} Is a {rng.choice(words.ADJECTIVES)}"
        f" {rng.choice(words.CREATURES)}"
    )


def _shop_title(rng: SeededRandom) -> str:
    place = rng.choice(words.PLACES).removeprefix("the ")
    return f"{place} {rng.choice(words.SHOPS)}"


def _time_title(rng: SeededRandom) -> str:
    return f"{rng.choice(words.TIMES)} at the {rng.choice(words.SHOPS)}"


def _fable_title(rng: SeededRandom) -> str:
    return (
        f"The {rng.choice(words.CREATURES)} and the {rng.choice(words.ADJECTIVES)}"
        f" {rng.choice(words.OBJECTS)}"
    )


def _guide_title(rng: SeededRandom) -> str:
    return f"The {rng.choice(words.CREATURES)}'s Guide to {rng.choice(words.TOPICS)}"


def _refusal_title(rng: SeededRandom) -> str:
    return f"{rng.choice(words.GIVEN_NAMES)} Won't {rng.choice(words.VERBS)}"


def _rebirth_title(rng: SeededRandom) -> str:
    return (
        f"Reborn as a {rng.choice(words.ADJECTIVES)} {rng.choice(words.OBJECTS)}:"
        f" All I Want Is {rng.choice(words.WISHES)}"
    )


def _romanised_title(rng: SeededRandom) -> str:
    subject, place = rng.choice(words.JAPANESE_SUBJECTS), rng.choice(words.JAPANESE_PLACES)
    return f"{subject[1]} no {place[1]}"


_PATTERNS: tuple[Callable[[SeededRandom], str], ...] = (
    _creature_title,
    _pair_title,
    _relation_title,
    _shop_title,
    _time_title,
    _fable_title,
    _guide_title,
    _refusal_title,
    _rebirth_title,
    _romanised_title,
)


def invent_title(seed: int, index: int) -> str:
    """Return the main title; some are very long, some another title again (slugs collide)."""
    if has_trait(index, "duplicate_title") and index >= _DUPLICATE_DISTANCE:
        return _write_again(invent_title(seed, index - _DUPLICATE_DISTANCE), index)
    rng = SeededRandom(seed, "name", index)
    title = _fix_articles(rng.choice(_PATTERNS)(rng))
    if has_trait(index, "very_long_title"):
        return _lengthen(title, rng)
    if has_trait(index, "entities_in_title"):
        return (
            f"{title} &amp; the {rng.choice(words.OBJECTS)} &quot;{rng.choice(words.THINGS)}&quot;"
        )
    return title


def _write_again(title: str, index: int) -> str:
    """Spell a title so that it is another text, or the same one, with the same slug."""
    return (title, f"{title}!", title.upper())[index // TRAITS["duplicate_title"][0] % 3]


def _lengthen(title: str, rng: SeededRandom) -> str:
    parts = [f"{title}, or How {rng.choice(words.GIVEN_NAMES)} Was Thrown out of the Party"]
    while len(" ".join(parts)) < 240:
        parts.append(
            f"and Met a {rng.choice(words.ADJECTIVES)} {rng.choice(words.CREATURES)}"
            f" Who Only Ever Talks About {rng.choice(words.THINGS)}"
        )
    return _fix_articles(" ".join(parts))


def _fix_articles(text: str) -> str:
    return _WRONG_ARTICLE.sub(r"\1n ", text)


def invent_japanese_title(seed: int, index: int) -> tuple[str, str]:
    """Return a Japanese title and its romanised form."""
    rng = SeededRandom(seed, "ja", index)
    subject, place = rng.choice(words.JAPANESE_SUBJECTS), rng.choice(words.JAPANESE_PLACES)
    return f"{subject[0]}の{place[0]}", f"{subject[1]} no {place[1]}"


def invent_description(rng: SeededRandom) -> str:
    """Return three sentences of blurb."""
    parts = (rng.choice(words.OPENINGS), rng.choice(words.MIDDLES), rng.choice(words.CLOSINGS))
    return _fix_articles(
        " ".join(parts).format(
            name=rng.choice(words.GIVEN_NAMES),
            adjective=rng.choice(words.ADJECTIVES).lower(),
            thing=rng.choice(words.OBJECTS).lower(),
            place=rng.choice(words.PLACES),
            creature=rng.choice(words.CREATURES).lower(),
            shop=rng.choice(words.SHOPS).lower(),
            wish=rng.choice(words.WISHES).lower(),
        )
    )


def invent_foreign_description(rng: SeededRandom, template: str) -> str:
    """Fill a Spanish or French sentence."""
    return template.format(
        name=rng.choice(words.GIVEN_NAMES), place=rng.choice(words.PLACES).removeprefix("the ")
    )


@lru_cache(maxsize=4096)
def invent_author(seed: int, index: int) -> str:
    """Return a person's or a studio's name."""
    rng = SeededRandom(seed, "author", index)
    if rng.below(12) == 0:
        return rng.choice(words.PEN_NAMES)
    return f"{rng.choice(words.FAMILY_NAMES)} {rng.choice(words.GIVEN_NAMES)}"


def invent_group(seed: int, index: int) -> str:
    """Return the name of a scanlation group."""
    rng = SeededRandom(seed, "group", index)
    first, second = rng.choice(words.GROUP_FIRST), rng.choice(words.GROUP_SECOND)
    return f"{first} {second} {rng.choice(words.GROUP_LAST)}"


def invent_user(seed: int, index: int) -> str:
    """Return a user name."""
    rng = SeededRandom(seed, "user", index)
    return f"{rng.choice(words.GIVEN_NAMES).lower()}{rng.choice(words.USER_SECOND)}{rng.below(900)}"
