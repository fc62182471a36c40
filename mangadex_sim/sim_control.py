"""Orders to a simulator in another process, over HTTP; standard library only."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

from mangadex_sim.catalogue.models import Json
from mangadex_sim.commands import Commands
from mangadex_sim.server.control import PREFIX

_TIMEOUT_S = 60.0


class SimControl(Commands):
    """Controls the simulator at a base URL; OSError where it cannot be reached."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._netloc = urlsplit(self.url).netloc

    def order(self, path: str, **order: object) -> Json:
        """Carry out one order; ValueError with the simulator's words for a bad one."""
        connection = HTTPConnection(self._netloc, timeout=_TIMEOUT_S)
        try:
            connection.request(
                "POST",
                PREFIX + path,
                json.dumps(order, default=str).encode(),
                {"Content-Type": "application/json", "Connection": "close"},
            )
            response = connection.getresponse()
            answer: Json = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer["error"])
        return answer
