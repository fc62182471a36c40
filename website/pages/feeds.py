"""Feeds and calendars for other programs, and the page with a reader's private addresses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from website.feeds import atom, ics, json_feed
from website.feeds.entries import Feed, urn
from website.feeds.ics import Occasion
from website.pages.gates import for_readers, open_to_all
from website.pages.site import connected, reader, site, visit
from website.rules.expectations import as_json, describe_range
from website.security.private import KINDS, Kind
from website.store import entries, private_addresses, releases
from website.store import title as title_store
from website.store.releases import Expected
from website.store.title import TitlePage

pages = Blueprint("feeds", __name__)

_WRITERS = {
    "atom": (atom.write_atom, atom.MIME_TYPE),
    "json": (json_feed.write_json, json_feed.MIME_TYPE),
}
_PAST = timedelta(days=31)  # what came stays in the calendar for so long
_IN_CALENDAR = ("likely", "maybe")


@pages.get("/feeds/all.<any(atom, json):form>")
def all_news(form: str) -> ResponseReturnValue:
    """Everything that came, for whoever asks."""
    url = _site_url()
    with connected() as connection:
        found = entries.list_chapters(connection, url, visit().now)
    feed = Feed(urn("feed", "all"), "MangaHub: new chapters", f"{url}/", _own_url(), found)
    return _answer(feed, form)


@pages.get("/titles/<int:manga_id>.atom")
def title_news(manga_id: int) -> ResponseReturnValue:
    """The chapters of one title."""
    url = _site_url()
    with connected() as connection:
        title = title_store.find_title(connection, manga_id) or abort(404)
        found = entries.list_chapters(connection, url, visit().now, manga_id)
    page = f"{url}/titles/{manga_id}"
    return _answer(Feed(urn("feed", manga_id), title.title, page, _own_url(), found), "atom")


@pages.get("/titles/<int:manga_id>.json")
def title_facts(manga_id: int) -> ResponseReturnValue:
    """A title's facts, with when its next chapter is expected."""
    user = visit().user
    with connected() as connection:
        title = title_store.find_title(connection, manga_id) or abort(404)
        now = visit().now
        expected = releases.expect_one(connection, manga_id, user.id if user else None, now)
    return _title_json(title, expected)


def _title_json(title: TitlePage, expected: Expected | None) -> dict[str, object]:
    return {
        "id": title.id,
        "mangadex_id": str(title.mangadex_id) if title.mangadex_id else None,
        "title": title.title,
        "author": title.author,
        "status": title.status,
        "total_chapters": title.total_chapters,
        "genres": title.genres,
        "url": f"{_site_url()}/titles/{title.id}",
        "next": as_json(expected.next) if expected else None,
    }


@pages.get("/feeds/<secret>/news.<any(atom, json):form>")
@open_to_all
def news(secret: str, form: str) -> ResponseReturnValue:
    """A reader's notifications, for who has the address."""
    url = _site_url()
    with connected() as connection:
        key = site().given.secret
        user = private_addresses.find_reader(connection, key, "news", secret) or abort(404)
        found = entries.list_notifications(connection, url, user, visit().now)
    name = f"MangaHub: news for {user.username}"
    feed = Feed(urn("feed", "news", user.id), name, f"{url}/me/inbox", _own_url(), found)
    return _answer(feed, form)


@pages.get("/feeds/<secret>/calendar.ics")
@open_to_all
def calendar(secret: str) -> ResponseReturnValue:
    """A reader's calendar, for who has the address."""
    with connected() as connection:
        key = site().given.secret
        user = private_addresses.find_reader(connection, key, "calendar", secret) or abort(404)
        expected = releases.expect_unmuted(connection, user.id, visit().now)
    occasions = _occasions(expected, visit().now)
    body = ics.write_calendar(f"MangaHub: {user.username}", occasions)
    answer = Response(body, mimetype=ics.MIME_TYPE)
    answer.add_etag()
    return _conditional(answer)


def _occasions(titles: list[Expected], now: datetime) -> Iterator[Occasion]:
    """Yield what came lately, and the next release where its day can be said."""
    today, url = now.date(), _site_url()
    for each in titles:
        page = f"{url}/titles/{each.manga_id}"
        for day in each.days:
            if day > today - _PAST:
                id = urn("came", each.manga_id, day)
                text = f"A chapter came out ({each.language})."
                yield Occasion(id, day, each.title, text, page, day)
        found = each.next
        if found.expected and found.state in _IN_CALENDAR:
            last = each.days[-1]
            text = f"Expected {describe_range(found)}: {found.state}, {found.why}."
            title = each.title + ("" if found.state == "likely" else " (maybe)")
            yield Occasion(
                urn("next", each.manga_id, last), found.expected, title, text, page, last
            )


@pages.get("/me/feeds")
@for_readers
def show() -> ResponseReturnValue:
    """A reader's private addresses."""
    with connected() as connection:
        found = private_addresses.list_addresses(connection, site().given.secret, reader())
    url, streams = _site_url(), site().given.addresses.streams
    return render_template(
        "feeds.html",
        addresses={
            "news": [f"{url}/feeds/{found['news']}/news.{form}" for form in _WRITERS],
            "calendar": [f"{url}/feeds/{found['calendar']}/calendar.ics"],
            "events": [f"{streams}/feeds/{found['events']}/events"],
        },
        renewed=request.args.get("renewed"),
    )


@pages.post("/me/feeds/renew")
@for_readers
def renew() -> ResponseReturnValue:
    kind = _read_kind(request.form.get("kind"))
    with connected() as connection:
        private_addresses.renew_address(connection, reader(), kind)
    return redirect(url_for("feeds.show", renewed=kind), 303)


def _read_kind(text: str | None) -> Kind:
    for kind in KINDS:
        if kind == text:
            return kind
    abort(400, f"kind is one of {', '.join(KINDS)}.")


def _site_url() -> str:
    return site().given.addresses.pages


def _own_url() -> str:
    return _site_url() + request.path


def _answer(feed: Feed, form: str) -> Response:
    write, mime_type = _WRITERS[form]
    answer = Response(write(feed), mimetype=mime_type)
    answer.set_etag(f"{feed.etag}-{form}")
    answer.last_modified = feed.updated_at
    return _conditional(answer)


def _conditional(answer: Response) -> Response:
    """Send nothing to who has this already. No cookie belongs to it, and no other site reads it."""
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.make_conditional(request)
    return answer
