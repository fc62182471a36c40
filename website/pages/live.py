"""Where a page's script opens its stream: apart from the page, which stays the same and is kept."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from website.pages.site import site, visit
from website.security.tickets import Ticket, make_ticket

pages = Blueprint("live", __name__)


@pages.get("/live")
def address() -> Response:
    """Return the address of the visitor's stream, good for ten minutes."""
    given, found = site().given, visit()
    reader = found.user.id if found.user else None
    ticket = make_ticket(given.secret, Ticket(reader, found.is_operator), found.now.timestamp())
    answer = jsonify(url=f"{given.addresses.streams}/events?ticket={ticket}")
    answer.headers["Cache-Control"] = "no-store"
    return answer
