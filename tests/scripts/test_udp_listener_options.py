"""Options, keys and the file itself: what a person meets who has just copied it."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.paths import ROOT

LISTENER = ROOT / "scripts" / "udp_listener.py"
USER = "5f1d2c3b-0000-4000-8000-00000000cafe"
Listen = Callable[..., Any]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("udp_listener", LISTENER)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_it_is_python_3_9_and_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(LISTENER.read_text(), feature_version=(3, 9))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    assert names - sys.stdlib_module_names == set()
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_help_explains_options_environment_and_exit_codes() -> None:
    shown = subprocess.run(
        [str(LISTENER), "--help"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    words = (
        "--server",
        "--user",
        "--key-file",
        "--json",
        "--exec",
        "--count",
        "--timeout",
        "MANGAHUB_SERVER",
        "MANGAHUB_USER",
        "MANGAHUB_KEY_FILE",
        "Exit codes",
    )
    assert [word for word in words if word not in shown] == []


BAD_USAGE: dict[str, tuple[list[str], dict[str, str], str]] = {
    "no user": ([], {"MANGAHUB_USER": ""}, "--user or MANGAHUB_USER"),
    "a user that is not a UUID": (["--user", "alice"], {}, "'alice'"),
    "no key": ([], {"MANGAHUB_KEY": ""}, "--key-file, MANGAHUB_KEY or"),
    "a blank key": ([], {"MANGAHUB_KEY": " \t "}, "--key-file, MANGAHUB_KEY or"),
    "a key with other characters": ([], {"MANGAHUB_KEY": "schlüssel"}, "no usable key"),
    "a key file that is missing": (["--key-file", "/nowhere/key"], {}, "/nowhere/key"),
    "an empty key file": (["--key-file", "/dev/null"], {}, "no usable key"),
    "a server with a bad port": (["--server", "hub.example:99999"], {}, "hub.example:99999"),
    "a server with a path": (["--server", "hub.example/x"], {}, "hub.example/x"),
    "no server before the port": ([], {"MANGAHUB_SERVER": ":8082"}, ":8082"),
    "a command that is missing": (["--exec", "no-such-program -x"], {}, "no-such-program"),
    "an open quotation mark": (["--exec", "echo 'x"], {}, "echo 'x"),
    "a time that is none": (["--timeout", "nan"], {}, "nan"),
    "a count of none": (["--count", "0"], {}, "'0'"),
    "an unknown option": (["--key", "secret"], {}, "unrecognized arguments"),
}


@pytest.mark.parametrize(("arguments", "env", "shown"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_is_one_line_and_exit_2(
    listen: Listen, arguments: list[str], env: dict[str, str], shown: str
) -> None:
    code, stdout, stderr = listen(*arguments, env=env).end()
    assert (code, stdout) == (2, "")
    assert shown in stderr
    assert len(stderr.splitlines()) == 1


def test_the_last_line_of_a_key_file_is_the_key_and_a_loose_mode_is_warned_of(
    listen: Listen, peer: Any, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text("the key of a reader:\n" + "0123456789abcdef" * 4 + "\n\n")
    path.chmod(0o640)
    # An option comes before the environment.
    listener = listen("--server", peer.server, "--key-file", str(path), env={"MANGAHUB_KEY": "x"})
    peer.welcome()
    assert "chmod 600" in listener.errors.line()
    path.chmod(0o600)
    env = {"MANGAHUB_KEY": "", "MANGAHUB_KEY_FILE": str(path), "MANGAHUB_SERVER": peer.server}
    listener = listen("--user", USER.upper(), env=env)
    assert peer.welcome()["user_id"] == USER
    assert "subscribed" in listener.errors.line()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hub.example", ("hub.example", 8082)),
        ("hub.example:9000", ("hub.example", 9000)),
        ("192.0.2.7:9000", ("192.0.2.7", 9000)),
        ("[2001:db8::1]", ("2001:db8::1", 8082)),
        ("[2001:db8::1]:9000", ("2001:db8::1", 9000)),
    ],
)
def test_servers_are_named_in_all_the_usual_ways(
    module: ModuleType, text: str, wanted: tuple[str, int]
) -> None:
    assert module.server_address(text) == wanted


def test_times_are_local_and_carry_a_date_where_it_is_not_today(module: ModuleType) -> None:
    noon = datetime.now().astimezone().replace(hour=12, minute=0, second=5)
    assert module.local_time(noon.isoformat()) == "12:00:05"
    old = datetime(2024, 5, 6, 7, 8, 9).astimezone()
    assert module.local_time(old.isoformat()) == "2024-05-06 07:08:09"


@pytest.mark.parametrize("timestamp", [None, 7, "", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_read_is_now(module: ModuleType, timestamp: object) -> None:
    assert len(module.local_time(timestamp)) == len("12:00:05")
