"""The container file and its compose example, as far as they can be checked without an engine."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from batch import cli
from tests.support.paths import ROOT
from tests.systemd.test_env_example import read_example

CONTAINERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text())
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.*)$", CONTAINERFILE, re.MULTILINE)
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: part for name, part in COMPOSE["services"].items() if part["image"] == "mangahub"}


def values(instruction: str) -> list[str]:
    return [text for name, text in INSTRUCTIONS if name == instruction]


def copied() -> set[str]:
    """What is taken out of the checkout."""
    lines = [text.split() for text in values("COPY") if not text.startswith("--from")]
    return {source for line in lines for source in line[:-1]}


def test_it_copies_all_packages_and_only_what_exists() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = setup["options.packages.find"]["include"].replace("*", "").split()
    assert set(packages) <= copied()
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_all_that_it_copies_is_sent_to_the_build() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()


def test_it_does_not_run_as_root() -> None:
    assert values("USER") == ["mangahub"]


def test_its_default_command_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"]
    (command,) = json.loads(values("CMD")[-1])
    assert f"{command} =" in scripts


class Quiet(BaseHTTPRequestHandler):
    """Answers every GET with the server's `status`."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" and self.server.is_well else 500)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(is_well: bool) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.is_well = is_well  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("is_well", [True, False])
def test_the_health_check_asks_healthz(is_well: bool) -> None:
    program, *arguments = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
    assert program == "python"
    with serving(is_well) as port:
        environ = {"UDP_HTTP_PORT": str(port)}
        done = subprocess.run([sys.executable, *arguments], capture_output=True, env=environ)
    assert (done.returncode == 0) == is_well


def test_the_compose_example_sets_variables_that_exist() -> None:
    for name, part in OURS.items():
        assert set(part["environment"]) <= set(read_example()), name


def test_the_compose_example_runs_commands_that_exist() -> None:
    text = "\n".join(str(part.get("command", "")) for part in OURS.values())
    commands = re.findall(r"mangahub-batch ((?:[a-z-]+)(?: --all)?)", text)
    assert len(commands) == 9
    for command in commands:
        cli._parser().parse_args(command.split())


def test_the_compose_example_publishes_http_to_the_host_only() -> None:
    http = [port for port in OURS["notify"]["ports"] if fnmatch(port, "*8085/tcp")]
    assert http == ["127.0.0.1:8085:8085/tcp"]
