"""The program: its first line, signals, bad usage, a large catalogue."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import requests

from mangadex_sim import SimControl
from tests.support.programs import Programs

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(programs: Programs) -> Start:
    """Start `python -m mangadex_sim`; end it with the test."""
    return partial(programs.start, "mangadex_sim")


def read_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], 10)
    assert readable, "no first line within 10 s"
    line = process.stdout.readline()
    match = re.fullmatch(r"mangadex_sim listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert match, line
    return match[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_leaves_on_a_signal(number: int, start: Start) -> None:
    process = start("--titles", "5", "--rate", "0")
    url = read_url(process)
    with requests.Session() as session:
        session.headers["User-Agent"] = "t/1"
        assert session.get(url + "/manga?limit=1", timeout=5).json()["limit"] == 1
        SimControl(url).fail("hang")
        with pytest.raises(requests.exceptions.ReadTimeout):
            session.get(url + "/manga", timeout=0.2)
        process.send_signal(number)
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--titles", "-1"],
        ["--titles", "x"],
        ["--rate", "-5"],
        ["--port", "99999"],
        ["--retry-header", "soon"],
        ["--nonsense"],
        ["--history-end", "later"],
        ["--latency", "-1"],
    ],
)
def test_bad_usage_is_exit_code_2_with_a_sentence(arguments: list[str], start: Start) -> None:
    process = start(*arguments)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "error:" in errors and "Traceback" not in errors


def test_a_taken_port_is_exit_code_1_and_named(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("--port", port)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert port in errors and "Traceback" not in errors


def test_the_help_names_every_option_and_the_orders(start: Start) -> None:
    text, _ = start("--help").communicate(timeout=10)
    for word in ("--titles", "--seed", "--rate", "--latency", "--recent-chapters", "/_sim/stats"):
        assert word in text


def test_a_hundred_thousand_titles_need_little_time_and_memory(start: Start) -> None:
    """Generous bounds, for a busy machine; a quiet one starts in a third of a second."""
    process = start("--titles", "100000", "--rate", "0")
    url = read_url(process)
    with requests.Session() as session:
        session.headers["User-Agent"] = "t/1"
        for target in (
            "/manga?limit=100",
            "/manga?limit=100&order[updatedAt]=desc",
            "/chapter?limit=100&order[readableAt]=desc",
        ):
            assert len(session.get(url + target, timeout=10).json()["data"]) == 100
    assert resident_mb(process.pid) < 100


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match
    return int(match[1]) / 1_024


def test_a_restart_answers_the_same(start: Start) -> None:
    answers = []
    for _ in range(2):
        process = start("--titles", "40", "--seed", "9", "--rate", "0")
        url = read_url(process)
        headers = {"User-Agent": "t/1"}
        answers.append(
            [
                requests.get(url + target, headers=headers, timeout=5).text
                for target in ("/manga?limit=40", "/chapter?limit=100")
            ]
        )
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0
    assert answers[0] == answers[1]
