"""The HTTP session through proxies and TLS."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.errors import TransientError
from batch.mangadex import http as module
from batch.mangadex.http import Session
from tests.support.raw_server import (
    BODY,
    HEAD,
    OK,
    Departures,
    Handler,
    RawServer,
    answering,
    drip,
    headers_of,
)


def test_a_request_through_a_proxy_waits_for_its_departure_too(
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
    with pytest.raises(TransientError, match="a SOCKS proxy cannot be used"):
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
    with pytest.raises(TransientError):
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


def test_an_unknown_certificate_is_an_error(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], certificate: Path
) -> None:
    server = serve(over_tls(certificate, answering(OK)))
    with pytest.raises(TransientError, match="certificate verify failed"):
        open_session(f"https://127.0.0.1:{server.port}").get("/manga", [])
    assert server.requests == []
