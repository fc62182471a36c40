"""Titles that a reader may like: SQL, and the order of what it finds.

Readers alike tell most: the 50 whose libraries are nearest to the reader's (squared cosine: titles
in common, squared, over the length of both). How many follow a title at the source counts beside
them, and alone where there are too few readers, or too few titles to compare. Genres only order
what is found, and say why. Measured in bench/suggestions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

import sql
from readers.users import User

MAX_SUGGESTIONS = 100
FEWEST_READERS = 25  # with a library; fewer say less than the source's figures
FEWEST_TITLES = 2  # of the reader; one says less than the source's figures
FEWEST_HOLDERS = 3  # other readers with the title, or it would tell what a single one reads
KEPT_FOR = timedelta(days=1)
_NEIGHBOURS = 50
_COMPARED_READERS = 300  # those with most titles in common; the nearest 50 are among them
_COMPARED_TITLES = 200  # the newest of the reader's
_FOLLOWS_WEIGH = 0.1  # of the most followed title: a tenth of a reader with the same library
_GENRES_WEIGH = 0.4
_LOOKED_AT = 4 * MAX_SUGGESTIONS  # of what readers alike have: some is gone, or known to too few
_MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A title that a reader may like.

    Attributes:
        score: above 0, at most 1; comparable within one list only.
        because: titles of the reader that are most like it by their genres, at most 3.
    """

    manga_id: int
    title: str
    score: float
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A title that was found, with what is needed to order it."""

    manga_id: int
    title: str
    score: float
    genres: frozenset[str]


def suggest(
    connection: sql.Connection, user: User, now: datetime, limit: int = MAX_SUGGESTIONS
) -> list[Suggestion]:
    """Return titles that the reader may like, best first; made once a day.

    They are made anew when the reader has got or dropped titles since. Titles that are gone, or
    that the reader has, are never among them.
    """
    kept = _read_kept(connection, user, now)
    if kept is None:
        _keep(connection, user, now, make_suggestions(connection, user))
        kept = _read_kept(connection, user, now) or []
    return kept[:limit]


def make_suggestions(connection: sql.Connection, user: User) -> list[Suggestion]:
    """Return suggestions made now, at most 100."""
    liked = _find_candidates(connection, _LIKED, user)
    alike: list[Candidate] = []
    if len(liked) >= FEWEST_TITLES and _has_enough_readers(connection):
        alike = find_alike(connection, user)
    return order(blend(alike, _find_popular(connection, user)), liked)


# --- the order: values in, values out ------------------------------------------------------------


def blend(alike: Sequence[Candidate], popular: Sequence[Candidate]) -> list[Candidate]:
    """Add what is popular to what readers alike have.

    It weighs more the less they have in common with the reader.
    """
    most = max((each.score for each in popular), default=0)
    blended = {each.manga_id: each for each in alike}
    for each in popular:
        known = blended.get(each.manga_id)
        score = _FOLLOWS_WEIGH * each.score / most + (known.score if known else 0)
        blended[each.manga_id] = replace(each, score=score)
    return list(blended.values())


def order(found: Sequence[Candidate], liked: Sequence[Candidate]) -> list[Suggestion]:
    """Order what was found by score and by how much its genres are the reader's; say why.

    Returns:
        at most 100, the scores scaled to a highest of 1.
    """
    shares = _genre_shares(liked)
    closest = max((_affinity(each, shares) for each in found), default=0) or 1

    def final(each: Candidate) -> float:
        return each.score * (1 + _GENRES_WEIGH * _affinity(each, shares) / closest)

    ordered = sorted(found, key=lambda each: (-final(each), each.manga_id))[:MAX_SUGGESTIONS]
    best = final(ordered[0]) if ordered else 1
    return [
        Suggestion(each.manga_id, each.title, round(final(each) / best, 6), _reasons(each, liked))
        for each in ordered
    ]


def _genre_shares(liked: Sequence[Candidate]) -> dict[str, float]:
    """Return which part of the reader's titles has each genre."""
    names = [name for each in liked for name in each.genres]
    return {name: names.count(name) / len(liked) for name in set(names)}


