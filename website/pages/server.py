"""The process that serves pages: waitress in a thread, until TERM."""

from __future__ import annotations

import os
import signal
import socket
import threading

from mangahub import waitress_server
from mangahub.waitress_server import WebServer
from sql.connections import Database
from website.config import Surroundings
from website.covers.covers import open_covers
from website.pages.app import create_app
from website.pages.lists import UPLOADS
from website.pages.site import Site

_QUICK_PATHS = ("/healthz",)
_HTTP_STOP_S = 5.0
_COVERS_STOP_S = 1.0
_TURN_S = 1.0


def run(sock: socket.socket, given: Surroundings) -> None:
    """Serve until TERM; a thread that ends ends the process, whose parent starts it again."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    size = waitress_server.THREADS + 1
    database = Database(given.database_url, size, application_name="mangahub-web")
    covers = open_covers(given.config, given.database_url)
    app = create_app(Site(given, database, covers=covers))
    web = WebServer(app, sock, lambda *_: True, _QUICK_PATHS, UPLOADS)
    web.start()
    while not stopped.wait(_TURN_S):
        database.close_stuck()
        if not web.is_alive:
            os._exit(1)
    web.stop(_HTTP_STOP_S)
    if covers is not None:
        covers.fetcher.stop(_COVERS_STOP_S)
    database.close()
