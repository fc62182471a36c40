"""Devices: where a reader is notified, and where he is signed in."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

import sql
from readers import sessions
from readers.channels import store
from readers.channels.addresses import Policy, parse_address
from readers.channels.options import TYPES, Options, parse_digest, parse_only
from readers.channels.store import Channel
from readers.errors import InvalidPreference, NotFound, Taken
from website.pages.gates import for_readers
from website.pages.site import connected, reader, site, visit
from website.store.devices import last_acknowledged

pages = Blueprint("devices", __name__)

_HERE = "/me/devices"
# A sender that runs sends a test at once.
_SENDER_ANSWERS = timedelta(minutes=1)
_DEEDS = {
    "test": store.request_test,
    "pause": store.pause_channel,
    "resume": store.resume_channel,
    "remove": store.remove_channel,
}


@pages.get(_HERE)
@for_readers
def show() -> ResponseReturnValue:
    return _page()


@pages.post(f"{_HERE}/channels")
@for_readers
def add() -> ResponseReturnValue:
    """Add a channel; the secret of a webhook is on the page that answers, and never again."""
    try:
        address = parse_address(request.form.get("address", ""), _policy())
        options = _read_options()
        with connected() as connection:
            channel, secret = store.add_channel(connection, reader(), address, options)
            store.request_test(connection, channel)
    except (InvalidPreference, Taken) as exc:
        return _page(error=str(exc), status=400)
    return redirect(_HERE, 303) if secret is None else _page(added=channel, secret=secret)


@pages.post(f"{_HERE}/channels/<int:id>/<deed>")
@for_readers
def change(id: int, deed: str) -> ResponseReturnValue:
    """Test, pause, resume or remove a channel."""
    if deed not in _DEEDS:
        abort(404)
    with connected() as connection:
        _DEEDS[deed](connection, _own_channel(connection, id))
    return redirect(_HERE, 303)


@pages.post(f"{_HERE}/sessions/<int:id>/end")
@for_readers
def end_session(id: int) -> ResponseReturnValue:
    with connected() as connection:
        sessions.end_session(connection, reader(), id)
    return redirect(_HERE, 303)


def _own_channel(connection: sql.Connection, id: int) -> Channel:
    try:
        return store.find_channel(connection, reader(), str(id))
    except NotFound:
        abort(404, "This channel is not there any more.")


def _policy() -> Policy:
    config = site().given.config
    return Policy.of_settings(config.channel_kinds, config.private_channels)


def _read_options() -> Options:
    kinds = request.form.getlist("only")
    only = None if len(kinds) == len(TYPES) else parse_only(",".join(kinds))
    at = request.form.get("digest_at", "").strip()
    wants_digest = request.form.get("when") == "daily"
    zone = request.form.get("time_zone", "").strip() or "UTC"
    return Options(only, parse_digest(f"daily@{at}", zone) if wants_digest else None)


def _page(
    error: str | None = None,
    added: Channel | None = None,
    secret: str | None = None,
    status: int = 200,
) -> Response:
    with connected() as connection:
        channels = store.list_channels(connection, reader())
        browsers = sessions.list_sessions(connection, reader())
        acknowledged_at = last_acknowledged(connection, reader())
    waiting = [channel.test_wanted_at for channel in channels if channel.test_wanted_at]
    page = render_template(
        "devices.html",
        channels=channels,
        kinds=sorted(_policy().kinds or ()),
        types=list(TYPES),
        browsers=browsers,
        acknowledged_at=acknowledged_at,
        is_sender_silent=any(visit().now - since > _SENDER_ANSWERS for since in waiting),
        error=error,
        added=added,
        secret=secret,
        form=request.form,
    )
    answer = make_response(page, status)
    if secret is not None:
        answer.headers["Cache-Control"] = "no-store"
    return answer