def _affinity(candidate: Candidate, shares: dict[str, float]) -> float:
    """Return the cosine between a title's genres and the reader's, but for a constant."""
    total = sum(shares.get(name, 0) for name in candidate.genres)
    return total / len(candidate.genres) ** 0.5 if candidate.genres else 0


def _reasons(candidate: Candidate, liked: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the reader's titles that share most genres with a title, of all that either has."""

    def likeness(each: Candidate) -> float:
        common = len(candidate.genres & each.genres)
        return common / len(candidate.genres | each.genres) if common else 0

    near = sorted((each for each in liked if likeness(each)), key=likeness, reverse=True)
    return tuple(each.title for each in near[:_MOST_REASONS])


# --- SQL -----------------------------------------------------------------------------------------

_GENRES = """ARRAY(SELECT name FROM manga_genres JOIN genres ON genres.id = genre_id
                   WHERE manga_id = manga.id)"""

_HELD = """
SELECT manga_id FROM user_library WHERE user_id = %(user)s
UNION SELECT manga_id FROM user_progress WHERE user_id = %(user)s
"""

# The newest ones tell most, and bound the time; a dropped title is nothing that the reader likes.
_CHOSEN = """
SELECT manga_id FROM user_library l WHERE user_id = %(user)s AND NOT EXISTS (
    SELECT FROM user_progress p
    WHERE p.user_id = l.user_id AND p.manga_id = l.manga_id AND p.status = 'dropped')
ORDER BY added_at DESC NULLS LAST, manga_id LIMIT %(titles)s
"""

_LIKED = f"""
SELECT manga.id, title, 1::float8, {_GENRES} FROM manga WHERE id IN ({_CHOSEN}) ORDER BY id
"""

# What may be suggested at all. Titles for adults only go to readers who have such titles.
_ALLOWED = """
manga.unavailable_at IS NULL AND manga.id NOT IN (TABLE held)
AND (manga.content_rating IS DISTINCT FROM 'pornographic' OR EXISTS (
    SELECT FROM manga own JOIN held ON own.id = held.manga_id
    WHERE own.content_rating = 'pornographic'))
"""

_KNOWN_TO_OTHERS = """
%(holders)s <= (SELECT count(*) FROM (
    SELECT DISTINCT user_id FROM user_library
    WHERE manga_id = manga.id AND user_id <> %(user)s LIMIT %(holders)s) AS others)
"""

_ALIKE = f"""
WITH held AS MATERIALIZED ({_HELD}), chosen AS MATERIALIZED ({_CHOSEN}), in_common AS (
    SELECT l.user_id, count(*) AS shared FROM chosen JOIN user_library l USING (manga_id)
    WHERE l.user_id <> %(user)s
    GROUP BY l.user_id ORDER BY shared DESC, l.user_id LIMIT %(readers)s
), alike AS MATERIALIZED (
    SELECT user_id, shared ^ 2::float8 / (SELECT count(*) FROM chosen) / (
        SELECT count(*) FROM user_library l WHERE l.user_id = in_common.user_id) AS nearness
    FROM in_common ORDER BY nearness DESC, user_id LIMIT %(neighbours)s
), found AS (
    SELECT l.manga_id, sum(nearness) AS score, count(DISTINCT l.user_id) AS holders
    FROM alike JOIN user_library l USING (user_id)
    LEFT JOIN user_progress p ON p.user_id = l.user_id AND p.manga_id = l.manga_id
    WHERE p.status IS DISTINCT FROM 'dropped' AND l.manga_id NOT IN (TABLE held)
    GROUP BY l.manga_id ORDER BY score DESC, l.manga_id LIMIT %(looked_at)s
)
SELECT manga.id, title, score, {_GENRES} FROM found JOIN manga ON manga.id = found.manga_id
WHERE {_ALLOWED} AND (holders >= %(holders)s OR {_KNOWN_TO_OTHERS})
ORDER BY score DESC, manga.id LIMIT %(limit)s
"""

_POPULAR = f"""
WITH held AS MATERIALIZED ({_HELD})
SELECT manga.id, title, CASE WHEN follows > 0 THEN follows ELSE 1.0 / (1 + rank) END::float8,
    {_GENRES}
FROM title_popularity JOIN manga ON manga.id = manga_id
WHERE (follows > 0 OR follows IS NULL AND rank IS NOT NULL) AND {_ALLOWED}
ORDER BY follows DESC NULLS LAST, rank, manga.id LIMIT %(limit)s
"""

_READ_HERE = f"""
WITH held AS MATERIALIZED ({_HELD}), found AS (
    SELECT manga_id, count(DISTINCT user_id)::float8 AS score FROM user_library
    WHERE user_id <> %(user)s GROUP BY manga_id HAVING count(DISTINCT user_id) >= %(holders)s
)
SELECT manga.id, title, score, {_GENRES} FROM found JOIN manga ON manga.id = found.manga_id
WHERE {_ALLOWED}
ORDER BY score DESC, manga.id LIMIT %(limit)s
"""


def find_alike(connection: sql.Connection, user: User) -> list[Candidate]:
    """Return what readers alike have and the reader has not."""
    return _find_candidates(connection, _ALIKE, user)


def _find_candidates(connection: sql.Connection, query: str, user: User) -> list[Candidate]:
    parameters = {
        "user": user.id,
        "titles": _COMPARED_TITLES,
        "readers": _COMPARED_READERS,
        "neighbours": _NEIGHBOURS,
        "looked_at": _LOOKED_AT,
        "holders": FEWEST_HOLDERS,
        "limit": MAX_SUGGESTIONS,
    }
    rows = connection.execute(query.encode(), parameters).fetchall()
    return [Candidate(id, title, score, frozenset(genres)) for id, title, score, genres in rows]


def _find_popular(connection: sql.Connection, user: User) -> list[Candidate]:
    """Return what is followed most at the source, by its figures, else by the order of its list.

    Where neither is known, return what is read here.
    """
    popular = _find_candidates(connection, _POPULAR, user)
    return popular or _find_candidates(connection, _READ_HERE, user)


def _has_enough_readers(connection: sql.Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM (SELECT FROM users WHERE EXISTS"
        " (SELECT FROM user_library WHERE user_id = users.id) LIMIT %s) AS readers",
        [FEWEST_READERS],
    ).fetchone()
    return row is not None and row[0] >= FEWEST_READERS


_READ_KEPT = f"""
WITH held AS MATERIALIZED ({_HELD})
SELECT s.manga_id, manga.title, s.score, s.because
FROM reader_suggestions kept LEFT JOIN (
    jsonb_to_recordset(suggestions) AS s (manga_id bigint, score float8, because text[])
    JOIN manga ON manga.id = s.manga_id AND {_ALLOWED}) ON true
WHERE user_id = %(user)s AND made_at > %(oldest)s AND made_at <= %(now)s
  AND kept.held = (SELECT count(*) FROM held)
ORDER BY s.score DESC, s.manga_id
"""


def _read_kept(connection: sql.Connection, user: User, now: datetime) -> list[Suggestion] | None:
    """Return what was made not long ago, None if it has to be made."""
    parameters = {"user": user.id, "oldest": now - KEPT_FOR, "now": now}
    rows = connection.execute(_READ_KEPT.encode(), parameters).fetchall()
    if not rows:
        return None
    return [
        Suggestion(id, title, score, tuple(because))
        for id, title, score, because in rows
        if id is not None
    ]


def _keep(
    connection: sql.Connection, user: User, now: datetime, suggestions: Sequence[Suggestion]
) -> None:
    connection.execute(
        "INSERT INTO reader_suggestions (user_id, made_at, held, suggestions)"
        f" SELECT %(user)s, %(now)s, count(*), %(suggestions)s FROM ({_HELD}) AS held"
        " ON CONFLICT (user_id) DO UPDATE SET made_at = excluded.made_at, held = excluded.held,"
        " suggestions = excluded.suggestions".encode(),
        {"user": user.id, "now": now, "suggestions": Jsonb([asdict(s) for s in suggestions])},
    )
