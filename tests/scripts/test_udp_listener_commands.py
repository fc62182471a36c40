"""`--exec` of the reference client: one command at a time, without delaying the client."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Listen = Callable[..., Any]


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], str]:
    """`command("print(note)")` → for `--exec`: Python with `note` and `say`, which shows a text."""

    def make(body: str) -> str:
        path = tmp_path / "a command.py"
        prelude = (
            "import json, os, sys, time\n"
            "say = lambda text: print(text, flush=True)\n"
            "note = json.load(sys.stdin)\n"
        )
        path.write_text(prelude + body)
        return f"{sys.executable} '{path}'"

    return make


def test_a_command_gets_the_notification_and_no_shell_and_no_secret(
    listen: Listen, peer: Any, command: Callable[[str], str]
) -> None:
    text = "say(json.dumps([note, sys.argv[1:], 'MANGAHUB_KEY' in os.environ]))"
    run = command(text) + " '$HOME;' `id` --x"
    listener = listen("--server", peer.server, "--exec", run, "--json", "--count", "1")
    peer.welcome()
    peer.notify(41)
    note, arguments, has_key = json.loads(listener.errors.line("Lantern"))
    assert note == listener.next_json()
    assert "session" not in note
    assert (arguments, has_key) == (["$HOME;", "`id`", "--x"], False)
    assert listener.end()[0] == 0


def test_a_hanging_command_delays_its_successors_but_not_the_client(
    listen: Listen, peer: Any, command: Callable[[str], str], tmp_path: Path
) -> None:
    run = command(
        f"while note['id'] == 41 and not os.path.exists({str(tmp_path / 'go')!r}):\n"
        "    time.sleep(0.01)\n"
        "say(f'ran {note[\"id\"]}')"
    )
    listener = listen("--server", peer.server, "--exec", run, "--json", "--ping-interval", "0.1")
    peer.welcome()
    peer.notify(41)
    assert peer.receive("ACK")["ids"] == [41]
    peer.notify(42)
    assert [listener.next_json()["id"] for _ in range(2)] == [41, 42]
    peer.notify(42)
    for _ in range(3):
        peer.receive("PING")
        peer.send({"type": "PONG", "session": peer.session})
    peer.notify(41)
    assert peer.receive("ACK")["ids"] == [41], "42 waits, and would be lost in a crash"
    (tmp_path / "go").touch()
    assert peer.receive("ACK")["ids"] == [42]
    listener.errors.line("ran 41")
    listener.errors.line("ran 42")


def test_a_command_that_takes_too_long_is_killed(
    listen: Listen, peer: Any, command: Callable[[str], str]
) -> None:
    run = command("if note['id'] == 41:\n    time.sleep(600)\nsay('done')")
    listener = listen(
        "--server", peer.server, "--exec", run, "--exec-timeout", "0.5", "--count", "2"
    )
    peer.welcome()
    peer.notify(41)
    peer.notify(42)
    listener.errors.line("timed out after")
    listener.errors.line("done")
    assert listener.end()[0] == 0


@pytest.mark.parametrize(
    ("body", "is_mentioned"), [("sys.exit(3)", True), ("", False)], ids=["fails", "succeeds"]
)
def test_a_failing_command_is_mentioned(
    listen: Listen, peer: Any, command: Callable[[str], str], body: str, is_mentioned: bool
) -> None:
    listener = listen("--server", peer.server, "--exec", command(body), "--count", "1")
    peer.welcome()
    peer.notify(41)
    assert peer.receive("ACK")["ids"] == [41]
    code, _, stderr = listener.end()
    assert code == 0
    assert ("returned non-zero exit status 3" in stderr) == is_mentioned


def test_a_command_that_does_not_read_its_input_does_no_harm(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--exec", "true", "--count", "20", "--json")
    peer.welcome()
    for note_id in range(1, 21):
        peer.notify(note_id)
    code, stdout, stderr = listener.end()
    assert code == 0 and len(stdout.splitlines()) == 20
    assert len(stderr.splitlines()) == 1, stderr
