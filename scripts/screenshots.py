"""Makes the README's pictures of the website, docs/new.png and docs/inbox.png, at the stand-in.

python scripts/screenshots.py       (needs the extra dev, and Debian's package chromium)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import sql
from mangadex_sim import Simulator
from mangahub.env import Env
from sql import embedded

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
READER = "mika"
# Titles, newest first, that have chapters, and how many; every third is another day's.
CHAPTERS = (1, 3, 1, 1, 2, 1, 1, 4, 1, 1, 1, 2)
PICTURES = (("new", "/", (1200, 760), "light"), ("inbox", "/me/inbox", (390, 760), "dark"))
COVERS_S = 20


def run(environ: dict[str, str], module: str, *arguments: str) -> str:
    """Run a program to its end; return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.check_output(command, cwd=ROOT, env=environ, text=True).strip()


def fill(source: Simulator, environ: dict[str, str]) -> None:
    """Import titles, follow some of them, and have chapters of the last days."""
    run(environ, "batch", "migrate")
    run(environ, "batch", "initial-sync")
    run(environ, "notify_server", "user", "add", READER)
    with sql.connect(environ["DATABASE_URL"]) as connection:
        titles = connection.execute(
            "SELECT id, mangadex_id::text FROM manga WHERE NOT numbering_restarts"
            " AND content_rating = 'safe' AND length(title) < 45 ORDER BY id LIMIT %s",
            [len(CHAPTERS)],
        ).fetchall()
        for (_, mangadex_id), count in zip(titles, CHAPTERS, strict=True):
            for _ in range(count):
                source.publish(mangadex_id)
        followed = [str(id) for id, _ in titles[::2] + titles[1:4]]
        run(environ, "notify_server", "library", "add", READER, *followed)
        with serving(environ, "notify_server") as addresses:
            environ["UDP_SERVER_URL"] = f"http://{addresses['http']}"
            run(environ, "batch", "chapter-feed")
        connection.execute(
            "UPDATE chapters SET published_at = published_at - interval '17 min'"
            " * (1 + array_position(%(ids)s, manga_id)) - interval '1 day'"
            " * (array_position(%(ids)s, manga_id) / 6)",
            {"ids": [id for id, _ in titles]},
        )
        connection.execute("UPDATE notifications SET read = id %% 3 = 0", [])


@contextmanager
def serving(environ: dict[str, str], module: str) -> Iterator[dict[str, str]]:
    """Run a server; yield its addresses."""
    command = [sys.executable, "-m", module, "serve", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()


def take(browser: Browser, link: str, url: str) -> None:
    """Sign in, and take the pictures once all covers are there."""
    for name, path, (width, height), scheme in PICTURES:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            storage_state=ROOT / ".screenshots.json" if name != PICTURES[0][0] else None,
        )
        page = context.new_page()
        if name == PICTURES[0][0]:
            page.goto(link)
            page.get_by_role("button", name=f"Sign in as {READER}").click()
        for _ in range(COVERS_S):
            page.goto(url + path)
            page.wait_for_timeout(1_000)
        page.screenshot(path=ROOT / "docs" / f"{name}.png")
        context.storage_state(path=ROOT / ".screenshots.json")
        context.close()
    (ROOT / ".screenshots.json").unlink()


def reduce_colours() -> None:
    """Make the files smaller: pages have few colours."""
    for name, *_ in PICTURES:
        path = ROOT / "docs" / f"{name}.png"
        Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mangahub-pictures-") as folder, Simulator() as source:
        data = Path(folder)
        data.chmod(0o755)
        environ = {
            **os.environ,
            "MANGAHUB_DATA": folder,
            "MANGADEX_API_URL": source.url,
            "MANGADEX_COVERS_URL": source.url,
            **dict.fromkeys(("UDP_PORT", "UDP_HTTP_PORT", "WEB_PORT", "WEB_STREAM_PORT"), "0"),
        }
        environ["DATABASE_URL"] = embedded.ensure_running(data, Env({}))
        try:
            fill(source, environ)
            with serving(environ, "website") as addresses, sync_playwright() as playwright:
                arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
                link = run(environ, "notify_server", "key", READER, "--link")
                take(browser, link, f"http://{addresses['http']}")
                browser.close()
            reduce_colours()
        finally:
            embedded.stop(data)


if __name__ == "__main__":
    main()
