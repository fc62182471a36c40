"""Invents titles, descriptions and people's names: (seed, index) to text, nothing kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from mangadex_sim.catalogue import words
from mangadex_sim.catalogue.dice import Dice
from mangadex_sim.catalogue.traits import TRAITS, has_trait

_WRONG_ARTICLE = re.compile(r"\b([Aa]) (?=[AEIOUaeiou])")
_DUPLICATE_DISTANCE = TRAITS["duplicate_title"][0] // 4


def _creature_title(dice: Dice) -> str:
    return (
        f"The {dice.pick(words.ADJECTIVES)} {dice.pick(words.CREATURES)}"
        f" of {dice.pick(words.PLACES)}"
    )


def _pair_title(dice: Dice) -> str:
    return f"{dice.pick(words.THINGS)} & {dice.pick(words.THINGS)}"


def _relation_title(dice: Dice) -> str:
    return (
        f"My {dice.pick(words.RELATIONS)} Is a {dice.pick(words.ADJECTIVES)}"
        f" {dice.pick(words.CREATURES)}"
    )


def _shop_title(dice: Dice) -> str:
    place = dice.pick(words.PLACES).removeprefix("the ")
    return f"{place} {dice.pick(words.SHOPS)}"


def _time_title(dice: Dice) -> str:
    return f"{dice.pick(words.TIMES)} at the {dice.pick(words.SHOPS)}"


def _fable_title(dice: Dice) -> str:
    return (
        f"The {dice.pick(words.CREATURES)} and the {dice.pick(words.ADJECTIVES)}"
        f" {dice.pick(words.OBJECTS)}"
    )


def _guide_title(dice: Dice) -> str:
    return f"The {dice.pick(words.CREATURES)}'s Guide to {dice.pick(words.TOPICS)}"


def _refusal_title(dice: Dice) -> str:
    return f"{dice.pick(words.GIVEN_NAMES)} Won't {dice.pick(words.VERBS)}"


def _rebirth_title(dice: Dice) -> str:
    return (
        f"Reborn as a {dice.pick(words.ADJECTIVES)} {dice.pick(words.OBJECTS)}:"
        f" All I Want Is {dice.pick(words.WISHES)}"
    )


def _romanised_title(dice: Dice) -> str:
    subject, place = dice.pick(words.JAPANESE_SUBJECTS), dice.pick(words.JAPANESE_PLACES)
    return f"{subject[1]} no {place[1]}"


_PATTERNS: tuple[Callable[[Dice], str], ...] = (
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
    dice = Dice(seed, "name", index)
    title = _fix_articles(dice.pick(_PATTERNS)(dice))
    if has_trait(index, "very_long_title"):
        return _lengthen(title, dice)
    if has_trait(index, "entities_in_title"):
        return f"{title} &amp; the {dice.pick(words.OBJECTS)} &quot;{dice.pick(words.THINGS)}&quot;"
    return title


def _write_again(title: str, index: int) -> str:
    """Spell a title so that it is another text, or the same one, with the same slug."""
    return (title, f"{title}!", title.upper())[index // TRAITS["duplicate_title"][0] % 3]


def _lengthen(title: str, dice: Dice) -> str:
    parts = [f"{title}, or How {dice.pick(words.GIVEN_NAMES)} Was Thrown out of the Party"]
    while len(" ".join(parts)) < 240:
        parts.append(
            f"and Met a {dice.pick(words.ADJECTIVES)} {dice.pick(words.CREATURES)}"
            f" Who Only Ever Talks About {dice.pick(words.THINGS)}"
        )
    return _fix_articles(" ".join(parts))


def _fix_articles(text: str) -> str:
    return _WRONG_ARTICLE.sub(r"\1n ", text)


def invent_japanese_title(seed: int, index: int) -> tuple[str, str]:
    """Return a Japanese title and its romanised form."""
    dice = Dice(seed, "ja", index)
    subject, place = dice.pick(words.JAPANESE_SUBJECTS), dice.pick(words.JAPANESE_PLACES)
    return f"{subject[0]}の{place[0]}", f"{subject[1]} no {place[1]}"


def invent_description(dice: Dice) -> str:
    """Return three sentences of blurb."""
    parts = (dice.pick(words.OPENINGS), dice.pick(words.MIDDLES), dice.pick(words.CLOSINGS))
    return _fix_articles(
        " ".join(parts).format(
            name=dice.pick(words.GIVEN_NAMES),
            adjective=dice.pick(words.ADJECTIVES).lower(),
            thing=dice.pick(words.OBJECTS).lower(),
            place=dice.pick(words.PLACES),
            creature=dice.pick(words.CREATURES).lower(),
            shop=dice.pick(words.SHOPS).lower(),
            wish=dice.pick(words.WISHES).lower(),
        )
    )


def invent_foreign_description(dice: Dice, template: str) -> str:
    """Fill a Spanish or French sentence."""
    return template.format(
        name=dice.pick(words.GIVEN_NAMES), place=dice.pick(words.PLACES).removeprefix("the ")
    )


@lru_cache(maxsize=4096)
def invent_author(seed: int, index: int) -> str:
    """Return a person's or a studio's name."""
    dice = Dice(seed, "author", index)
    if dice.roll(12) == 0:
        return dice.pick(words.PEN_NAMES)
    return f"{dice.pick(words.FAMILY_NAMES)} {dice.pick(words.GIVEN_NAMES)}"


def invent_group(seed: int, index: int) -> str:
    """Return the name of a scanlation group."""
    dice = Dice(seed, "group", index)
    first, second = dice.pick(words.GROUP_FIRST), dice.pick(words.GROUP_SECOND)
    return f"{first} {second} {dice.pick(words.GROUP_LAST)}"


def invent_user(seed: int, index: int) -> str:
    """Return a user name."""
    dice = Dice(seed, "user", index)
    return f"{dice.pick(words.GIVEN_NAMES).lower()}{dice.pick(words.USER_SECOND)}{dice.roll(900)}"
