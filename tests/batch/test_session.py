"""The HTTP session against real servers, good and bad: one paced request a call, bounded."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batch import session as module
from batch.errors import SourceTrouble, Stopped
from batch.session import Session
from mangadex_sim import Simulator
from tests.batch.raw_server import BODY, OK, Handler, RawServer, answering, answering_once


class Departures:
    """Counts what leaves, as the gate does."""

    def __init__(self) -> None:
        self.count = 0
        self.before: Callable[[], None] = lambda: None

    @contextmanager
    def departure(self) -> Iterator[None]:
        self.before()
        self.count += 1
        yield


@pytest.fixture
def departures() -> Departures:
    return Departures()


@pytest.fixture
def open_session(
    serve: object, departures: Departures, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Session]]:
    """`open_session(url, key=None)`; no proxy of this machine's counts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    sessions: list[Session] = []

    def start(url: str, key: str | None = None) -> Session:
        sessions.append(Session(url, key, departures))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


# --- what is sent ------------------------------------------------------------------------------


def test_a_request_says_who_asks_and_nothing_that_the_source_forbids(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(OK))
    answer = open_session(server.url).get("/manga", [("ids[]", "a b"), ("ids[]", "c")])
    assert (answer.status, answer.body, answer.is_json) == (200, BODY, True)
    assert answer.asked == "GET /manga?ids[]=a b&ids[]=c"
    [request] = server.requests
    assert request.startswith(b"GET /manga?ids%5B%5D=a+b&ids%5B%5D=c HTTP/1.1\r\n")
    headers = headers_of(request)
    assert headers["user-agent"] == f"mangahub-sync/{module.__version__}"
    assert headers["accept"] == "application/json"
    assert not {"via", "cookie", "authorization", "if-none-match"} & set(headers)
    assert b"Mozilla" not in request


