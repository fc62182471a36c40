"""The reference client against a peer that loses datagrams, forges them, or falls silent."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.scripts.conftest import KEY, LISTENER, USER

Listen = Callable[..., Any]


# --- subscribing -------------------------------------------------------------------------------


def test_it_subscribes_with_a_proof_and_acknowledges_what_it_has_printed(
    listen: Listen, peer: Any
) -> None:
    listener = listen("--server", peer.server)
    assert peer.welcome()["ack"] is True
    peer.notify(41)
    assert peer.receive("ACK") == {"type": "ACK", "session": peer.session, "ids": [41]}
    line = listener.lines.line()
    assert line.startswith("2024-05-0") and "NEW_CHAPTER" in line
    assert line.endswith("The Tin Lantern — New chapter 181 available (was chapter 180)")


def test_json_is_the_datagram_without_the_session(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--json")
    peer.welcome()
    peer.notify(41, title="灯\x1b[2J")
    shown = listener.next_json()
    assert (shown["id"], shown["title"], shown["data"]) == (41, "灯\x1b[2J", {"chapter": 181})
    assert "session" not in shown


def test_without_ack_it_proves_that_and_sends_none(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--no-ack", "--ping-interval", "0.1")
    assert peer.welcome()["ack"] is False
    peer.notify(41)
    listener.lines.line("Lantern")
    peer.receive("PING")
    for _ in range(3):
        peer.send({"type": "PONG", "session": peer.session})
        assert peer.next()["type"] == "PING"


def test_lost_datagrams_of_the_subscription_are_repeated(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server)
    peer.receive("SUBSCRIBE")
    peer.receive("SUBSCRIBE")
    first = peer.challenge("c-1")
    while not (again := peer.receive("SUBSCRIBE"))["cookie"]:
        continue
    assert again == first, "with the proof at once, since only the confirmation is missing"
    peer.challenge("c-2")
    peer.confirm()
    listener.errors.line("subscribed at 127.0.0.1")


def test_a_server_that_always_challenges_is_not_answered_forever(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server)
    peer.receive("SUBSCRIBE")
    for _ in range(20):
        peer.send({"type": "CHALLENGE", "cookie": "c-1"})
    line = listener.errors.line("no answer")
    assert "are user and key right?" in line
    peer.socket.settimeout(0.01)
    waiting = 0
    with pytest.raises(TimeoutError):
        while True:
            peer.socket.recv(2000)
            waiting += 1
    assert waiting < 10


def test_an_error_is_shown_and_the_client_tries_again(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server)
    peer.receive("SUBSCRIBE")
    peer.challenge()
    peer.send({"type": "ERROR", "code": "bad_proof", "message": "the proof\x1b[31m is wrong"})
    line = listener.errors.line("refused")
    assert "the proof\\x1b[31m is wrong (bad_proof); trying again in" in line
    peer.welcome()
    listener.errors.line("subscribed")


@pytest.mark.parametrize("name", ["::1", "localhost"])
def test_it_finds_the_address_that_answers(
    listen: Listen, make_peer: Callable[..., Any], name: str
) -> None:
    peer = make_peer("::1") if ":" in name else make_peer()
    server = peer.server if ":" in name else f"localhost:{peer.port}"
    listener = listen("--server", server)
    peer.welcome()
    listener.errors.line("subscribed at")


# --- what arrives ------------------------------------------------------------------------------


def test_a_notification_is_printed_once_and_acknowledged_each_time(
    listen: Listen, peer: Any
) -> None:
    listener = listen("--server", peer.server, "--json")
    peer.welcome()
    for note_id in (41, 41, 42, 41):
        peer.notify(note_id)
        assert peer.receive("ACK")["ids"] == [note_id]
    assert [listener.next_json()["id"] for _ in range(2)] == [41, 42]
    assert listener.end(signal.SIGTERM)[1] == ""


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ({"language": "en", "groups": ["Night Owls"]}, " by Night Owls"),
        ({"language": "vi", "groups": ["A", "B"], "url": "https://x.example/1"},
         " [vi] by A, B  https://x.example/1"),
        ({"url": "javascript:alert(1)", "language": 7, "groups": "A"}, ""),
        ({"groups": [None, "\x1b[31mred\nline"]}, " by \\x1b[31mred line"),
        ([1], ""),
    ],
    ids=["groups", "all", "what no browser may open", "hostile names", "no object"],
)  # fmt: skip
def test_language_groups_and_address_are_printed(
    listen: Listen, peer: Any, data: object, end: str
) -> None:
    listener = listen("--server", peer.server)
    peer.welcome()
    peer.notify(41, data=data)
    peer.receive("ACK")
    assert listener.lines.line("NEW_CHAPTER").endswith(f"(was chapter 180){end}")


JUNK: dict[str, Any] = {
    "no JSON": b"\xff\x00{",
    "no object": b"[1, 2]",
    "nested deeply": b'{"type":' * 100 + b"[" * 300,
    "another session": {"session": "6" * 32},
    "no session": {"session": None},
    "a session of another type": {"session": ["5" * 32]},
    "no id": {"id": None},
    "an id that is text": {"id": "41"},
    "an id that is true": {"id": True},
    "an id that is a fraction": {"id": 41.0},
    "a huge id": {"id": 10**30},
    "a negative id": {"id": -1},
    "a type that is no text": {"type": 7},
    "not a number": b'{"type":"NEW_MANGA","id":9,"x":NaN,"session":"%b"}' % (b"5" * 32),
    "an unrequested challenge": {"type": "CHALLENGE", "cookie": "c-9", "session": 1},
    "an unrequested confirmation": {"type": "SUBSCRIBE", "session": "6" * 32},
}


def test_what_is_malformed_or_of_another_session_is_ignored(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--json")
    peer.welcome()
    for junk in JUNK.values():
        if isinstance(junk, dict):
            peer.notify(666, **junk)
        else:
            peer.send(junk)
    peer.notify(41, title=None, message=12, timestamp={"x": 1}, data=[], changes=None)
    assert peer.next() == {
        "type": "ACK",
        "session": peer.session,
        "ids": [41],
    }
    assert listener.next_json()["id"] == 41


def test_datagrams_from_another_address_are_not_even_read(
    listen: Listen, peer: Any, make_peer: Callable[..., Any]
) -> None:
    listener = listen("--server", peer.server, "--json")
    peer.welcome()
    stranger = make_peer()
    stranger.client, stranger.session = peer.client, peer.session
    stranger.notify(666)
    peer.notify(41)
    assert listener.next_json()["id"] == 41
    assert peer.receive("ACK")["ids"] == [41]


def test_many_at_once_are_acknowledged_in_datagrams_that_fit(listen: Listen, peer: Any) -> None:
    listen("--server", peer.server)
    peer.welcome()
    wanted = {2**62 + n for n in range(100)}
    for note_id in wanted:
        peer.notify(note_id)
    got: set[int] = set()
    while got != wanted:
        got.update(peer.receive("ACK")["ids"])


# --- when the server is gone -------------------------------------------------------------------


def test_silence_is_noticed_and_ids_are_remembered_across_reconnects(
    listen: Listen, peer: Any
) -> None:
    listener = listen("--server", peer.server, "--json", "--ping-interval", "0.1")
    peer.welcome()
    peer.notify(41)
    ping = peer.receive("PING")
    assert ping == {"type": "PING", "session": peer.session, "user_id": ping["user_id"]}
    listener.errors.line("is gone: no answer to 3 PINGs; trying again in")
    former = peer.client
    peer.welcome("6" * 32)
    assert peer.client != former, "the network may have changed: another socket"
    peer.notify(41)
    peer.notify(42)
    peer.receive("ACK")
    assert [listener.next_json()["id"] for _ in range(2)] == [41, 42]


def test_a_pong_keeps_the_session(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--json", "--ping-interval", "0.1")
    peer.welcome()
    for _ in range(8):
        peer.receive("PING")
        peer.send({"type": "PONG", "session": peer.session})
    peer.notify(41)
    assert listener.next_json()["id"] == 41


def test_a_challenge_after_a_ping_means_subscribing_again_at_once(
    listen: Listen, peer: Any
) -> None:
    listener = listen("--server", peer.server, "--json", "--ping-interval", "0.1")
    peer.welcome()
    peer.receive("PING")
    former = peer.client
    peer.challenge("c-2")
    peer.confirm("6" * 32)
    peer.notify(41)
    assert listener.next_json()["id"] == 41
    assert peer.receive("ACK") == {"type": "ACK", "session": "6" * 32, "ids": [41]}
    assert peer.client == former
    listener.errors.line("restarted, or has dropped us")


def test_a_closed_port_is_noticed_and_the_client_returns(
    listen: Listen, make_peer: Callable[..., Any]
) -> None:
    first = make_peer()
    listener = listen("--server", first.server, "--json", "--ping-interval", "0.1")
    first.welcome()
    first.socket.close()
    listener.errors.line("Connection refused")
    second = make_peer(port=first.port)
    second.welcome("6" * 32)
    second.notify(41)
    assert listener.next_json()["id"] == 41


def test_a_client_without_acks_renews_itself_before_its_time_is_up(
    listen: Listen, peer: Any
) -> None:
    listen("--server", peer.server, "--no-ack", "--ping-interval", "60")
    peer.welcome(ttl=1.2)
    for note_id in range(1, 200):  # never silent for long enough to be asked
        peer.notify(note_id)
        try:
            peer.receive("PING", timeout=0.02)
            return
        except TimeoutError:
            continue
    pytest.fail("no PING in 4 s")


# --- leaving -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_unsubscribes(listen: Listen, peer: Any, number: int, code: int) -> None:
    listener = listen("--server", peer.server)
    user = peer.welcome()["user_id"]
    listener.errors.line("subscribed")
    assert listener.end(number) == (code, "", "")
    goodbye = {"type": "UNSUBSCRIBE", "session": peer.session, "user_id": user}
    assert peer.receive("UNSUBSCRIBE") == goodbye


def test_a_signal_ends_it_before_it_is_subscribed(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--reply-timeout", "60")
    peer.receive("SUBSCRIBE")
    assert listener.end(signal.SIGTERM) == (0, "", "")


def test_it_ends_after_the_wanted_number(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--json", "--count", "2")
    peer.welcome()
    listener.errors.line("subscribed")
    for note_id in (41, 41, 42, 43):
        peer.notify(note_id)
    code, stdout, _ = listener.end()
    assert (code, [json.loads(line)["id"] for line in stdout.splitlines()]) == (0, [41, 42])
    got: list[int] = []
    while (body := peer.next())["type"] == "ACK":
        got += body["ids"]
    assert set(got) == {41, 42} and body["type"] == "UNSUBSCRIBE"


def test_it_ends_when_its_time_is_over(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--timeout", "0.3")
    assert listener.end()[0] == 75


def test_without_a_reader_of_stdout_nothing_is_acknowledged_and_it_ends_quietly(
    listen: Listen, peer: Any
) -> None:
    reading, writing = os.pipe()
    listener = listen("--server", peer.server, stdout=writing)
    os.close(writing)
    os.close(reading)
    peer.welcome()
    listener.errors.line("subscribed")
    peer.notify(41)
    assert listener.end() == (0, "", "")
    assert peer.next()["type"] == "UNSUBSCRIBE"


def test_what_cannot_be_written_is_not_acknowledged(listen: Listen, peer: Any) -> None:
    with open("/dev/full", "wb") as full:
        listener = listen("--server", peer.server, stdout=full.fileno())
    peer.welcome()
    listener.errors.line("subscribed")
    peer.notify(41)
    assert listener.end() == (1, "", "stdout: No space left on device\n")
    assert peer.next()["type"] == "UNSUBSCRIBE"


def test_nonsense_for_a_ttl_ends_nothing(listen: Listen, peer: Any) -> None:
    listener = listen("--server", peer.server, "--count", "1")
    peer.welcome(ttl=10**400)
    listener.errors.line("subscribed")
    peer.notify(41)
    assert listener.end()[0] == 0


def test_with_stdout_closed_it_runs_all_the_same(clean_environment: dict[str, str]) -> None:
    arguments = ["--server", "127.0.0.1:9", "--user", USER, "--timeout", "0.2"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&-', sys.executable, str(LISTENER), *arguments],
        env={**clean_environment, "MANGAHUB_KEY": KEY},
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
    )
    assert done.returncode == 75
    assert "Traceback" not in done.stderr


# --- terminals ---------------------------------------------------------------------------------


def test_no_escape_sequence_of_a_title_reaches_a_terminal(listen: Listen, peer: Any) -> None:
    ours, theirs = pty.openpty()
    listener = listen("--server", peer.server, "--count", "1", stdout=theirs)
    os.close(theirs)
    peer.welcome()
    peer.notify(41, title="Red\x1b[31m\u202e\x9b2J\nand\u3000灯")
    listener.end()
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "Red\\x1b[31m\\u202e\\x9b2J and 灯" in shown
    assert "\x1b" not in shown
