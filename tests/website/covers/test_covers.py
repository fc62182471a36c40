"""Covers from a real source to a real page: fast, paced, and safe from what the source sends."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from PIL import Image

import sql
from mangadex_sim import Simulator
from sql.budget import Budget, Pace
from tests.mangadex_sim.server.test_covers import address
from tests.support.waiting import wait_until
from tests.support.website import running_site
from website.covers import decoder, download
from website.covers.cache import Cover, CoverCache

PACE = Pace(5)
UNDECODABLE = ("broken", "bomb", "huge", "html", "disguised", "empty", "gif", "absent", "redirect")


class Scene:
    """Pages over a database whose titles are those of a stand-in."""

    def __init__(self, url: str, sim: Simulator, connection: sql.Connection) -> None:
        self.url = url
        self.sim = sim
        self.connection = connection

    def add_title(self, index: int, path: str | None = None) -> int:
        place = path or address(self.sim, index).replace(
            self.sim.url, "https://uploads.mangadex.org"
        )
        row = self.connection.execute(
            "INSERT INTO manga (slug, title, mangadex_id, cover_url) VALUES (%s, 'T', %s, %s)"
            " RETURNING id",
            [f"t-{index}-{place[-20:]}", UUID(self.sim.title_ids(index, 1)[0]), place],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def get(self, manga_id: int, size: object = 96) -> requests.Response:
        return requests.get(f"{self.url}/covers/{manga_id}/{size}.webp", timeout=20)

    def fetched(self, manga_id: int, size: int = 96) -> bytes:
        """Return a cover once it is there; each answer before it comes at once."""
        wait_until(lambda: "max-age=86400" in self.get(manga_id, size).headers["Cache-Control"])
        return self.get(manga_id, size).content

    def settled(self, manga_id: int) -> None:
        """Wait until it is known that there is none."""
        wait_until(lambda: "max-age=3600" in self.get(manga_id).headers["Cache-Control"])

    def asked(self) -> int:
        return int(self.sim.stats()["by_path"].get("/covers/{id}/{file}", 0))


@pytest.fixture
def scene(
    simulator: Callable[..., Any], database_url: str, connection: sql.Connection, tmp_path: Path
) -> Iterator[Scene]:
    sim = simulator(titles=40, rate=0)
    settings = {
        "MANGADEX_COVERS_URL": sim.url,
        "MANGADEX_API_URL": sim.url,
        "MANGAHUB_DATA": str(tmp_path),
    }
    with running_site(database_url, with_covers=True, **settings) as site:
        yield Scene(site.url, sim, connection)


def test_a_cover_comes_in_three_sizes_for_one_request(scene: Scene) -> None:
    title = scene.add_title(0)
    first = scene.get(title)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "image/webp")
    assert "max-age=10" in first.headers["Cache-Control"]
    for size in (48, 96, 256):
        with Image.open(io.BytesIO(scene.fetched(title, size))) as picture:
            assert (picture.format, picture.size) == ("WEBP", (size, size * 3 // 2))
    assert scene.asked() == 1
    assert len(scene.fetched(title)) < 5_000


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_other_formats_become_webp(scene: Scene, kind: str) -> None:
    scene.sim.set_cover(1, kind, 300, 3_000)
    with Image.open(io.BytesIO(scene.fetched(scene.add_title(1)))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (96, 192))  # a strip is cut


@pytest.mark.parametrize("kind", UNDECODABLE)
def test_what_is_no_cover_is_not_asked_for_again_today(scene: Scene, kind: str) -> None:
    scene.sim.set_cover(2, kind)
    title = scene.add_title(2)
    scene.settled(title)
    scene.get(title)
    assert scene.asked() == 1
    with Image.open(io.BytesIO(scene.get(title).content)) as placeholder:
        assert placeholder.size == (96, 144)


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:1/covers/x/y.jpg",
        "https://evil.test/covers/{id}/../../secret.jpg",
        "file:///etc/passwd",
        "https://uploads.mangadex.org/covers/{id}/a.jpg?x=1",
        "https://uploads.mangadex.org/covers/{id}/a.jpg\r\nX: y",
        "",
    ],
)
def test_no_other_address_is_ever_asked(scene: Scene, place: str) -> None:
    title = scene.add_title(3, place.format(id=scene.sim.title_ids(3, 1)[0]) or "-")
    assert scene.get(title).status_code == 200
    assert "max-age=3600" in scene.get(title).headers["Cache-Control"]
    assert scene.asked() == 0


def test_the_host_in_the_database_does_not_matter(scene: Scene) -> None:
    place = address(scene.sim, 4).replace(scene.sim.url, "https://evil.test")
    assert scene.fetched(scene.add_title(4, place))
    assert scene.asked() == 1


@pytest.mark.parametrize("path", ["0/96.webp", "1/97.webp", f"{10**20}/96.webp", "x/96.webp"])
def test_what_is_not_there_is_404(scene: Scene, path: str) -> None:
    assert requests.get(f"{scene.url}/covers/{path}", timeout=20).status_code == 404


@pytest.mark.slow
def test_covers_are_asked_for_one_a_second_within_the_shared_budget(scene: Scene) -> None:
    titles = [scene.add_title(index) for index in range(5, 9)]
    scene.sim.reset()
    for title in titles:
        scene.get(title)
    for title in titles:
        scene.fetched(title)
    arrivals = scene.sim.stats()["arrivals"]
    assert len(arrivals) == 4
    assert arrivals[-1] - arrivals[0] > 2.4
    row = scene.connection.execute(
        "SELECT count(*) FROM unnest((SELECT departures FROM api_budget WHERE source = %s)) AS d"
        " WHERE d > '-infinity'",
        [scene.sim.url.removeprefix("http://")],
    ).fetchone()
    assert row == (4,)


def test_a_429_stops_everybody(scene: Scene) -> None:
    scene.sim.fail("429_retry_after", wait_s=30, paths=["/covers/*"])
    scene.get(scene.add_title(10))
    budget = Budget(lambda: scene.connection, scene.sim.url, PACE)
    wait_until(lambda: budget.read().pause_left_s > 20)
    scene.get(scene.add_title(11))
    time.sleep(1.5)
    assert scene.asked() == 1


def test_a_page_never_waits_for_a_source_that_hangs(scene: Scene) -> None:
    scene.sim.fail("hang", count=None, seconds=30, paths=["/covers/*"])
    title = scene.add_title(12)
    began_s = time.monotonic()
    for _ in range(20):
        assert scene.get(title).status_code == 200
    assert time.monotonic() - began_s < 5


def test_a_drip_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.5)
    url = address(scene.sim, 13)
    scene.sim.fail("drip", seconds=20)

    class Unpaced:
        def departure(self) -> AbstractContextManager[None]:
            return nullcontext()

    downloads = download.Downloads(scene.sim.url, Unpaced())
    began_s = time.monotonic()
    with pytest.raises(download.Unavailable):
        downloads.get(url.removeprefix(scene.sim.url))
    downloads.close()
    assert time.monotonic() - began_s < 3


def test_a_new_cover_replaces_the_old_one(scene: Scene) -> None:
    title = scene.add_title(14)
    before = scene.fetched(title)
    scene.sim.edit_title(14, cover=True)
    scene.sim.set_cover(14, "png")
    place = address(scene.sim, 14)
    scene.connection.execute("UPDATE manga SET cover_url = %s WHERE id = %s", [place, title])
    assert "max-age=10" in scene.get(title).headers["Cache-Control"]
    assert scene.fetched(title) != before


# --- the cache and the decoder -------------------------------------------------------------------


def test_the_least_used_covers_go(tmp_path: Path) -> None:
    cache = CoverCache(tmp_path, 10 * 4_096)
    covers = [Cover(n, f"/covers/{n}") for n in range(20)]
    for n, cover in enumerate(covers):
        cache.write(cover, {96: bytes(4_000)})
        file = next(tmp_path.glob(f"*/{cover.key}*"))
        os.utime(file, (n, n) if n else None)  # the first is used all the time
    assert cache.read(covers[0], 96) and cache.read(covers[-1], 96)
    assert cache.read(covers[1], 96) is None
    assert 8 <= len(list(tmp_path.glob("*/*"))) <= 10


def test_what_was_absent_is_asked_for_again_after_a_day(tmp_path: Path) -> None:
    cache = CoverCache(tmp_path, 1_000_000)
    cover = Cover(7, "/covers/7")
    cache.note_absent(cover)
    assert cache.is_absent(cover)
    (file,) = tmp_path.glob("*/*absent")
    os.utime(file, (time.time() - 90_000,) * 2)
    assert not cache.is_absent(cover)


def test_a_cover_that_cannot_be_kept_is_no_disaster(tmp_path: Path) -> None:
    cache = CoverCache(tmp_path / "file", 1_000)
    (tmp_path / "file").write_text("in the way")
    cover = Cover(1, "/covers/1")
    assert cache.read(cover, 96) is None and not cache.is_absent(cover)
    with pytest.raises(OSError):
        cache.write(cover, {96: b"x"})


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"RIFF\0\0\0\0WEBP" + bytes(100),
        b"RIFF\0\0\0\0AVI ",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
    ],
)
def test_bytes_that_are_no_picture_are_refused(picture: bytes) -> None:
    with pytest.raises(decoder.NotAPicture):
        decoder.make_covers(picture)


def test_transparency_and_palettes_become_colours() -> None:
    for mode in ("P", "RGBA", "LA", "1", "I;16", "CMYK"):
        out = io.BytesIO()
        Image.new(mode, (60, 90)).save(out, "JPEG" if mode == "CMYK" else "PNG")
        assert set(decoder.make_covers(out.getvalue())) == {48, 96, 256}
