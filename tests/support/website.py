"""The website's pages, served in this process; and visitors who speak HTTP with them."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import requests

import sql
from mangahub.env import Env
from mangahub.sockets import listening, shown
from mangahub.waitress_server import WebServer
from readers.sessions import open_session
from readers.users import User
from sql.connections import Database
from website import config
from website.config import Surroundings, find_addresses
from website.covers.covers import open_covers
from website.pages.app import create_app
from website.pages.lists import UPLOADS
from website.pages.site import Site, utc_now

SECRET = "a secret for tests, long enough"
COOKIE = "mangahub_session"


class Visitor:
    """Somebody with a browser's manners: keeps cookies, and sends forms as pages have them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.http.get(self.url + path, timeout=20, allow_redirects=False, **options)

    def post(self, path: str, page: str, **fields: Any) -> requests.Response:
        """Send a form with the token that stands on `page`."""
        token = form_token(self.get(page).text)
        return self.http.post(
            self.url + path,
            data={"form_token": token, **fields},
            headers={"Origin": self.url},
            timeout=20,
            allow_redirects=False,
        )


def form_token(html: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert found, "the page has no form"
    return found.group(1)


class RunningSite:
    """Pages that listen on a port of their own."""

    def __init__(self, url: str, database_url: str) -> None:
        self.url = url
        self.database_url = database_url
        self._visitors: list[Visitor] = []

    def visitor(self, user: User | None = None) -> Visitor:
        """Return a new visitor, who is signed in if a user is given."""
        found = Visitor(self.url)
        self._visitors.append(found)
        if user is not None:
            found.http.cookies.set(COOKIE, self.session_token(user))
        return found

    def session_token(self, user: User) -> str:
        with sql.connect(self.database_url, "mangahub-tests") as connection:
            return open_session(connection, user, "a test")

    def close(self) -> None:
        for visitor in self._visitors:
            visitor.http.close()


class _Silence(BaseHTTPRequestHandler):
    """Answers as a stream on which nothing comes, and asks the browser to come back much later."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(b"retry: 600000\n\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def silent_streams() -> Iterator[str]:
    """Yield the `host:port` of a stand-in for the streams, for pages that open one."""
    with HTTPServer(("127.0.0.1", 0), _Silence) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running_site(
    database_url: str,
    now: Callable[[], datetime] = utc_now,
    with_covers: bool = False,
    streams_at: str = "",
    **settings: str,
) -> Iterator[RunningSite]:
    """Serve the pages over a database, and streams on which nothing comes.

    Args:
        with_covers: whether covers are fetched from MANGADEX_COVERS_URL.
        streams_at: `host:port` of the stream process, for its figures.
        settings: variables of the environment.
    """
    sock = listening(socket.SOCK_STREAM, "127.0.0.1", 0)
    read = config.load(Env({"MANGAHUB_DATA": "/nonexistent", **settings}))
    database = Database(database_url, 9, application_name="mangahub-web")
    covers = open_covers(read, database_url) if with_covers else None
    with silent_streams() as streams:
        addresses = find_addresses(read, shown(sock), streams)
        given = Surroundings(read, addresses, database_url, SECRET, streams_at)
        app = create_app(Site(given, database, now, covers))
        web = WebServer(app, sock, lambda *_: True, (), UPLOADS)
        web.start()
        site = RunningSite(f"http://{shown(sock)}", database_url)
        try:
            yield site
        finally:
            site.close()
            web.stop(5)
            if covers is not None:
                covers.fetcher.stop(15)
            database.close()
            sock.close()
