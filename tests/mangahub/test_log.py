"""Log lines: one a record, whatever it says."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from mangahub import log

NASTY = "two\nlines\r\x1b[31m red \x00 \u2028 塩 \ud83d 'quoted' \"twice\""


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """Give pytest its own handlers back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def replace_stderr(monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> io.BytesIO:
    """What reaches stderr from now on, as bytes; pytest replaces it too, between two fixtures."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, encoding, errors="backslashreplace", write_through=True)
    monkeypatch.setattr(sys, "stderr", text)
    return raw


def lines(raw: io.BytesIO) -> list[str]:
    return raw.getvalue().decode().split("\n")[:-1]


def test_a_text_line_tells_time_level_logger_and_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = replace_stderr(monkeypatch)
    log.configure()
    logging.getLogger("batch.x").info("Page stored page=%d", 3)
    [line] = lines(stderr)
    moment, _, rest = line.partition(" ")
    assert datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")
    assert rest == "INFO batch.x: Page stored page=3"


def test_a_message_from_outside_stays_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = replace_stderr(monkeypatch)
    log.configure()
    logging.getLogger("batch").warning("The source said: %s", NASTY)
    [line] = lines(stderr)
    assert line.isprintable()
    assert r"two\nlines\r\x1b[31m red \x00 \u2028 塩 \ud83d" in line


def test_in_the_journal_every_line_has_its_priority_and_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = replace_stderr(monkeypatch)
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    log.configure("text", "DEBUG")
    logger = logging.getLogger("batch")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, "x")
    assert [line[:3] for line in lines(stderr)] == ["<7>", "<6>", "<4>", "<3>", "<5>"]
    stderr.truncate(0)
    fail_with_traceback(logger)
    assert len(lines(stderr)) > 3
    assert all(line.lstrip("\0").startswith("<3>") for line in lines(stderr))


def fail_with_traceback(logger: logging.Logger) -> None:
    try:
        raise ValueError(NASTY)
    except ValueError:
        logger.exception("A task failed")


def test_a_traceback_is_indented_below_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = replace_stderr(monkeypatch)
    log.configure()
    fail_with_traceback(logging.getLogger("batch"))
    first, *rest = lines(stderr)
    assert first.endswith("ERROR batch: A task failed")
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_json_line_is_one_object_whatever_it_says_and_however_stderr_is_encoded(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    raw = replace_stderr(monkeypatch, encoding)
    log.configure("json", "DEBUG")
    logging.getLogger("batch.x").debug("Said: %s é", NASTY)
    fail_with_traceback(logging.getLogger("batch"))
    first, second = (json.loads(line) for line in lines(raw))
    assert first["message"] == f"Said: {NASTY} é"
    assert (first["level"], first["logger"]) == ("DEBUG", "batch.x")
    assert datetime.fromisoformat(first["time"]).utcoffset() is not None
    assert isinstance(first["process"], int)
    assert second["message"].startswith("A task failed\nTraceback")


def test_lines_below_the_level_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = replace_stderr(monkeypatch)
    log.configure("text", "WARNING")
    logging.getLogger("batch").info("quiet")
    logging.getLogger("batch").warning("loud")
    assert [line.split(": ")[1] for line in lines(stderr)] == ["loud"]


def test_the_http_library_says_no_line_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = replace_stderr(monkeypatch)
    log.configure("text", "DEBUG")
    logging.getLogger("urllib3.connectionpool").debug("Starting new HTTP connection")
    assert lines(stderr) == []


def test_configuring_again_replaces_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = replace_stderr(monkeypatch)
    log.configure()
    log.configure("json")
    logging.getLogger("batch").info("once")
    [line] = lines(stderr)
    assert json.loads(line)["message"] == "once"
