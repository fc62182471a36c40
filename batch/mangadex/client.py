"""The API client: one method an endpoint, retries, errors translated; returns JSON.

Parameters and ceilings are those of the API's OpenAPI description, version 5.13. Every list is
asked for with an explicit order, limit and content ratings: without them the API leaves out
pornographic titles, answers ten entries, and repeats or skips some between pages.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast
from uuid import UUID

import backoff

from batch.config import CONTENT_RATINGS
from batch.errors import Banned, RateLimited, RequestRefused, SourceDown, TransientError
from batch.limits.permit import Permits
from batch.mangadex.accounts import follows_of, ids_by_number, token_of
from batch.mangadex.http import Parameters, Session
from batch.mangadex.responses import Response, body_of, entity_of, page_of
from batch.models import JsonObject, Order, Page
from mangahub.retry_after import http_date
from sql.state.workflows import FOUNDED

MAX_TRIES = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 32.0
BAN_PAUSE = timedelta(minutes=10)
CLOCK_TOLERANCE = timedelta(seconds=5)  # the source's `Date` has whole seconds
DEFAULT_PAUSE = timedelta(seconds=2)  # after a 429 without a time; the limit is per second

_REFERENCES = [("includes[]", "author"), ("includes[]", "cover_art")]
_GROUPS = ("includes[]", "scanlation_group")  # whose work a chapter is

log = logging.getLogger(__name__)

_LOGIN_PATH = "/realms/mangadex/protocol/openid-connect/token"

Body = JsonObject | None
Send = Callable[[], Response]
T = TypeVar("T")


class MangaDex:
    """A client for one process.

    Args:
        session: sends the requests.
        permits: decide whether and when a request may leave.
    """

    def __init__(self, session: Session, permits: Permits) -> None:
        self._session = session
        self._permits = permits
        self._ahead = timedelta(0)  # how far this host's clock is ahead of the source's

    def close(self) -> None:
        self._session.close()

    def source_time(self, moment: datetime) -> datetime:
        """Return a moment of this host's clock by the clock of the source, which decides.

        With a clock that is ahead, chapters would be announced too early, and what appears after
        a title's first sync would count as its history; with one that is behind, its history
        would count as news.
        """
        return moment - self._ahead

    def not_ahead(self, moment: datetime) -> datetime:
        """Return the earlier of both clocks' times, to be compared with this host's later."""
        return min(moment, self.source_time(moment))

    def probe(self) -> None:
        """Send one small request, without retries, to see whether the source works again.

        Raises:
            SourceDown, Banned, Stopped: it does not.
        """
        self._permits.allow_probe()
        try:
            parameters = _window(1, 0, ("createdAt", "asc"))
            self._attempt(lambda: self._session.get("/manga", parameters), body_of)
        except RequestRefused:
            return  # a source that answers with an API error works
        except TransientError as exc:
            raise SourceDown(f"the source still fails: {exc}") from exc

    def list_manga(
        self,
        *,
        order: Order | None = None,
        limit: int = 100,
        offset: int = 0,
        ids: Sequence[UUID] = (),
        ratings: Sequence[str] = CONTENT_RATINGS,
        created_since: datetime | None = None,
    ) -> Page:
        """Return at most 100 titles (`GET /manga`), of all four content ratings by default.

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        parameters = [
            *_window(limit, offset, order or ("createdAt", "asc")),
            *(("ids[]", str(mangadex_id)) for mangadex_id in ids),
            *(("contentRating[]", rating) for rating in ratings),
            *_REFERENCES,
            *_since("createdAtSince", created_since),
        ]
        return self._get("/manga", parameters, lambda body: page_of(body, offset))

    def get_manga(self, mangadex_id: UUID) -> JsonObject | None:
        """Return a title (`GET /manga/{id}`), or None if the API itself answers 404.

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        try:
            return self._get(f"/manga/{mangadex_id}", _REFERENCES, entity_of)
        except RequestRefused as exc:
            # A wrong address or a failing proxy answers 404 too, and would empty the catalogue.
            if exc.status == 404 and exc.by_api:
                return None
            raise

    def list_feed(
        self,
        mangadex_id: UUID,
        *,
        languages: Sequence[str],
        ratings: Sequence[str] = CONTENT_RATINGS,
        limit: int = 500,
        offset: int = 0,
        order: Order = ("readableAt", "asc"),
        include_unavailable: bool = False,
    ) -> Page:
        """Return at most 500 chapters of one title (`GET /manga/{id}/feed`).

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        parameters = [
            *_window(limit, offset, order),
            _GROUPS,
            *(("translatedLanguage[]", language) for language in languages),
            *(("contentRating[]", rating) for rating in ratings),
            *([("includeUnavailable", "1")] if include_unavailable else []),
        ]
        path = f"/manga/{mangadex_id}/feed"
        return self._get(path, parameters, lambda body: page_of(body, offset))

    def list_chapters(
        self,
        *,
        languages: Sequence[str],
        ratings: Sequence[str],
        limit: int = 100,
        offset: int = 0,
        order: Order = ("readableAt", "desc"),
    ) -> Page:
        """Return at most 100 chapters of all titles (`GET /chapter`), newest first by default.

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        parameters = [
            *_window(limit, offset, order),
            _GROUPS,
            *(("translatedLanguage[]", language) for language in languages),
            *(("contentRating[]", rating) for rating in ratings),
        ]
        return self._get("/chapter", parameters, lambda body: page_of(body, offset))

    def map_legacy(self, numbers: Sequence[int]) -> dict[int, UUID]:
        """Return the ids of titles' numbers of before 2021 (`POST /legacy/mapping`).

        Numbers that the source does not know are left out.

        Args:
            numbers: as many as a body of 10 KB holds.

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        body = {"type": "manga", "ids": list(numbers)}
        return self._ask(
            lambda: self._session.post("/legacy/mapping", document=body),
            lambda answer: ids_by_number(body_of(answer), numbers),
        )

    def list_follows(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return how many follow each of at most 100 titles (`GET /statistics/manga`).

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        parameters = [("manga[]", str(mangadex_id)) for mangadex_id in ids]
        return self._get("/statistics/manga", parameters, follows_of)

    def list_statuses(self) -> JsonObject:
        """Return the library of the account whose token is sent (`GET /manga/status`), all of it.

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        return self._get("/manga/status", (), lambda body: body or {})

    def log_in(self, form: Mapping[str, str]) -> str:
        """Return an access token; this client's address has to be that of the auth host.

        Raises:
            RequestRefused, SourceDown, Stopped.
        """
        return self._ask(
            lambda: self._session.post(_LOGIN_PATH, form=form),
            lambda answer: token_of(body_of(answer)),
        )

    def _get(self, path: str, parameters: Parameters, read: Callable[[Body], T]) -> T:
        return self._ask(
            lambda: self._session.get(path, parameters), lambda answer: read(body_of(answer))
        )

    def _ask(self, send: Send, read: Callable[[Response], T]) -> T:
        # `backoff` counts the tries. No signal could end its own sleep, so it waits 0 s and the
        # handler does the waiting.
        attempt = backoff.on_exception(
            lambda: backoff.constant(0),
            TransientError,
            max_tries=MAX_TRIES,
            jitter=None,
            on_backoff=self._wait,
            logger=None,
        )(self._attempt)
        try:
            return attempt(send, read)
        except TransientError as exc:
            raise SourceDown(f"after {MAX_TRIES} tries: {exc}") from exc

    def _attempt(self, send: Send, read: Callable[[Response], T]) -> T:
        """Send one request, and count its outcome before the turn ends."""
        with self._permits.turn():
            try:
                answer = send()
                self._compare_clocks(answer)
                result = read(answer)
            except RateLimited as exc:
                self._permits.limited(exc.retry_after or DEFAULT_PAUSE)
                raise
            except Banned:
                self._permits.pause(BAN_PAUSE)
                raise
            except TransientError as exc:
                if exc.retry_after:
                    self._permits.pause(exc.retry_after)
                self._permits.failed()
                raise
            except RequestRefused:
                self._permits.succeeded()  # a source that answers with an API error works
                raise
            self._permits.succeeded()
            return result

    def _compare_clocks(self, answer: Response) -> None:
        date = http_date(answer.headers.get("Date", ""))
        # `Date` is cut to whole seconds: the source's clock may be almost a second later.
        ahead = datetime.now(UTC) - date - timedelta(seconds=1) if date else timedelta(0)
        is_wrong = date is not None and date >= FOUNDED and abs(ahead) > CLOCK_TOLERANCE
        self._ahead = ahead if is_wrong else timedelta(0)

    def _wait(self, details: Mapping[str, object]) -> None:
        """Wait between two tries: as the server asks, else full jitter below a doubling cap."""
        tries = cast(int, details["tries"])
        exc = cast(TransientError, details["exception"])
        cap_s = min(FIRST_WAIT_S * 2 ** (tries - 1), LONGEST_WAIT_S)
        wait_s = random.uniform(0, cap_s)
        if exc.retry_after is not None:
            # The pause is in the budget, too. A long one is left to the next turn, which may end
            # the run.
            asked_s = exc.retry_after.total_seconds()
            wait_s = (asked_s if asked_s <= LONGEST_WAIT_S else 0) + random.uniform(0, 0.2)
        log.warning("A request will be repeated try=%d wait_s=%.1f: %s", tries, wait_s, exc)
        self._permits.stop.wait(wait_s)


def _window(limit: int, offset: int, order: Order) -> list[tuple[str, str]]:
    field, direction = order
    return [("limit", str(limit)), ("offset", str(offset)), (f"order[{field}]", direction)]


def _since(name: str, moment: datetime | None) -> list[tuple[str, str]]:
    """Return the parameter in the API's format: UTC without zone and without fractions."""
    if moment is None:
        return []
    return [(name, f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")]
