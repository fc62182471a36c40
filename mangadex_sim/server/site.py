"""One simulated site: decides the reply to every request, control requests apart.

The checks are in the order in which a request meets them: outage, rate rule, edge (URL, method,
agent, proxy), ordered failures, the API itself.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from email.utils import formatdate
from threading import RLock
from uuid import uuid4

from mangadex_sim.api.account_router import POSTS, AccountRouter
from mangadex_sim.api.accounts import LoginError
from mangadex_sim.api.router import Router
from mangadex_sim.catalogue.clock import DAY_S, Clock
from mangadex_sim.catalogue.models import Json, SimulatedError
from mangadex_sim.catalogue.state import Catalogue
from mangadex_sim.server import replies
from mangadex_sim.server.covers import PREFIX, ROUTE, Covers
from mangadex_sim.server.faults import SLOW, Fault, FaultPlan
from mangadex_sim.server.payloads import PAYLOAD_MODES, spoil
from mangadex_sim.server.request_counts import RequestCounts
from mangadex_sim.server.rules import Decision, RateRule, Verdict
from mangadex_sim.server.wire import Manner, Reply, Request
from mangadex_sim.settings import Settings

# nginx answered 414 at 7,214 characters; 100 ids of 50 characters must pass.
MOST_TARGET_CHARACTERS = 7_200


class Site:
    """State and rules of the simulated API."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.first_latency_s = settings.latency_s
        self.clock = Clock()
        end = min(settings.history_end, self.clock.now() - 2 * DAY_S)
        self.catalogue = Catalogue(settings.seed, settings.titles, end)
        self.lock = RLock()  # guards catalogue, api and faults
        self.api = Router(self.catalogue, settings.since_inclusive)
        self.account_api = AccountRouter(self.catalogue, self.api)
        self.covers = Covers(self.catalogue, self.clock)
        self.rate_rule = RateRule()
        self.faults = FaultPlan()
        self.counts = RequestCounts()
        self._down_until_s = 0.0
        self._mixed = itertools.cycle(("epoch", "none"))

    def go_down(self, seconds: float | None) -> None:
        """Close every connection without an answer, for a time or until `come_up`."""
        self._down_until_s = float("inf") if seconds is None else time.monotonic() + seconds

    def come_up(self) -> None:
        """Answer again."""
        self._down_until_s = 0.0

    @property
    def is_down(self) -> bool:
        """Whether requests are closed without an answer."""
        return time.monotonic() < self._down_until_s

    def change_settings(self, changes: dict[str, object]) -> None:
        """Change rules while running; ValueError or TypeError for what cannot be changed."""
        fixed = {"titles", "seed", "recent_chapters", "history_end", "since_inclusive"}
        if fixed & set(changes):
            raise ValueError(f"fixed at the start: {', '.join(sorted(fixed & set(changes)))}")
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]

    def reply_to(self, request: Request) -> Reply:
        """Return the reply, with the headers that all of them carry."""
        self.counts.begin(
            self._route_of(request.path),
            request.target,
            request.headers.get("user-agent", ""),
            request.arrival_s,
        )
        reply = self._decide(request)
        common = {
            "Server": "MangaDex",
            "X-Request-ID": str(uuid4()),
            "Date": formatdate(self.clock.now(), usegmt=True),
            "Cache-Control": "no-cache, private",
        }
        return replace(reply, headers={**common, **reply.headers})

    def _route_of(self, path: str) -> str:
        """Return the pattern that a path belongs to, for counting."""
        if path.startswith(PREFIX):
            return ROUTE
        return self.account_api.route_of(path) or self.api.route_of(path)

    def _decide(self, request: Request) -> Reply:
        if self.is_down:
            return Reply(503, manner=Manner.CLOSE)
        verdict = self.rate_rule.judge(request.arrival_s, self.settings)
        if verdict.outcome is not Decision.ALLOWED:
            return self._refuse(verdict)
        return _check_edge(request) or self._answer(request)

    def _refuse(self, verdict: Verdict) -> Reply:
        if verdict.outcome is Decision.BANNED:
            return replies.banned()
        kind = self.settings.retry_header
        if kind == "mixed":
            kind = next(self._mixed)
        return replies.too_many(kind, verdict.wait_s, time.time() + self.clock.shift_s)

    def _answer(self, request: Request) -> Reply:
        with self.lock:
            fault = self.faults.choose(request.path)
            if fault and fault.mode in replies.CANNED:
                self.faults.spend(fault)
                return replies.CANNED[fault.mode](fault.wait_s, time.time() + self.clock.shift_s)
            return self._answer_truly(request, fault)

    def _answer_truly(self, request: Request, fault: Fault | None) -> Reply:
        if request.path == "/ping":
            reply = Reply(200, b"pong", replies.PLAIN)
        elif request.path.startswith(PREFIX):
            reply = self.covers.answer(request.path)
        else:
            try:
                document = self._document(request)
            except LoginError as error:
                return replies.json_reply(error.body, error.status)
            except SimulatedError as error:
                return replies.error_reply(error)
            if fault and fault.mode in PAYLOAD_MODES:
                spoiled = spoil(fault.mode, document, fault.position)
                if spoiled is not None:
                    self.faults.spend(fault)
                    document = spoiled
            reply = replies.json_reply(document)
        return self._distort(reply, fault)

    def _document(self, request: Request) -> Json:
        path, query, now = request.path, request.query, self.clock.now()
        if self.account_api.route_of(path) is None:
            return self.api.answer(path, query, now)
        return self.account_api.answer(path, query, request.headers, request.body, now)

    def _distort(self, reply: Reply, fault: Fault | None) -> Reply:
        """Send a good reply in a wrong manner, if that was ordered."""
        if fault and fault.mode in replies.MANNERS:
            self.faults.spend(fault)
            return replace(
                reply, manner=replies.MANNERS[fault.mode], seconds=fault.seconds, size=fault.size
            )
        if fault and fault.mode == SLOW:
            self.faults.spend(fault)
            return replace(reply, seconds=fault.seconds)
        return reply

    def due_s(self, request: Request, reply: Reply) -> float:
        """Return when the reply is to leave, in monotonic seconds."""
        extra_s = reply.seconds if reply.manner is Manner.PLAIN else 0.0
        return request.arrival_s + self.settings.latency_s + extra_s


def _check_edge(request: Request) -> Reply | None:
    """Return the refusal of a request that never reaches the API, or None."""
    if len(request.target) > MOST_TARGET_CHARACTERS:
        return replies.uri_too_long()
    agent = request.headers.get("user-agent", "")
    if not agent or "mozilla" in agent.lower():
        return replies.bad_agent()
    if "via" in request.headers:
        return replies.forbidden_via()
    wanted = "POST" if request.path in POSTS else "GET"
    return None if request.method == wanted else replies.method_not_allowed(request.method)
