"""Covers: pictures that are drawn when they are asked for, and by order all that may go wrong.

/covers/{title}/{file}            the picture as it was uploaded
/covers/{title}/{file}.256.jpg    256 pixels wide; .512.jpg likewise
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256

from mangadex_sim.api.render import render_title
from mangadex_sim.catalogue.clock import Clock
from mangadex_sim.catalogue.models import Json
from mangadex_sim.catalogue.state import Catalogue
from mangadex_sim.orders.order_fields import as_list, read_index, read_whole
from mangadex_sim.server import replies
from mangadex_sim.server.wire import Reply

PREFIX = "/covers/"
ROUTE = "/covers/{id}/{file}"
_PATH = re.compile(r"/covers/([0-9a-f-]{36})/([^/]+?)(?:\.(256|512)\.jpg)?")
_WIDTH = 720  # of what was uploaded
_HUGE_BYTES = 20 * 1024 * 1024
_BOMB_SIDE = 30_000
_MOST_PIXELS = 20_000


class Covers:
    """Answers for the pictures of a catalogue. The caller holds the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._kinds: dict[int, tuple[str, int, int]] = {}

    def order(self, order: Json) -> Json:
        """Change what titles have: kind, and for pictures width and height."""
        kind = str(order.get("kind", "jpeg"))
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        width = read_whole(order, "width", 0, 0, _MOST_PIXELS)
        height = read_whole(order, "height", width * 3 // 2, 0, _MOST_PIXELS)
        for manga in as_list(order["manga"]):
            self._kinds[read_index(self._catalogue, manga)] = (kind, width, height)
        return {"kinds": list(KINDS)}

    def answer(self, path: str) -> Reply:
        """Return the picture at a path, or 404 as the servers of files send it."""
        found = _PATH.fullmatch(path)
        index = self._catalogue.find_title(found[1]) if found else None
        if found is None or index is None or found[2] not in self._file_names(index):
            return replies.html_page(404, "404 Not Found", "")
        kind, width, height = self._kinds.get(index, ("jpeg", 0, 0))
        width = width or int(found[3] or _WIDTH)
        return KINDS[kind](found[1], width, height or width * 3 // 2)

    def _file_names(self, index: int) -> list[str]:
        title = self._catalogue.title(index, self._clock.now())
        rendered = render_title(self._catalogue, title, ["cover_art"], self._clock.now())
        related = [r for r in rendered["relationships"] if r["type"] == "cover_art"]
        return [r["attributes"]["fileName"] for r in related if "attributes" in r]


def _picture(form: str) -> Callable[[str, int, int], Reply]:
    def paint(seed: str, width: int, height: int) -> Reply:
        try:
            from PIL import Image, ImageDraw  # an extra; without it every picture is a PNG
        except ImportError:
            return _png(seed, width, height)
        ink, paper = _colour(seed, 1), _colour(seed, 0)
        image = Image.new("RGB", (width, height), paper)
        draw = ImageDraw.Draw(image)
        draw.ellipse((width * 0.2, height * 0.15, width * 0.95, height * 0.65), fill=ink)
        draw.rectangle((0, height * 0.78, width, height * 0.86), fill=ink)
        out = io.BytesIO()
        image.save(out, form)
        return Reply(200, out.getvalue(), f"image/{form}")

    return paint


def _png(seed: str, width: int, height: int) -> Reply:
    """Return a picture in two colours, made without any library."""
    rows = (bytes(_colour(seed, int(y > height // 2))) * width for y in range(height))
    return Reply(200, _pack_png(width, height, 8, 2, rows), "image/png")


def _bomb(seed: str, width: int, height: int) -> Reply:
    """Return 100 kB of PNG that are 900 megapixels: one bit each, all the same."""
    row = bytes(_BOMB_SIDE // 8)
    rows = (row for _ in range(_BOMB_SIDE))
    return Reply(200, _pack_png(_BOMB_SIDE, _BOMB_SIDE, 1, 0, rows), "image/png")


def _pack_png(width: int, height: int, bits: int, colours: int, rows: Iterator[bytes]) -> bytes:
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" + row) for row in rows) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + _checksum(kind + content)
        for kind, content in ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    )


def _checksum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))


def _colour(seed: str, number: int) -> tuple[int, int, int]:
    red, green, blue = sha256(f"{seed} {number}".encode()).digest()[:3]
    return red, green, blue


def _cut(seed: str, width: int, height: int) -> Reply:
    whole = _picture("jpeg")(seed, width, height)
    return Reply(200, whole.body[: len(whole.body) // 2], "image/jpeg")


def _text(content_type: str, body: bytes) -> Callable[[str, int, int], Reply]:
    return lambda seed, width, height: Reply(200, body, content_type)


def _redirect(seed: str, width: int, height: int) -> Reply:
    return Reply(302, headers={"Location": "/covers/elsewhere.jpg"})


# What a title may have instead of a good picture.
KINDS: dict[str, Callable[[str, int, int], Reply]] = {
    "jpeg": _picture("jpeg"),
    "png": _png,
    "webp": _picture("webp"),
    "gif": _picture("gif"),
    "broken": _cut,
    "bomb": _bomb,
    "huge": _text("image/jpeg", b"\xff\xd8\xff" + bytes(_HUGE_BYTES)),
    "html": _text("text/html", b"<html>not a picture</html>"),
    "disguised": _text("image/jpeg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "empty": _text("image/jpeg", b""),
    "absent": lambda seed, width, height: replies.html_page(404, "404 Not Found", ""),
    "redirect": _redirect,
}
