"""What a sending process reaches and reads, with whatever library: real processes and servers."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
import requests

from notify_server.channels import failures, processes, webhooks
from readers.channels.addresses import Policy
from tests.notify_server.channels.conftest import ANYWHERE, Deliver
from tests.support.channel_servers import Answer, ChannelServer
from tests.support.raw_server import HEAD, Handler, RawServer, drip

SECRET = "whsec_c2VjcmV0IGZvciB0ZXN0cywgbG9uZyBlbm91Z2g="
PUBLIC = Policy((*ANYWHERE.kinds, "webhook"), False)  # type: ignore[misc]
KINDS = ("webhook:http://{}/x", "ntfy://{}/topic", "mailto://{}?from=a@b.example&to=c@d.example")


@contextmanager
def raw(handler: Handler) -> Iterator[RawServer]:
    server = RawServer(handler)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def name_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """`name_of("host.example", "127.0.0.1")`: let a name lead there."""
    resolve = socket.getaddrinfo

    def let(name: str, *found: str) -> None:
        waiting = list(found)

        def answer(host: Any, *arguments: Any, **options: Any) -> Any:
            if host == name:
                host = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return resolve(host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return let


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_leads_inside_is_not_connected_to(
    deliver: Deliver, server: ChannelServer, name_of: Any, kind: str
) -> None:
    port = server.address.rpartition(":")[2]
    name_of("host.example", "127.0.0.1")
    text = kind.format(f"host.example:{port}").replace("webhook:http:", "webhook:https:")
    receipt = deliver(text, policy=PUBLIC, secret=SECRET)
    assert receipt.error and "leads to the private address 127.0.0.1" in receipt.error
    assert server.requests == []


@pytest.mark.parametrize("inside", ["::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_nor_any_other_private_address(deliver: Deliver, name_of: Any, inside: str) -> None:
    name_of("host.example", inside)
    receipt = deliver("webhook:https://host.example/x", policy=PUBLIC, secret=SECRET)
    assert receipt.error and "leads to the private address" in receipt.error


def test_a_name_that_changes_its_address_is_checked_where_it_is_connected_to(
    deliver: Deliver, server: ChannelServer, name_of: Any
) -> None:
    """Whoever looks first, and connects to what a second look finds, is let in."""
    port = server.address.rpartition(":")[2]
    name_of("host.example", "192.0.2.0", "127.0.0.1")  # the first is nobody's
    for _ in range(2):
        receipt = deliver(f"ntfy://host.example:{port}/t", policy=PUBLIC)
        assert receipt.error and "private address" in receipt.error
    assert server.requests == []


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    deliver: Deliver, server: ChannelServer, kind: str, status: int
) -> None:
    with raw(lambda *_: None) as inside:
        server.answer(Answer(status, b"", {"Location": f"{inside.url}/x"}))
        receipt = deliver(kind.format(server.address), secret=SECRET)
        assert receipt.error == (
            f"{webhook_server(kind, server)} redirects elsewhere, which is not followed"
            f" (HTTP {status})"
        )
        assert inside.connections == 0


def webhook_server(kind: str, server: ChannelServer) -> str:
    return f"http://{server.address}" if kind.startswith("webhook") else server.address


def test_proxies_and_netrc_of_this_machine_are_not_used(
    deliver: Deliver, server: ChannelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    with raw(lambda *_: None) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert deliver(f"webhook:http://{server.address}/x", secret=SECRET).error is None
        assert proxy.connections == 0
    assert "authorization" not in server.take(1)[0].headers


@pytest.mark.parametrize(("kind", "status"), [(KINDS[0], 500), (KINDS[1], 500), (KINDS[1], 200)])
def test_no_more_than_a_mebibyte_is_read(
    deliver: Deliver, server: ChannelServer, kind: str, status: int
) -> None:
    server.answer(Answer(status, b"x" * 2_000_000))
    receipt = deliver(kind.format(server.address), secret=SECRET)
    assert receipt.error and "answers too much" in receipt.error


def test_what_a_webhook_says_when_it_accepts_is_not_read(
    deliver: Deliver, server: ChannelServer
) -> None:
    server.answer(Answer(200, b"x" * 2_000_000))
    assert deliver(KINDS[0].format(server.address), secret=SECRET).error is None


def test_what_is_compressed_is_not_unpacked(deliver: Deliver, server: ChannelServer) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, 1)
    server.answer(Answer(500, bomb, {"Content-Encoding": "gzip"}))
    started = monotonic()
    assert deliver(f"ntfy://{server.address}/t").error
    assert monotonic() - started < 5


def greeting_without_end(server: RawServer, connection: socket.socket) -> None:
    while not server.stopped.is_set():
        connection.sendall(b"220-x\r\n" * 1_000)


def test_a_mail_server_is_read_no_further_either(deliver: Deliver) -> None:
    with raw(greeting_without_end) as server:
        text = KINDS[2].format(f"127.0.0.1:{server.port}")
        receipt = deliver(text)
    assert receipt.error and "answers too much" in receipt.error


def hang(server: RawServer, connection: socket.socket) -> None:
    server.stopped.wait(30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "handler", [hang, drip(HEAD, b"x" * 10_000), drip(b"2", b"2" * 10_000)],
    ids=["hangs", "drips its body", "drips its head"],
)  # fmt: skip
def test_a_delivery_ends_in_time(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch, kind: str, handler: Handler
) -> None:
    monkeypatch.setattr(processes, "DELIVERY_S", 1.0)
    with raw(handler) as server:
        started = monotonic()
        receipt = deliver(kind.format(f"127.0.0.1:{server.port}"), secret=SECRET)
        assert receipt.error is not None and monotonic() - started < 5
        assert "took longer than" in receipt.error or "did not accept" in receipt.error


def test_after_one_that_hangs_the_next_is_sent(
    deliver: Deliver, server: ChannelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "DELIVERY_S", 0.5)
    with raw(hang) as other:
        assert deliver(f"ntfy://127.0.0.1:{other.port}/t").error
    assert deliver(f"ntfy://{server.address}/t").error is None


@pytest.mark.parametrize(
    "deed",
    [
        lambda: open("/etc/passwd"),
        lambda: open("/etc/mangahub/mangahub.env"),
        lambda: open("/etc/ssl/../passwd"),
        lambda: open("/tmp/x", "w"),
        lambda: __import__("os").system("true"),
        lambda: __import__("subprocess").run(["true"]),
        lambda: __import__("os").fork(),
        lambda: socket.socket(socket.AF_UNIX).connect("/run/x"),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.socket().connect(("localhost", 9)),
    ],
    ids=["file", "settings", "file by detour", "write", "shell", "program", "fork", "unix socket",
         "datagram", "connection", "connection by name"],
)  # fmt: skip
def test_a_library_can_do_nothing_but_send(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]
) -> None:
    def send(*_: Any) -> bool:
        try:
            deed()
        except OSError as exc:
            assert type(exc).__name__ == "NotAllowed"
            raise failures.Unsendable(f"stopped: {exc}") from exc
        return True

    monkeypatch.setattr(webhooks, "send", send)
    receipt = deliver("webhook:https://host.example/", policy=PUBLIC)
    assert receipt.error and receipt.error.startswith("stopped: ")


def test_a_process_that_dies_is_a_failure_and_the_next_one_is_started(
    deliver: Deliver, server: ChannelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = webhooks.send
    died = threading.Event()

    def send(*arguments: Any) -> bool:
        return before(*arguments) if died.is_set() else __import__("os")._exit(9)

    monkeypatch.setattr(webhooks, "send", send)
    text = f"webhook:http://{server.address}/x"
    assert deliver(text, secret=SECRET).error == "the sending process was killed"
    died.set()
    assert deliver(text, secret=SECRET).error is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("webhook:http://127.0.0.1:1/x", "nothing listens at http://127.0.0.1:1"),
        ("ntfy://127.0.0.1:1/x", "nothing listens at 127.0.0.1:1"),
        (KINDS[2].format("127.0.0.1:1"), "nothing listens at 127.0.0.1:1"),
        ("webhook:https://no-such-name.invalid/x", "the name of https://no-such-name.invalid is"),
        (KINDS[2].format("no-such-name.invalid"), "the name of no-such-name.invalid is unknown"),
        ("tgram://1/2", "Apprise cannot read the address"),
    ],
)
def test_why_it_cannot_be_reached_is_said_in_plain_words(
    deliver: Deliver, text: str, message: str
) -> None:
    error = deliver(text, secret=SECRET).error
    assert error and message in error


def test_a_certificate_that_is_not_valid_is_named(deliver: Deliver, server: ChannelServer) -> None:
    error = deliver(f"webhook:https://{server.address}/x", secret=SECRET).error
    assert error and "no valid certificate" in error


@pytest.mark.parametrize(
    "error",
    [requests.exceptions.InvalidURL("s3cret"), ValueError("s3cret"), KeyError("s3cret"),
     UnicodeError("s3cret"), requests.exceptions.ConnectionError("s3cret")],
    ids=repr,
)  # fmt: skip
def test_what_a_library_says_is_not_repeated(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def send(*_: Any) -> bool:
        raise error

    monkeypatch.setattr(webhooks, "send", send)
    receipt = deliver("webhook:https://host.example/s3cret", secret=SECRET)
    assert receipt.error and "s3cret" not in receipt.error


def test_what_settings_do_not_allow_any_more_is_not_sent(
    deliver: Deliver, server: ChannelServer
) -> None:
    text = f"ntfy://{server.address}/t"
    off = deliver(text, policy=Policy((), True)).error
    assert off and "switched off" in off
    inside = deliver(text, policy=PUBLIC).error
    assert inside and "127.0.0.1 is a private address" in inside
    assert server.requests == []
