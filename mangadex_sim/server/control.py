"""The control endpoint: orders under `/_sim/…`, not counted, not limited, answered also when down.

`POST` with a JSON object; those that only read take `GET` too. 200 with JSON, or 400/404 with
`{"error": …}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from mangadex_sim.catalogue.clock import format_instant
from mangadex_sim.catalogue.models import Json
from mangadex_sim.orders.account_orders import AccountOrders
from mangadex_sim.orders.chapter_orders import ChapterOrders
from mangadex_sim.orders.order_fields import read_number
from mangadex_sim.orders.title_orders import TitleOrders
from mangadex_sim.server.faults import MODES, read_fault
from mangadex_sim.server.http_server import HttpServer
from mangadex_sim.server.replies import json_reply
from mangadex_sim.server.site import Site
from mangadex_sim.server.wire import Reply, Request

_LONG_S = 1_000_000_000  # some thirty years

PREFIX = "/_sim/"


class Control:
    """Dispatches orders by their path (without the prefix)."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.server: HttpServer | None = None  # known once it exists; refusing needs it
        titles = TitleOrders(site.catalogue, site.clock)
        chapters = ChapterOrders(site.catalogue, site.clock)
        accounts = AccountOrders(site.account_api.accounts)
        self._orders: dict[str, Callable[[Json], Json]] = {
            "titles/add": titles.add,
            "titles/edit": titles.edit,
            "titles/remove": titles.remove,
            "titles/restore": titles.restore,
            "titles/ids": titles.list_ids,
            "chapters/publish": chapters.publish,
            "chapters/edit": chapters.edit,
            "chapters/remove": chapters.remove,
            "chapters/unavailable": chapters.make_unavailable,
            "chapters/list": chapters.list_rows,
            "chapters/spread": chapters.spread,
            "accounts/add": accounts.add,
            "accounts/end-tokens": accounts.end_tokens,
            "lists/add": accounts.add_list,
            "covers/set": site.covers.order,
            "stats": self._stats,
            "reset": self._reset,
            "slow": self._slow,
            "fail": self._fail,
            "heal": self._heal,
            "down": self._down,
            "up": self._up,
            "clock": self._clock,
            "settings": self._settings,
        }

    def paths(self) -> list[str]:
        """Return the names of all orders."""
        return list(self._orders)

    def order(self, path: str, order: Json) -> Json:
        """Carry out one order; LookupError, ValueError or TypeError for a bad one."""
        carry_out = self._orders.get(path)
        if carry_out is None:
            raise LookupError(f"no such order: {path!r}; there are {', '.join(self._orders)}")
        with self._site.lock:
            try:
                return carry_out(order)
            except KeyError as error:
                raise ValueError(f"missing or unknown: {error.args[0]!r}") from error
            except (AttributeError, OverflowError) as error:
                raise ValueError(str(error)) from error

    def reply_to(self, request: Request) -> Reply:
        """Answer a control request."""
        try:
            order = json.loads(request.body) if request.body.strip() else {}
            if not isinstance(order, dict):
                raise ValueError("an order is a JSON object")
            return json_reply(self.order(request.path.removeprefix(PREFIX), order))
        except (ValueError, TypeError) as error:
            return json_reply({"error": str(error)}, 400)
        except LookupError as error:
            return json_reply({"error": str(error.args[0])}, 404)

    def _stats(self, _: Json) -> Json:
        return self._site.counts.report()

    def _reset(self, _: Json) -> Json:
        """Forget counts, faults, slowness, outage, ban and window; catalogue and rules stay."""
        self._site.counts.reset()
        self._site.rate_rule.forget()
        self._site.faults.heal()
        self._site.change_settings({"latency_s": self._site.first_latency_s})
        return self._up({})

    def _slow(self, order: Json) -> Json:
        self._site.change_settings(
            {"latency_s": read_number(order, "ms", None, 0, 3_600_000) / 1_000}
        )
        return {}

    def _fail(self, order: Json) -> Json:
        self._site.faults.add(read_fault(order))
        return {"modes": list(MODES), "waiting": len(self._site.faults.waiting())}

    def _heal(self, _: Json) -> Json:
        self._site.faults.heal()
        return {}

    def _down(self, order: Json) -> Json:
        seconds = (
            None
            if order.get("seconds") is None
            else read_number(order, "seconds", None, 0, _LONG_S)
        )
        if not order.get("refuse"):
            self._site.go_down(seconds)
        elif self.server is not None:
            self.server.refuse(seconds)
        return {}

    def _up(self, _: Json) -> Json:
        self._site.come_up()
        if self.server is not None:
            self.server.open()
        return {}

    def _clock(self, order: Json) -> Json:
        """Shift the clock to `shift_s` from the real one, or by `by_s` from where it is."""
        clock = self._site.clock
        shift_s = read_number(order, "shift_s", clock.shift_s, -_LONG_S, _LONG_S)
        clock.shift_s = shift_s + read_number(order, "by_s", 0, -_LONG_S, _LONG_S)
        return {"shift_s": clock.shift_s, "now": format_instant(clock.now())}

    def _settings(self, order: Json) -> Json:
        self._site.change_settings(order)
        return vars(self._site.settings).copy()
