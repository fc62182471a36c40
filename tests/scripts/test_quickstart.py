"""The tour for newcomers, with the real programs: it ends with a notification, and cleans up."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from mangadex_sim import Simulator
from mangahub.env import Env
from sql import embedded
from tests.support.paths import ROOT
from tests.support.programs import Programs, kill
from tests.support.waiting import wait_until

NOBODY = "http://127.0.0.1:9"


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(programs: Programs) -> Start:
    """`start("--offline", MANGADEX_API_URL=…)` → the tour, under way."""

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        return programs.start("scripts.quickstart", *arguments, env=variables)

    return start


def finish(tour: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = tour.communicate(timeout=120)
    return tour.returncode, out, err


def serving(home: Path) -> list[str]:
    """Command lines of processes that know this directory: servers, programs, listeners."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            place = f"MANGAHUB_DATA={home}".encode()
            knows = place in (entry / "environ").read_bytes()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if (knows or str(home) in line) and int(entry.name) != os.getpid():
            found.append(line)
    return found


def announced(out: str) -> list[str]:
    return re.findall(r"NEW_CHAPTER .* New chapter (\d+) available", out)


def test_two_tours_at_the_same_moment_take_turns_and_each_has_a_new_chapter(
    start: Start, home: Path
) -> None:
    both = [start("--offline"), start("--offline")]
    ends = [finish(tour) for tour in both]
    assert [code for code, _, _ in ends] == [0, 0], [err for _, _, err in ends]
    first, second = sorted((out for _, out, _ in ends), key=lambda out: int(announced(out)[0]))
    assert "New titles: 150; requests: 2;" in first
    assert f"export MANGAHUB_DATA={home}/demo" in first
    assert "mangahub-notify key demo --link\n    http://127.0.0.1:" in first
    assert "Press Enter" not in first
    assert "!!!" not in first
    assert "\x1b" not in first
    assert "Another tour is under way here; waiting." in second
    assert "Imported before: 150 titles are there." in second
    assert int(announced(second)[0]) == int(announced(first)[0]) + 1
    assert serving(home) == []


def test_at_a_terminal_the_website_is_open_until_enter_is_pressed(
    clean_environment: dict[str, str], home: Path
) -> None:
    ours, theirs = pty.openpty()
    tour = subprocess.Popen(
        [sys.executable, "-m", "scripts.quickstart", "--offline"],
        cwd=ROOT,
        env=clean_environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert tour.stdout is not None
        lines = []
        while "Press Enter" not in (line := tour.stdout.readline()):
            assert line, tour.communicate()
            lines.append(line)
        (link,) = re.findall(r"http://\S+/sign-in/\S+", "".join(lines))
        assert "Sign in as <bdi>demo</bdi>" in requests.get(link, timeout=20).text
        assert tour.poll() is None
        os.write(ours, b"\n")
        code, out, err = finish(tour)
        assert code == 0, err
        assert "everything that was started has been stopped" in out
    finally:
        kill(tour)
        os.close(ours)
        os.close(theirs)
    assert serving(home) == []


def test_the_real_source_fills_the_real_database_and_a_trial_message_arrives(
    start: Start, home: Path
) -> None:
    with Simulator(titles=400) as source:
        code, out, err = finish(start(MANGADEX_API_URL=source.url, DATABASE_URL="unused"))
    assert code == 0, err
    assert "DATABASE_URL is not used here" in out
    assert "New titles: 150;" in out
    assert re.search(r"MANGA_UPDATE +A trial — Updated: description", out)
    assert not (home / "demo").exists()
    assert serving(home) == []


def test_an_unreachable_source_is_one_loud_line_and_not_the_end(start: Start, home: Path) -> None:
    code, out, err = finish(start(MANGADEX_API_URL=NOBODY))
    assert code == 0, err
    loud = [line for line in out.splitlines() if line.startswith("!!!")]
    assert loud == [
        f"!!! {NOBODY} cannot be reached: using the bundled stand-in, with made-up titles"
    ]
    assert len(announced(out)) == 1
    assert not embedded.places(home).cluster.exists()


def test_a_server_that_has_run_before_goes_on_running(start: Start, home: Path) -> None:
    demo = home / "demo"
    demo.mkdir(0o755)
    embedded.ensure_running(demo, Env({}), durable=False)
    try:
        before = embedded.pid(demo)
        tour = start("--offline")
        assert tour.stdout is not None
        while "stand-in" not in tour.stdout.readline():
            assert tour.poll() is None
        tour.terminate()
        assert finish(tour)[0] == 128 + signal.SIGTERM
        assert embedded.pid(demo) == before is not None
    finally:
        embedded.stop(demo)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_tour_and_everything_it_has_started(
    start: Start, home: Path, number: signal.Signals
) -> None:
    tour = start("--offline")
    wait_until(lambda: embedded.pid(home / "demo"))
    tour.send_signal(number)
    code, out, err = finish(tour)
    assert code == 128 + number, err
    assert "Stopped, with everything that was started" in out
    assert serving(home) == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        pytest.param({"MANGAHUB_DATA": "here"}, "MANGAHUB_DATA='here'", id="relative directory"),
        pytest.param({"MANGAHUB_DATA": "/proc/none"}, "MANGAHUB_DATA=/proc/none", id="no room"),
        pytest.param({"MANGA_SYNC_WORKERS": "x"}, "MANGA_SYNC_WORKERS='x'", id="bad setting"),
    ],
)
def test_a_bad_setting_ends_with_one_line_and_code_2(
    start: Start, home: Path, variables: dict[str, str], words: str
) -> None:
    code, _, err = finish(start(**{"MANGADEX_API_URL": NOBODY} | variables))
    assert code == 2
    assert err.startswith(f"quickstart: {words}")
    assert err.count("\n") == 1
