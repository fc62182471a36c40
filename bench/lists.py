"""How long imports take, and how much memory, against a catalogue as large as MangaDex's.

    python -m bench.lists [--runs 3] [--titles 85000]

The whole process `mangahub-notify import` from start to exit, with a database that is already
running; memory is the most that it held (resident set). The second run of a list changes nothing.
To reach: a backup of 6,500 titles with 75,000 chapters, 400 of them MangaDex's, in 5 s and 150 MB;
5,000 entries of MyAnimeList by links in 5 s; 1,000 by title alone in 10 s.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import sql
from bench.harness import ROOT, new_database, print_table, server
from mangadex_sim.catalogue import names
from readers.lists.formats.protobuf import write_field

SEED = 7
BACKUP_TITLES, BACKUP_CHAPTERS, BACKUP_MANGADEX = 6_500, 75_000, 400
MANGADEX_EN, OTHER_SOURCE = 2499283573021220255, 1998944621602222888
MAL_ENTRIES, NAMED = 5_000, 1_000


@dataclass(frozen=True)
class Title:
    """A title of the catalogue: its row's id is its place."""

    id: uuid.UUID
    names: tuple[str, str, str]  # the main one, Japanese, romanised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--titles", type=int, default=85_000)
    options = parser.parse_args()
    dice = random.Random(SEED)
    titles = make_titles(options.titles, dice)
    lists = (
        ("a backup, 6,500 titles, 75,000 chapters", make_backup(titles, dice), "5 s, 150 MB"),
        ("MyAnimeList, 5,000 entries by links", make_mal(titles, dice), "5 s"),
        ("1,000 entries by title alone", make_text(titles, dice), "10 s"),
    )
    with server() as server_url, tempfile.TemporaryDirectory() as folder:
        url = new_database(server_url, "bench")
        fill(url, titles, dice)
        rows = []
        for name, content, target in lists:
            file = Path(folder, "list")
            file.write_bytes(content)
            for which, is_again in (("first", False), ("again", True)):
                rows.append([name, which, *measure(url, file, options.runs, is_again), target])
        header = [
            "list",
            "run",
            "s (median)",
            "CPU s",
            "MB",
            "matched",
            "added",
            "doubtful",
            "unmatched",
        ]
        print_table(f"import, {len(titles):,} titles", [*header, "to reach"], rows)


def make_titles(count: int, dice: random.Random) -> list[Title]:
    found = []
    for index in range(count):
        japanese, romanised = names.invent_japanese_title(SEED, index)
        # The stand-in's words give fewer names than MangaDex has.
        main = f"{names.invent_title(SEED, index)} {_word(dice)}"
        id = uuid.UUID(int=dice.getrandbits(128), version=4)
        found.append(Title(id, (main, f"{japanese}{index % 97}", f"{romanised} {_word(dice)}")))
    return found


def _word(dice: random.Random) -> str:
    return "".join(dice.choice("aeioubdgklmnrst") for _ in range(dice.randint(4, 9))).title()


def fill(url: str, titles: Sequence[Title], dice: random.Random) -> None:
    """Store the titles with three names and up to three links each."""
    with sql.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY manga (id, slug, title, mangadex_id) FROM STDIN") as copy:
            for n, title in enumerate(titles, 1):
                copy.write_row((n, str(title.id), title.names[0], str(title.id)))
        with cursor.copy("COPY manga_titles (manga_id, language, title) FROM STDIN") as copy:
            for n, title in enumerate(titles, 1):
                for language, name in zip(("en", "ja", "ja-ro"), title.names, strict=True):
                    copy.write_row((n, language, name))
        with cursor.copy("COPY manga_links (manga_id, site, external_id) FROM STDIN") as copy:
            for n in range(1, len(titles) + 1):
                for site, share in (("al", 0.6), ("mal", 0.6), ("mu", 0.8)):
                    if dice.random() < share:
                        copy.write_row((n, site, str(n)))
        connection.execute("SELECT setval('manga_id_seq', %s)", [len(titles)])
        connection.execute("ANALYZE")


