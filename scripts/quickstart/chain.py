"""The way of one notification, shown with the real programs: from a chapter to a reader's line."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable

from mangadex_sim import SimControl
from scripts.quickstart.catalogue import Catalogue, Title
from scripts.quickstart.programs import Program, Programs, TourError
from scripts.quickstart.screen import Screen

READER = "demo"
_PLAIN = re.compile(r"\d{1,6}(\.\d{1,2})?")
_PATIENCE_S = 20.0
_PROMPT_S = 3.0


class Chain:
    """One reader, one title, one notification server and one listener."""

    def __init__(self, screen: Screen, programs: Programs, catalogue: Catalogue) -> None:
        self._screen = screen
        self._programs = programs
        self._catalogue = catalogue

    def show_published(self, stand_in: SimControl) -> None:
        """A chapter comes out at the stand-in, and its reader hears of it."""
        title = self._choose(lambda title: bool(_numbers(stand_in, title)))
        listener, _ = self._prepare(title)
        number = self._publish(stand_in, title)
        self._read_feed()
        self._hear(listener, f"New chapter {number} available", _PATIENCE_S)

    def show_feed(self) -> None:
        """The real feed is read. What was imported a moment ago seldom has news yet: then the
        notification server is sent a trial message, just as the batch would send news."""
        if set(self._catalogue.users()) - {READER}:
            self._screen.fact("This database has readers of its own: no trial message is sent.")
            return
        title = self._choose(lambda title: True)
        listener, http = self._prepare(title)
        self._screen.step("What came out since then at MangaDex?")
        if self._read_feed() and self._is_heard(listener, "NEW_CHAPTER", _PROMPT_S):
            self._hear(listener, "NEW_CHAPTER", _PROMPT_S)
            return
        self._screen.fact("Nothing yet for this reader, so here is a trial message:")
        self._post_trial(http, title)
        self._hear(listener, "MANGA_UPDATE", _PATIENCE_S)

    def _choose(self, is_fit: Callable[[Title], bool]) -> Title:
        """Raises TourError where the settings have left no title that is fit to be shown."""
        title = next(filter(is_fit, self._catalogue.promising()), None)
        if title is None:
            raise TourError("no imported title is fit to show the way of a notification")
        return title

    def _prepare(self, title: Title) -> tuple[Program, str]:
        """The reader, the server and the listener; returns the latter and the server's URL."""
        self._screen.step(f"A reader wants to know what is new of “{title.title}”")
        if READER not in self._catalogue.users():
            self._run("mangahub-notify", "user", "add", READER)
        self._run("mangahub-notify", "library", "add", READER, str(title.id))
        self._screen.command("mangahub-notify serve &")
        server = self._programs.serve("notification server", "mangahub-notify", "serve", "--json")
        addresses = json.loads(server.lines()[0])
        http = f"http://{addresses['http']}"
        self._programs.environment["UDP_SERVER_URL"] = http
        return self._listen(addresses["udp"]), http

    def _listen(self, udp: str) -> Program:
        reader = self._programs.ask("mangahub-notify", "key", READER)
        command = ("python", "scripts/udp_listener.py", "--server", udp)
        self._screen.command(
            f"export MANGAHUB_USER={reader['id']} MANGAHUB_KEY=$(mangahub-notify key {READER})"
        )
        self._screen.command(f"{' '.join(command)} &")
        listener = self._programs.serve(
            "listener",
            *command,
            is_ready=lambda program: "subscribed" in program.log.read_text(encoding="utf-8"),
            MANGAHUB_USER=reader["id"],
            MANGAHUB_KEY=reader["key"],
        )
        self._screen.fact(f"It is subscribed over UDP at {udp}.")
        return listener

    def _publish(self, stand_in: SimControl, title: Title) -> str:
        """The chapter after the last; what was published at earlier tours is told again first,
        because the stand-in forgets everything when it ends, and the database does not."""
        manga = str(title.mangadex_id)
        earlier = self._catalogue.chapters(title)
        stand_in.publish_many(
            [{"manga": manga, "number": number, "createdAt": at} for number, at in earlier]
        )
        number = str(int(max(_numbers(stand_in, title))) + 1)
        self._screen.step(f"The stand-in publishes chapter {number}")
        stand_in.publish(manga, number=number)
        return number

    def _read_feed(self) -> int:
        """Lets the batch look for news; returns how many events it made."""
        self._screen.command("mangahub-batch chapter-feed")
        done = self._programs.ask("mangahub-batch", "chapter-feed")
        self._screen.fact(
            f"New chapters of imported titles: {done['chapters_new']}; "
            f"requests: {done['requests']}; {done['seconds']:.1f} s"
        )
        return int(done["events"])

    def _post_trial(self, http: str, title: Title) -> None:
        body = json.dumps({"manga_id": title.id, "title": "A trial", "changes": ["description"]})
        self._screen.command(f"curl --json '{body}' {http}/notify/manga-update")
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{http}/notify/manga-update", body.encode(), headers)
        urllib.request.urlopen(request, timeout=10).close()

    def _hear(self, listener: Program, words: str, limit_s: float) -> None:
        """Shows the listener's newest line with these words.

        Raises:
            TourError: none comes in time.
        """
        if not self._is_heard(listener, words, limit_s):
            raise TourError(f"the listener has not printed {words!r} within {limit_s:.0f} s")
        self._screen.step("The listener prints")
        self._screen.heard(next(line for line in reversed(listener.lines()) if words in line))

    def _is_heard(self, listener: Program, words: str, limit_s: float) -> bool:
        deadline_s = time.monotonic() + limit_s

        def is_there() -> bool:
            return any(words in line for line in listener.lines())

        self._programs.wait_for(
            listener, _first_of(is_there, lambda: time.monotonic() > deadline_s), limit_s + 1
        )
        return is_there()

    def _run(self, *command: str) -> None:
        self._screen.command(" ".join(command))
        self._programs.ask(*command)


def _numbers(stand_in: SimControl, title: Title) -> list[float]:
    """The title's chapter numbers; none where one of them would leave the next in doubt."""
    chapters = stand_in.list_chapters(str(title.mangadex_id))
    numbers = [str(chapter["number"]) for chapter in chapters]
    if not all(_PLAIN.fullmatch(number) for number in numbers):
        return []
    return [float(number) for number in numbers]


def _first_of(*conditions: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: any(condition() for condition in conditions)
