"""The Import page: bring a list, decide what is doubtful, take a list along."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

import sql
from readers.errors import NoSuchEntry, NotFound, UnreadableList
from readers.lists.decisions import decide
from readers.lists.entries import sites
from readers.lists.exporting import WRITERS, export_list
from readers.lists.formats import csv
from readers.lists.importing import import_list
from readers.lists.kept import export_open
from readers.lists.reading import AUTO, READERS, read_list
from readers.lists.report import Report
from website.pages.gates import for_readers, takes_upload
from website.pages.site import connected, reader, site
from website.rules.numbers import describe_number
from website.store import lists

pages = Blueprint("lists", __name__)

PATH = "/me/import"
MOST_BYTES = 16 * 2**20
_MULTIPART = 2**16  # what a form adds to its file
UPLOADS = {PATH: MOST_BYTES + 2 * _MULTIPART}  # that a little more is answered with a page
_TURNS = threading.BoundedSemaphore(2)
_WAIT_S = 5.0
_ON_PAGE = 25
_MAX_QUERY = 200
_COUNTS = ("added", "already_there", "wanted", "doubtful", "unmatched", "ignored")
FORMATS = {
    AUTO: "find out",
    "mihon": "Mihon, Tachiyomi: a backup",
    "mal": "MyAnimeList and relatives: XML",
    "anilist": "AniList",
    "mdlist": "MangaDex: a saved answer",
    "csv": "CSV",
    "json": "JSON",
    "text": "text: a title, id or address a line",
}


@pages.get(PATH)
@for_readers
def show() -> ResponseReturnValue:
    return _page()


@pages.post(PATH)
@takes_upload(MOST_BYTES + _MULTIPART)
@for_readers
def bring() -> ResponseReturnValue:
    """Import the file, or the text of the form; a dry run shows what would be done."""
    is_dry_run = "look" in request.form
    format = request.form.get("format", AUTO)
    try:
        with _turn():
            read = read_list(_given(), format if format in READERS else AUTO)
            # Of its own: an import may take longer than connections are lent.
            with sql.connect(site().given.database_url, "mangahub-web") as connection:
                report = import_list(connection, reader(), read, is_dry_run=is_dry_run)
    except (UnreadableList, NotFound) as exc:
        return make_response(_page(error=str(exc)), 400)
    if is_dry_run:
        return _page(report=report)
    counts = ".".join(str(report.counts[name]) for name in _COUNTS)
    return redirect(url_for("lists.show", done=counts), 303)


@contextmanager
def _turn() -> Iterator[None]:
    """Let a few lists be read at once: the other threads answer what takes no seconds."""
    if not _TURNS.acquire(timeout=_WAIT_S):
        abort(503, "Other lists are being read just now. Nothing is lost: send yours again.")
    try:
        yield
    finally:
        _TURNS.release()


def _given() -> IO[bytes]:
    """Return the chosen file, or what stands in the text field.

    Raises:
        UnreadableList: there is neither.
    """
    file = request.files.get("list")
    if file is not None and file.filename:
        return file.stream
    text = request.form.get("text", "").strip()
    if not text:
        raise UnreadableList("choose a file, or paste titles, ids or addresses into the field")
    return io.BytesIO(text.encode("utf-8", "replace"))


@pages.post(f"{PATH}/decide")
@for_readers
def settle() -> ResponseReturnValue:
    """Settle an entry: it is the chosen title, or none."""
    entry_id, manga_id = (request.form.get(name, "") for name in ("entry", "manga"))
    if not _is_id(entry_id) or not (_is_id(manga_id) or manga_id == "none"):
        return make_response(_page(error="choose one of the titles"), 400)
    chosen = None if manga_id == "none" else int(manga_id)
    try:
        with connected() as connection:
            decide(connection, reader(), int(entry_id), chosen)
    except (NoSuchEntry, NotFound) as exc:
        return make_response(_page(error=str(exc)), 409)
    show, after = request.form.get("show"), request.form.get("after")
    place = url_for("lists.show", show=show, after=after, settled=entry_id, _anchor="open")
    return redirect(place, 303)


def _number(name: str) -> int:
    """Return a number of the address; 0 for what is none."""
    text = request.args.get(name, "")
    return int(text) if _is_id(text) else 0


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


@pages.get(f"{PATH}/export/<format>")
@for_readers
def take_along(format: str) -> ResponseReturnValue:
    """Download the library in a format."""
    if format not in WRITERS:
        return make_response(_page(error=f"a list is {', '.join(WRITERS)}"), 404)
    with connected() as connection:
        exported = export_list(connection, reader(), format)
    writer = WRITERS[format]
    return _download(exported.content, writer.media_type, f"library.{writer.suffix}")


@pages.get(f"{PATH}/not-found.csv")
@for_readers
def take_unmatched() -> ResponseReturnValue:
    """Download what was not found, to look for it elsewhere."""
    with connected() as connection:
        content = csv.write(export_open(connection, reader()))
    return _download(content, WRITERS["csv"].media_type, "not-found.csv")


def _download(content: bytes, media_type: str, name: str) -> Response:
    answer = make_response(content)
    answer.headers["Content-Type"] = media_type
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _page(error: str = "", report: Report | None = None) -> str:
    with connected() as connection:
        counts = lists.count_open(connection, reader())
        chosen = _chosen(counts)
        after = _number("after")
        entries = lists.read_open(connection, reader(), chosen, after, _ON_PAGE + 1)
        settled = lists.read_settled(connection, reader(), _number("settled"))
        query = request.args.get("q", "")[:_MAX_QUERY].replace("\0", "")
        found = lists.search(connection, query)
    return render_template(
        "import.html",
        error=error,
        report=report,
        done=_done(),
        settled=settled,
        counts=counts,
        chosen=chosen,
        entries=entries[:_ON_PAGE],
        after=after,
        next_after=entries[_ON_PAGE - 1].id if len(entries) > _ON_PAGE else None,
        query=query,
        searched=_number("entry"),
        found=found,
        formats=FORMATS,
        most_bytes=MOST_BYTES,
        pages_of=pages_of,
        said=said,
    )


def _chosen(counts: Mapping[str, int]) -> str:
    """Return the state that is shown: the one asked for, else the first that has entries."""
    asked = request.values.get("show")
    if asked in lists.STATES:
        return str(asked)
    return next((state for state in lists.STATES if counts[state]), lists.STATES[0])


def _done() -> dict[str, int]:
    """Return the counts of an import that has just ended."""
    parts = request.args.get("done", "").split(".")
    if len(parts) != len(_COUNTS) or not all(map(_is_id, parts)):
        return {}
    return dict(zip(_COUNTS, map(int, parts), strict=True))


def pages_of(entry: lists.OpenEntry) -> list[tuple[str, str]]:
    """Return names and addresses of the pages elsewhere that the list names."""
    found = [sites.page_of(site, id) for site, id in entry.ids.items() if site in sites.CODES]
    if entry.mangadex_id:
        found.insert(0, ("MangaDex", f"https://mangadex.org/title/{entry.mangadex_id}"))
    return found


def said(entry: lists.OpenEntry) -> str:
    """Return what the list says of a title, such as `reading, up to 12`."""
    status = (entry.status or "").replace("_", " ")
    number = f"up to {describe_number(entry.progress)}" if entry.progress else ""
    return ", ".join(filter(None, (status, number)))
