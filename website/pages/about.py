"""About, robots.txt, and whether this process is alive."""

from __future__ import annotations

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue

from website.pages.gates import open_to_all
from website.pages.site import connected

pages = Blueprint("about", __name__)


@pages.get("/about")
@open_to_all
def show() -> ResponseReturnValue:
    return render_template("about.html")


@pages.get("/healthz")
@open_to_all
def healthz() -> ResponseReturnValue:
    return Response("ok\n", mimetype="text/plain", headers={"Cache-Control": "no-store"})


@pages.get("/readyz")
@open_to_all
def readyz() -> ResponseReturnValue:
    with connected() as connection:
        connection.execute("SELECT 1")
    return Response("ready\n", mimetype="text/plain", headers={"Cache-Control": "no-store"})


@pages.get("/robots.txt")
@open_to_all
def robots() -> ResponseReturnValue:
    return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")
