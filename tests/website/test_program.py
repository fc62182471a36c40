"""The program: two processes under one parent, which lets neither of them stay down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import requests

from tests.support.databases import OwnDatabase
from tests.support.programs import Finished, Programs
from tests.support.waiting import wait_until


class Site:
    """A running `mangahub-web`."""

    def __init__(self, programs: Programs, database_url: str, **env: str) -> None:
        given = {"DATABASE_URL": database_url, "WEB_PORT": "0", "WEB_STREAM_PORT": "0", **env}
        self.process = programs.start("website", "serve", "--json", env=given)
        assert self.process.stdout
        self.addresses = json.loads(self.process.stdout.readline())
        self.url = f"http://{self.addresses['http']}"
        self.streams = f"http://{self.addresses['streams']}"

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=20)

    def answers(self, url: str) -> bool:
        try:
            return requests.get(url, timeout=5).status_code > 0
        except requests.ConnectionError:
            return False

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(map(int, path.read_text().split()))

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=15)
        return self.process.returncode, err


@pytest.fixture
def site(programs: Programs, database_url: str) -> Site:
    return Site(programs, database_url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_serves_and_ends_in_time(
    site: Site, home: Path, number: signal.Signals
) -> None:
    assert json.loads((home / "website.json").read_text()) == site.addresses
    assert site.get("/").status_code == 200
    assert site.answers(f"{site.streams}/events")
    began = monotonic()
    code, err = site.end(number)
    assert monotonic() - began < 10
    assert code == 0
    assert "Stopped" in err.splitlines()[-1]
    assert not (home / "website.json").exists()


def test_a_process_that_is_killed_is_started_again(site: Site) -> None:
    before = site.children()
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(site.children()) == 2 and not set(before) & set(site.children()))
    assert site.get("/").status_code == 200
    assert site.answers(f"{site.streams}/events")
    code, err = site.end()
    assert code == 0
    for name in ("pages", "streams"):
        assert f"A process has ended, starting it again name={name} exit_code=-9" in err


def test_its_processes_do_not_outlive_it(site: Site) -> None:
    children = site.children()
    site.process.kill()
    site.process.communicate(timeout=10)
    wait_until(lambda: not any(Path(f"/proc/{pid}/stat").exists() for pid in children))


def test_a_second_signal_ends_it_at_once(programs: Programs, database_url: str) -> None:
    site = Site(programs, database_url)
    for pid in site.children():
        os.kill(pid, signal.SIGSTOP)  # they will not hear that they should end
    site.process.send_signal(signal.SIGTERM)
    assert site.process.stderr
    while "Stopping" not in site.process.stderr.readline():
        assert site.process.poll() is None
    code, err = site.end()
    assert code == 128 + signal.SIGTERM, err


def test_without_the_database_every_page_says_so_and_comes_back(
    programs: Programs, own_database: OwnDatabase
) -> None:
    site = Site(programs, own_database.url)
    assert site.get("/").status_code == 200
    own_database.stop()
    answer = site.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The database is unavailable" in answer.text
    assert "Traceback" not in answer.text
    assert [site.get(path).status_code for path in ("/healthz", "/readyz", "/about")] == [
        200,
        503,
        200,
    ]
    own_database.start()
    wait_until(lambda: site.get("/").status_code == 200)
    code, err = site.end()
    assert code == 0
    assert "Traceback" not in err


def test_it_starts_while_the_database_is_down(programs: Programs) -> None:
    site = Site(programs, "postgresql://nobody@127.0.0.1:9/none")
    assert site.get("/").status_code == 503
    assert site.end()[0] == 0


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"WEB_PORT": "x"}, "WEB_PORT='x' is not allowed: it must be a whole number"),
        ({"WEB_URL": "hub.example"}, "WEB_URL='hub.example' is not allowed"),
        ({"WEB_VISITORS": "some"}, "WEB_VISITORS='some' is not allowed"),
        ({"WEB_PROXIES": "-1"}, "WEB_PROXIES='-1' is not allowed"),
    ],
)
def test_a_bad_setting_is_one_line_and_code_2(
    run_program: Any, env: dict[str, str], words: str
) -> None:
    done: Finished = run_program("website", env={"DATABASE_URL": "postgresql://x/y", **env})
    assert done.code == 2
    assert done.stderr.startswith(f"mangahub-web: {words}")
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_named_with_its_setting(
    programs: Programs, site: Site, database_url: str
) -> None:
    port = site.addresses["http"].rpartition(":")[2]
    env = {"DATABASE_URL": database_url, "WEB_PORT": port, "WEB_STREAM_PORT": "0"}
    done = programs.run("website", "--json", env=env)
    assert done.code == 1
    assert "set WEB_PORT" in done.stderr
    assert "set WEB_PORT" in done.json["error"]
    assert site.get("/").status_code == 200
    site.end()


def test_figures_are_for_programs_of_this_host(programs: Programs, database_url: str) -> None:
    site = Site(programs, database_url, WEB_PROXIES="1")
    site.get("/made-up-by-a-stranger")
    text = site.get("/metrics").text
    assert 'mangahub_web_request_seconds_count{route="none",status="404"} 1.0' in text
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    assert requests.get(f"{site.url}/metrics", headers=forwarded, timeout=20).status_code == 404
    site.end()


def test_a_reader_leaves_stdout_and_it_goes_on(programs: Programs, database_url: str) -> None:
    env = {"DATABASE_URL": database_url, "WEB_PORT": "0", "WEB_STREAM_PORT": "0"}
    process: subprocess.Popen[str] = programs.start("website", env=env)
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    while "Listening" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    assert process.wait(15) == 0
