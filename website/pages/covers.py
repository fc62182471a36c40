"""Covers of titles; a placeholder where there is none, or none yet."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, send_from_directory
from flask.typing import ResponseReturnValue

from website.covers.cache import Cover
from website.pages.site import connected, site
from website.rules.covers import SIZES, cover_path
from website.store.covers import find_cover_url

pages = Blueprint("covers", __name__)

_KEPT_S = 86_400
_SOON_S = 10  # then the cover may be here
_LATER_S = 3_600
_MAX_ID = 2**63 - 1


@pages.get("/covers/<int:manga_id>/<int:size>.webp")
def show(manga_id: int, size: int) -> ResponseReturnValue:
    """Answer at once with what is here; what is not is fetched afterwards."""
    if size not in SIZES or manga_id > _MAX_ID:
        abort(404)
    with connected() as connection:
        exists, url = find_cover_url(connection, manga_id)
    if not exists:
        abort(404)
    covers, path = site().covers, cover_path(url)
    if covers is None or path is None:
        return _placeholder(size, _LATER_S)
    cover = Cover(manga_id, path)
    picture = covers.cache.read(cover, size)
    if picture is not None:
        return _picture(picture)
    if covers.cache.is_absent(cover):
        return _placeholder(size, _LATER_S)
    covers.fetcher.want(cover)
    return _placeholder(size, _SOON_S)


def _picture(picture: bytes) -> Response:
    answer = Response(picture, mimetype="image/webp")
    answer.headers["Cache-Control"] = f"private, max-age={_KEPT_S}"
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _placeholder(size: int, max_age_s: int) -> Response:
    answer = send_from_directory("static", f"covers/{size}.webp", max_age=max_age_s)
    answer.headers["Cache-Control"] = f"private, max-age={max_age_s}"
    return answer