def make_backup(titles: Sequence[Title], dice: random.Random) -> bytes:
    """Return a backup: most titles of other sources, a third of which are not in the catalogue."""
    chosen = dice.sample(range(len(titles)), BACKUP_TITLES)
    body = b"x" * 700  # descriptions, thumbnails: what an app writes besides
    whole = []
    for place, index in enumerate(chosen):
        is_here, title = place < BACKUP_MANGADEX, titles[index]
        name = title.names[0] if dice.random() < 0.67 else f"{_word(dice)} {_word(dice)}"
        fields: list[tuple[int, int | float | str | bytes]] = [
            (1, MANGADEX_EN if is_here else OTHER_SOURCE),
            (2, f"/manga/{title.id}" if is_here else f"/series/{index}"),
            (3, name),
            (6, body),
        ]
        count = BACKUP_CHAPTERS // BACKUP_TITLES + (place < BACKUP_CHAPTERS % BACKUP_TITLES)
        fields += [(16, _chapter(title.id, number)) for number in range(1, count + 1)]
        whole.append(write_field(1, b"".join(write_field(*each) for each in fields)))
    return gzip.compress(b"".join(whole))


def _chapter(id: uuid.UUID, number: int) -> bytes:
    fields: list[tuple[int, int | float | str]] = [
        (1, f"/chapter/{id}"),
        (2, f"Vol.1 Ch.{number} – {'a title of usual length'}"),
        (3, "A Group"),
        (7, 1_600_000_000_000),
        (8, 1_600_000_000_000),
        (9, float(number)),
        (10, number),
    ]
    if number < 9:
        fields.insert(3, (4, 1))
    return b"".join(write_field(*each) for each in fields)


def make_mal(titles: Sequence[Title], dice: random.Random) -> bytes:
    chosen = dice.sample(range(len(titles)), MAL_ENTRIES)
    entries = "".join(
        f"<manga><manga_mangadb_id>{n + 1}</manga_mangadb_id><manga_title><![CDATA["
        f"{titles[n].names[2]}]]></manga_title><my_read_chapters>{n % 90}</my_read_chapters>"
        "<my_status>Reading</my_status></manga>"
        for n in chosen
    )
    return f"<myanimelist>{entries}</myanimelist>".encode()


def make_text(titles: Sequence[Title], dice: random.Random) -> bytes:
    """Return names: three in five equal, one in five with a mistake, one in five of no title."""
    spelled: tuple[Callable[[str], str], ...] = (
        str.upper,
        str.lower,
        str,
        lambda name: name[: len(name) // 2] + name[len(name) // 2 + 1 :],
        lambda name: f"{_word(dice)} {_word(dice)} {_word(dice)}",
    )
    chosen = dice.sample(titles, NAMED)
    return "\n".join(
        spelled[n % len(spelled)](title.names[2 * (n % 2)]) for n, title in enumerate(chosen)
    ).encode()


def measure(url: str, file: Path, runs: int, is_again: bool) -> list[str]:
    """Return seconds, megabytes and counts of an import for a new reader, or of a second one."""
    took_s: list[float] = []
    cpu_s: list[float] = []
    peak_mb: list[float] = []
    report: dict[str, Any] = {}
    for _ in range(runs):
        name = uuid.uuid4().hex
        with sql.connect(url) as connection:
            connection.execute("INSERT INTO users (username, email) VALUES (%s, %s)", [name, name])
        for _ in range(1 + is_again):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds, megabytes, report = run_import(url, name, file)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        took_s.append(seconds)
        peak_mb.append(megabytes)
    counts = [f"{report[key]:,}" for key in ("matched", "added", "doubtful", "unmatched")]
    times = [f"{median(seconds):.1f}" for seconds in (took_s, cpu_s)]
    return [*times, f"{max(peak_mb):.0f}", *counts]


def run_import(url: str, user: str, file: Path) -> tuple[float, float, dict[str, Any]]:
    """Return seconds, the most megabytes that were resident, and the report."""
    environment = {**os.environ, "DATABASE_URL": url, "LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "notify_server", "import", user, str(file), "--json"]
    began_s = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        peak_mb, done = [0.0], threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peak_mb, done))
        watch.start()
        output, _ = process.communicate()
        done.set()
        watch.join()
    if process.returncode:
        raise SystemExit(f"import of {file} failed")
    return time.monotonic() - began_s, peak_mb[0], json.loads(output.splitlines()[-1])


def _watch(pid: int, peak_mb: list[float], done: threading.Event) -> None:
    """Read the high-water mark, which only grows, until the process has ended."""
    while not done.wait(0.02):
        with suppress(OSError):
            text = Path(f"/proc/{pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+)", text):
                peak_mb[0] = max(peak_mb[0], int(found[1]) / 1024)


if __name__ == "__main__":
    main()