def test_a_key_is_sent_as_a_bearer_token(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(OK))
    open_session(server.url, "s3cret").get("/manga", [])
    assert headers_of(server.requests[0])["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(("key", "sent"), [("s3cret", "Bearer s3cret"), (None, None)])
def test_credentials_in_netrc_are_not_ours_to_send(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    key: str | None,
    sent: str | None,
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(answering(OK))
    open_session(server.url, key).get("/manga", [])
    assert headers_of(server.requests[0]).get("authorization") == sent


@pytest.mark.parametrize("prefix", ["", "/api/v5"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_source_may_be_any_address_and_lie_below_a_path(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], host: str, prefix: str
) -> None:
    server = serve(answering(OK), host)
    assert open_session(server.url + prefix).get("/manga", []).status == 200
    assert server.requests[0].startswith(f"GET {prefix}/manga HTTP/1.1".encode())


def test_a_long_list_of_ids_does_not_make_a_long_message(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(OK))
    answer = open_session(server.url).get("/manga", [("ids[]", "x" * 36)] * 100)
    assert len(answer.asked) == 301
    assert server.requests[0].count(b"ids%5B%5D") == 100


# --- connections -------------------------------------------------------------------------------


def test_one_connection_serves_many_requests_each_with_its_departure(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    server = serve(answering(OK))
    session = open_session(server.url)
    for _ in range(5):
        session.get("/manga", [])
    assert (server.connections, len(server.requests), departures.count) == (1, 5, 5)


def test_a_connection_stands_before_its_request_waits_for_the_slot(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    connected = threading.Event()

    def handle(server: RawServer, connection: socket.socket) -> None:
        connected.set()
        answering(OK)(server, connection)

    departures.before = lambda: pytest.fail("not connected") if not connected.wait(5) else None
    server = serve(handle)
    assert open_session(server.url).get("/manga", []).status == 200


def test_a_connection_that_the_server_has_closed_is_replaced_without_a_failure(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    server = serve(answering_once(OK))
    session = open_session(server.url)
    for number in (1, 2, 3):
        assert session.get("/manga", []).status == 200
        assert (server.connections, departures.count) == (number, number)


def test_a_redirect_is_an_answer_and_no_second_request(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    server = serve(answering(moved))
    answer = open_session(server.url).get("/manga", [])
    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
    assert (len(server.requests), departures.count) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", 404),
        (b"HTTP/1.1 500 Oh no\r\nContent-Length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n%s\r\n0\r\n\r\n" % BODY, 200),
    ],
    ids=["204", "404", "500", "chunked"],
)
def test_whatever_the_status_the_answer_is_handed_back_and_the_connection_kept(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    answer: bytes,
    status: int,
) -> None:
    server = serve(answering(answer, OK))
    session = open_session(server.url)
    assert session.get("/manga", []).status == status
    assert session.get("/manga", []).body == BODY
    assert server.connections == 1


def test_being_stopped_before_the_slot_sends_nothing(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    def stop() -> None:
        raise Stopped(15)

    departures.before = stop
    server = serve(answering(OK))
    with pytest.raises(Stopped):
        open_session(server.url).get("/manga", [])
    assert server.requests == []


# --- servers in trouble ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["cut", "close", "reset"])
def test_a_broken_answer_is_trouble_of_one_request(
    simulator: Callable[..., Simulator],
    open_session: Callable[..., Session],
    departures: Departures,
    mode: str,
) -> None:
    sim = simulator(titles=30, rate=0)
    session = open_session(sim.url)
    assert session.get("/manga", []).status == 200
    sim.fail(mode)
    with pytest.raises(SourceTrouble) as caught:
        session.get("/manga", [("limit", "30")])
    assert str(caught.value).startswith("GET /manga?limit=30 failed: ")
    assert str(caught.value).isprintable()
    assert session.get("/manga", []).status == 200
    assert (departures.count, sim.stats()["total"]) == (3, 3)


def test_a_closed_session_has_no_connection_left_whoever_remembers_its_errors(
    simulator: Callable[..., Simulator], open_session: Callable[..., Session]
) -> None:
    sim = simulator(titles=1, rate=0)
    session = open_session(sim.url)
    sim.fail("cut")
    with pytest.raises(SourceTrouble) as remembered:
        session.get("/manga", [])
    before = len(os.listdir("/proc/self/fd"))
    session.get("/manga", [])
    session.close()
    deadline_s = time.monotonic() + 5  # the server's end is closed a moment later
    while len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline_s
    assert remembered.value.__cause__ is not None


def test_an_endless_answer_is_cut_off(
    simulator: Callable[..., Simulator], open_session: Callable[..., Session]
) -> None:
    sim = simulator(titles=1, rate=0)
    sim.fail("huge")
    with pytest.raises(SourceTrouble, match="more than 32 MiB"):
        open_session(sim.url).get("/manga", [])


def drip(*parts: bytes) -> Handler:
    """Sends the first part at once, and of the second a byte now and then."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(parts[0])
        for start in range(len(parts[1])):
            if server.stopped.wait(0.02):
                return
            connection.sendall(parts[1][start : start + 1])

    return handle


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(drip(b"", HEAD * 1_000), id="head"),
        pytest.param(drip(HEAD + b"Content-Length: 90000\r\n\r\n", b" " * 90_000), id="body"),
        pytest.param(drip(HEAD + b"\r\n", b" " * 90_000), id="body-without-length"),
        pytest.param(
            drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 9_000), id="chunks"
        ),
        pytest.param(
            drip(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 90_000), id="gzip"
        ),
        pytest.param(drip(HEAD + b"Content-Length: 9\r\n\r\n", b""), id="cut-at-once"),
        pytest.param(lambda server, _: server.stopped.wait(10), id="silence"),
    ],
)
def test_no_server_can_hold_a_caller_for_longer_than_the_timeout(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
    handler: Handler,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.4)
    server = serve(handler)
    began_s = time.monotonic()
    with pytest.raises(SourceTrouble) as caught:
        open_session(server.url).get("/manga", [])
    assert time.monotonic() - began_s < 2
    assert str(caught.value).isprintable()


def test_a_slow_answer_that_comes_in_time_is_read(
    simulator: Callable[..., Simulator], open_session: Callable[..., Session]
) -> None:
    sim = simulator(titles=5, rate=0)
    sim.fail("drip", seconds=0.3)
    session = open_session(sim.url)
    assert len(session.get("/manga", []).body) > 1_000
    assert session.get("/manga", []).status == 200


def gzipped(body: bytes, encoding: bytes = b"gzip") -> bytes:
    head = b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    return HEAD + head + body


BOMB = gzip.compress(bytes(256 * 1024 * 1024), compresslevel=1)


def test_a_compressed_answer_is_read(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(gzipped(gzip.compress(BODY))))
    assert open_session(server.url).get("/manga", []).body == BODY
    assert "gzip" in headers_of(server.requests[0])["accept-encoding"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(gzipped(BOMB), id="once"),
        pytest.param(gzipped(gzip.compress(BOMB), b"gzip, gzip"), id="twice"),
    ],
)
def test_what_unpacks_to_more_than_fits_is_cut_off_and_never_held_in_memory(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], answer: bytes
) -> None:
    server = serve(answering(answer))
    session = open_session(server.url)
    tracemalloc.start()
    try:
        with pytest.raises(SourceTrouble, match="more than 32 MiB"):
            session.get("/manga", [])
        assert tracemalloc.get_traced_memory()[1] < 160 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(gzipped(b"no gzip at all"), id="not-compressed"),
        pytest.param(gzipped(gzip.compress(b"x" * 1_000)[:20])[:-4], id="compressed-and-cut"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00" * 9, id="no-http"),
        pytest.param(b"HTTP/1.1 999999 No\r\n\r\n", id="impossible-status"),
        pytest.param(HEAD + b"X: y\r\n" * 1_000 + b"\r\n", id="headers-without-end"),
        pytest.param(HEAD + b"X: " + b"y" * 200_000 + b"\r\n\r\n", id="header-without-end"),
        pytest.param(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two-lengths"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="no-chunk-size"),
    ],
)
def test_nonsense_is_trouble_in_one_line(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], answer: bytes
) -> None:
    server = serve(answering_once(answer))
    with pytest.raises(SourceTrouble) as caught:
        open_session(server.url).get("/manga", [])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:9", id="nobody-listens"),
        pytest.param("http://a..b", id="empty-label"),
        pytest.param(f"http://{'a' * 70}.example", id="label-too-long"),
    ],
)
def test_a_server_that_is_not_there_is_trouble_in_one_line(
    open_session: Callable[..., Session], departures: Departures, url: str
) -> None:
    with pytest.raises(SourceTrouble) as caught:
        open_session(url).get("/manga", [])
    assert str(caught.value).startswith("GET /manga failed: ")
    assert str(caught.value).isprintable()
    assert departures.count == 0


def test_a_message_tells_the_innermost_reason(open_session: Callable[..., Session]) -> None:
    with pytest.raises(SourceTrouble) as caught:
        open_session("http://127.0.0.1:9").get("/manga", [])
    assert "Connection refused" in str(caught.value)
    assert "HTTPConnectionPool" not in str(caught.value)


# --- proxies and TLS ---------------------------------------------------------------------------


def test_a_request_through_a_proxy_waits_for_its_slot_too(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    departures: Departures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = serve(answering(OK))
    monkeypatch.setenv("http_proxy", proxy.url)
    assert open_session("http://api.example").get("/manga", []).status == 200
    [request] = proxy.requests
    assert request.startswith(b"GET http://api.example/manga HTTP/1.1\r\n")
    assert "via" not in headers_of(request)
    assert departures.count == 1


def test_a_proxy_of_a_kind_that_cannot_be_paced_is_refused(
    open_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(SourceTrouble, match="a SOCKS proxy cannot be used"):
        open_session("http://api.example").get("/manga", [])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate of its own for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def over_tls(certificate: Path, inner: Handler) -> Handler:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            inner(server, wrapped)

    return handle


def tunnelling(inner: Handler) -> Handler:
    """A proxy that is the target itself behind CONNECT."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        if server.read(connection):
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            inner(server, connection)

    return handle


def test_a_request_over_tls_is_paced_and_bounded(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    departures: Departures,
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    def good_then_slow(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(OK)
        drip(HEAD + b"Content-Length: 90000\r\n\r\n", b" " * 90_000)(server, connection)

    server = serve(over_tls(certificate, good_then_slow))
    session = open_session(f"https://127.0.0.1:{server.port}")
    assert session.get("/manga", []).body == BODY
    monkeypatch.setattr(module, "TIMEOUT_S", 0.4)
    with pytest.raises(SourceTrouble):
        session.get("/manga", [])
    assert departures.count == 2


def test_a_request_through_a_tunnel_is_paced(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    departures: Departures,
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    proxy = serve(tunnelling(over_tls(certificate, answering(OK))))
    monkeypatch.setenv("https_proxy", proxy.url)
    session = open_session("https://127.0.0.1:1")
    for _ in range(2):
        assert session.get("/manga", []).status == 200
    assert [request.split()[0] for request in proxy.requests] == [b"CONNECT", b"GET", b"GET"]
    assert departures.count == 2


def test_an_unknown_certificate_is_trouble(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], certificate: Path
) -> None:
    server = serve(over_tls(certificate, answering(OK)))
    with pytest.raises(SourceTrouble, match="certificate verify failed"):
        open_session(f"https://127.0.0.1:{server.port}").get("/manga", [])
    assert server.requests == []
