"""The HTTP session against servers that hold, break or flood a caller: bounded in time and size."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc
from collections.abc import Callable

import pytest

from batch.errors import TransientError
from batch.mangadex import http as module
from batch.mangadex.http import Session
from mangadex_sim import Simulator
from tests.support.raw_server import (
    BODY,
    HEAD,
    Departures,
    Handler,
    RawServer,
    answering,
    answering_once,
    drip,
    headers_of,
)
from tests.support.waiting import wait_until


@pytest.mark.parametrize("mode", ["cut", "close", "reset"])
def test_a_broken_answer_is_an_error_of_one_request(
    simulator: Callable[..., Simulator],
    open_session: Callable[..., Session],
    departures: Departures,
    mode: str,
) -> None:
    sim = simulator(titles=30, rate=0)
    session = open_session(sim.url)
    assert session.get("/manga", []).status == 200
    sim.fail(mode)
    with pytest.raises(TransientError) as caught:
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
    with pytest.raises(TransientError) as remembered:
        session.get("/manga", [])
    before = len(os.listdir("/proc/self/fd"))
    session.get("/manga", [])
    session.close()
    # The server's end is closed a moment later.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    assert remembered.value.__cause__ is not None


def test_an_endless_answer_is_cut_off(
    simulator: Callable[..., Simulator], open_session: Callable[..., Session]
) -> None:
    sim = simulator(titles=1, rate=0)
    sim.fail("huge")
    with pytest.raises(TransientError, match="more than 32 MiB"):
        open_session(sim.url).get("/manga", [])


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
    with pytest.raises(TransientError) as caught:
        open_session(server.url).get("/manga", [])
    assert time.monotonic() - began_s < 8
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
        with pytest.raises(TransientError, match="more than 32 MiB"):
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
def test_nonsense_is_an_error_in_one_line(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], answer: bytes
) -> None:
    server = serve(answering_once(answer))
    with pytest.raises(TransientError) as caught:
        open_session(server.url).get("/manga", [])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:9", id="nothing-listens"),
        pytest.param("http://a..b", id="empty-label"),
        pytest.param(f"http://{'a' * 70}.example", id="label-too-long"),
    ],
)
def test_an_unreachable_server_is_an_error_in_one_line(
    open_session: Callable[..., Session], departures: Departures, url: str
) -> None:
    with pytest.raises(TransientError) as caught:
        open_session(url).get("/manga", [])
    assert str(caught.value).startswith("GET /manga failed: ")
    assert str(caught.value).isprintable()
    assert departures.count == 0


def test_a_message_tells_the_innermost_reason(open_session: Callable[..., Session]) -> None:
    with pytest.raises(TransientError) as caught:
        open_session("http://127.0.0.1:9").get("/manga", [])
    assert "Connection refused" in str(caught.value)
    assert "HTTPConnectionPool" not in str(caught.value)
