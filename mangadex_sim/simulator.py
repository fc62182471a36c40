"""The simulator as an object: in this process, on a port of its own."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from mangadex_sim.catalogue.models import Json
from mangadex_sim.commands import Commands
from mangadex_sim.server.control import PREFIX, Control
from mangadex_sim.server.http_server import HttpServer
from mangadex_sim.server.site import Site
from mangadex_sim.server.wire import Reply, Request
from mangadex_sim.settings import Settings


class Simulator(Commands):
    """A running stand-in for the MangaDex API; a context manager.

    `settings` are a starting point, keywords change single ones (see Settings). ValueError or
    TypeError for a bad one, OSError if the port cannot be bound. Port 0 picks a free one.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        **changes: Any,
    ) -> None:
        self._site = Site(replace(settings or Settings(), **changes))
        self._control = Control(self._site)
        self._server = HttpServer(self, host, port)
        self._control.server = self._server

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end."""
        host, port = self._server.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Publish the recent chapters that were asked for, then accept connections."""
        if self._site.settings.recent_chapters:
            self.spread_chapters(self._site.settings.recent_chapters)
        self._server.open()

    def stop(self) -> None:
        """Close everything; the threads have ended when it returns."""
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def order(self, path: str, **order: object) -> Json:
        """Carry out one order without HTTP."""
        return self._control.order(path, order)

    # --- called by the server ------------------------------------------------------------------

    def handle(self, request: Request) -> tuple[Reply, float]:
        """Return the reply and when it is due, in monotonic seconds."""
        if request.path.startswith(PREFIX):
            return self._control.reply_to(request), 0.0
        reply = self._site.reply_to(request)
        return reply, self._site.due_s(request, reply)

    def finish(self, request: Request, outcome: str) -> None:
        """Count how a request ended."""
        if not request.path.startswith(PREFIX):
            self._site.counts.end(outcome)
