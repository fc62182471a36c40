"""`python -m scripts.quickstart [--offline] [--no-wait]`: from an empty database to the website.

Exit codes: 0 done · 1 failed · 2 bad usage or configuration · 75 try again later · 128 + N stopped
by signal N. Whatever happens, what was started is stopped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests

import sql
from mangadex_sim import SimControl
from mangahub.env import SettingError
from scripts.quickstart import place, screen, site
from scripts.quickstart.programs import Interrupted, Program, Programs, Signals, TourError, resolved

READER = "demo"
STAND_IN = ("--titles", "400", "--seed", "1", "--latency", "150")
TRIAL = {"title": "A trial", "changes": ["description"]}
_PROBE_S = 5.0
_NEWS_S = 3.0
_PATIENCE_S = 20.0
_NOT_RUNNING = 3  # exit code of `python -m sql status`
# The probe needs no database: this one fails at once, and leaves no files.
_NO_DATABASE = "postgresql:///mangahub?host=/nonexistent"


def main(arguments: list[str]) -> int:
    """Show the tour; return the exit code."""
    signals = Signals()
    try:
        with tempfile.TemporaryDirectory(prefix="mangahub-quickstart-") as folder:
            _tour(signals, Path(folder), "--offline" in arguments, "--no-wait" not in arguments)
    except Interrupted as exc:
        screen.step("Stopped, with everything that was started")
        return exc.code
    except (TourError, SettingError, sql.SqlError, OSError) as exc:
        print(f"quickstart: {exc}", file=sys.stderr)
        return exc.code if isinstance(exc, TourError) else 2 if isinstance(exc, SettingError) else 1
    return 0


def _tour(signals: Signals, folder: Path, is_offline: bool, may_wait: bool) -> None:
    is_offline = is_offline or not _is_reachable(signals, folder)
    data = place.choose_data()
    if is_offline:
        data = place.make(data / "demo")
    programs = Programs(place.environment(data, is_offline), folder, signals)
    with place.only_one(data, signals), ExitStack() as stack:
        url = stack.enter_context(_database(programs, signals))
        stack.callback(programs.close)
        stand_in = _start_stand_in(programs) if is_offline else None
        _import_titles(programs, url)
        with sql.connect(url, "mangahub-quickstart") as connection:
            reader = _show_notification(programs, connection, stand_in)
        site.show(programs, signals, reader, may_wait)
    _propose(data, is_offline)


def _is_reachable(signals: Signals, folder: Path) -> bool:
    """Ask the source once, for at most five seconds."""
    address = os.environ.get("MANGADEX_API_URL") or "https://api.mangadex.org"
    screen.step(f"Is {address} there?")
    probe = Programs({**os.environ, "DATABASE_URL": _NO_DATABASE}, folder, signals)
    code, line = probe.run("mangahub-batch", "doctor", "--json", limit_s=_PROBE_S, quiet=True)
    answer = json.loads(line) if line.startswith("{") else {}
    if code == 2:
        raise TourError(answer["error"], 2)
    is_there = bool(answer.get("checks", {}).get("source", {}).get("ok"))
    if not is_there:
        with_what = "using the bundled stand-in, with made-up titles"
        screen.warning(f"{address} cannot be reached: {with_what}")
    return is_there


@contextmanager
def _database(programs: Programs, signals: Signals) -> Iterator[str]:
    """Start the embedded server and yield its URL; stop it afterwards unless it has run before."""
    screen.step(f"Starting the embedded PostgreSQL in {programs.environment['MANGAHUB_DATA']}")
    if "DATABASE_URL" in os.environ:
        screen.result("DATABASE_URL is not used here; scripts/initial_sync.sh imports into it.")
    has_run_before = _control_database(programs, "status").returncode != _NOT_RUNNING
    try:
        # Never interrupted: a server that is half started could not be found and stopped.
        started = _control_database(programs, "start")
        signals.check()
        if started.returncode != 0:
            raise TourError(started.stderr.strip().removeprefix("sql: "), started.returncode)
        yield started.stdout.split()[-1]
    finally:
        if not has_run_before:
            _control_database(programs, "stop")


def _control_database(programs: Programs, order: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        resolved("python", "-m", "sql", order),
        env=programs.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )


def _start_stand_in(programs: Programs) -> SimControl:
    screen.step("Starting the stand-in for the MangaDex API; its titles are made up")
    _, line = programs.serve("python", "-m", "mangadex_sim", "--port", "0", *STAND_IN)
    url = line.split()[-1]
    for name in ("MANGADEX_API_URL", "MANGADEX_COVERS_URL", "MANGADEX_AUTH_URL"):
        programs.environment[name] = url
        screen.command(f"export {name}={url}")
    return SimControl(url)


def _import_titles(programs: Programs, url: str) -> None:
    screen.step("Importing the most followed titles")
    screen.command("mangahub-batch migrate && mangahub-batch initial-sync")
    programs.ask("mangahub-batch", "migrate")
    done = programs.ask("mangahub-batch", "initial-sync")
    with sql.connect(url, "mangahub-quickstart") as connection:
        count = connection.execute("SELECT count(*) FROM manga").fetchall()[0][0]
        shown = connection.execute(
            "SELECT title, author, status, (SELECT string_agg(name, ', ' ORDER BY name)"
            " FROM manga_genres JOIN genres ON genres.id = genre_id WHERE manga_id = manga.id)"
            " FROM manga ORDER BY id LIMIT 6"
        ).fetchall()
    if done["status"] == "skipped":
        screen.result(f"Imported before: {count:,} titles are there.")
    else:
        numbers = f"New titles: {done['manga_new']:,}; requests: {done['requests']:,}"
        screen.result(f"{numbers}; {done['seconds']:.1f} s")
    screen.table({"Title": 5, "Author": 2, "Status": 2, "Genres": 3}, shown)


def _show_notification(
    programs: Programs, connection: sql.Connection, stand_in: SimControl | None
) -> str | None:
    """Follow one notification, a test message if the real source has no news; return whose it is.

    A database with readers of its own gets no message, and nobody is returned.
    """
    users = {name for (name,) in connection.execute("SELECT username FROM users")}
    if stand_in is None and users - {READER}:
        screen.result("This database has readers of its own: no test message is sent.")
        return None
    manga_id, mangadex_id, title, number = _choose_title(connection, stand_in)
    screen.step(f"A reader wants to know what is new of “{title}”")
    if READER not in users:
        screen.command(f"mangahub-notify user add {READER} --admin")
        programs.ask("mangahub-notify", "user", "add", READER, "--admin")
    http, listener = _start_listener(programs, manga_id)
    if stand_in:
        screen.step(f"The stand-in publishes chapter {number}")
        stand_in.publish(mangadex_id, number=number)
    screen.command("mangahub-batch chapter-feed")
    done = programs.ask("mangahub-batch", "chapter-feed")
    numbers = f"New chapters of imported titles: {done['chapters_new']}"
    screen.result(f"{numbers}; requests: {done['requests']}; {done['seconds']:.1f} s")
    screen.step("The listener prints")
    screen.result(_news(programs, listener, http, manga_id, stand_in is None), "bold green")
    return READER


def _news(programs: Programs, listener: Program, http: str, manga_id: int, is_real: bool) -> str:
    if not is_real:
        return programs.hear(listener, "NEW_CHAPTER", _PATIENCE_S)
    with suppress(TourError):
        return programs.hear(listener, "NEW_CHAPTER", _NEWS_S)
    body = {"manga_id": manga_id, **TRIAL}
    screen.result("nothing yet, as the titles have just been imported; so a test message is sent:")
    screen.command(f"curl --json '{json.dumps(body)}' {http}/notify/manga-update")
    requests.post(f"{http}/notify/manga-update", json=body, timeout=10).raise_for_status()
    return programs.hear(listener, "MANGA_UPDATE", _PATIENCE_S)


def _choose_title(
    connection: sql.Connection, stand_in: SimControl | None
) -> tuple[int, str, str, str]:
    """Return id, MangaDex id and name of a title, and the number that follows at the stand-in.

    A title that a reader follows comes first, then one that fits a line.
    """
    rows = connection.execute(
        "SELECT id, mangadex_id::text, title, ARRAY(SELECT chapter_number FROM chapters"
        " WHERE manga_id = manga.id)"
        " FROM manga WHERE mangadex_id IS NOT NULL AND NOT numbering_restarts"
        " ORDER BY id NOT IN (SELECT manga_id FROM user_library),"
        " status IS DISTINCT FROM 'ongoing', content_rating IS DISTINCT FROM 'safe',"
        " length(title) > 40, id"
    )
    for manga_id, mangadex_id, title, stored in rows:
        listed = stand_in.list_chapters(mangadex_id) if stand_in else [{"number": "0"}]
        numbers = [str(chapter["number"]) for chapter in listed]
        if numbers and all(re.fullmatch(r"\d{1,6}(\.\d{1,2})?", number) for number in numbers):
            return manga_id, mangadex_id, title, str(int(max(map(float, [*numbers, *stored]))) + 1)
    raise TourError("no imported title is suitable for a notification")


def _start_listener(programs: Programs, manga_id: int) -> tuple[str, Program]:
    """Start the notification server and a listener; return the server's URL, and the listener."""
    screen.command(f"mangahub-notify library add {READER} {manga_id}")
    programs.ask("mangahub-notify", "library", "add", READER, str(manga_id))
    screen.command("mangahub-notify serve &")
    _, line = programs.serve("mangahub-notify", "serve", "--json", ready="{")
    addresses = json.loads(line)
    programs.environment["UDP_SERVER_URL"] = f"http://{addresses['http']}"
    reader = programs.ask("mangahub-notify", "key", READER)
    command = ("python", "scripts/udp_listener.py", "--server", addresses["udp"])
    screen.command(
        f"export MANGAHUB_USER={reader['id']} MANGAHUB_KEY=$(mangahub-notify key {READER})"
    )
    screen.command(f"{' '.join(command)} &")
    identity = {"MANGAHUB_USER": reader["id"], "MANGAHUB_KEY": reader["key"]}
    listener, _ = programs.serve(*command, ready="subscribed", **identity)
    return programs.environment["UDP_SERVER_URL"], listener


