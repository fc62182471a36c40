"""What programs ask: whether this one lives, whether it can serve, and its figures."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from mangahub.sockets import is_loopback
from website.pages.gates import open_to_all
from website.pages.site import connected, site

pages = Blueprint("upkeep", __name__)


@pages.get("/healthz")
@open_to_all
def healthz() -> ResponseReturnValue:
    return _plain("ok\n")


@pages.get("/readyz")
@open_to_all
def readyz() -> ResponseReturnValue:
    with connected() as connection:
        connection.execute("SELECT 1")
    return _plain("ready\n")


@pages.get("/metrics")
@open_to_all
def metrics() -> ResponseReturnValue:
    """Answer with figures for Prometheus, to programs of this host only."""
    if not is_loopback(request.remote_addr or ""):
        abort(404)
    answer = Response(site().metrics.render(), content_type=site().metrics.content_type)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@pages.get("/robots.txt")
@open_to_all
def robots() -> ResponseReturnValue:
    return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")


def _plain(text: str) -> Response:
    return Response(text, mimetype="text/plain", headers={"Cache-Control": "no-store"})