def _propose(data: Path, is_offline: bool) -> None:
    screen.step("Done; everything that was started has been stopped. Next steps:")
    steps = [(". .venv/bin/activate", "or .venv/bin/… in front")]
    if is_offline or os.environ.get("MANGAHUB_DATA") or data.is_relative_to(place.CHECKOUT):
        steps.append((f"export MANGAHUB_DATA={data}", "this database"))
    if is_offline:
        steps += [
            (f"python -m mangadex_sim --port 8099 {' '.join(STAND_IN[:4])} &", "the stand-in"),
            ("export MANGADEX_API_URL=http://127.0.0.1:8099", "use it instead of the real one"),
            ("export MANGADEX_COVERS_URL=$MANGADEX_API_URL", "for its covers too"),
        ]
    steps += [
        ("mangahub-batch status", "what ran when (starts the database)"),
        ("mangahub-batch chapter-feed", "look for new chapters"),
        ("mangahub-notify serve &", "the notification server"),
        ("mangahub-web &", "the website, http://127.0.0.1:8086"),
        (f"mangahub-notify key {READER} --link", "a link that signs in there"),
        (f"mangahub-notify key {READER}", "the key for scripts/udp_listener.py"),
        ("python -m sql stop", "stop the database"),
    ]
    screen.next_steps(steps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
