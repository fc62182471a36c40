"""Log lines on stderr: text for people and the journal, or one JSON object a line.

Text is a fixed sentence followed by `key=value` pairs. Under systemd (which sets JOURNAL_STREAM)
a line starts with its priority, `<6>` for INFO, see sd-daemon(3); the journal removes it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime

from mangahub.command_line import printable

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS = ("text", "json")


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00Z INFO batch.cli: sentence key=value`; in the journal without time."""

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITY.get(record.levelno, 5)}>" if self._journal else ""
        # Each line of a traceback is an entry of the journal and needs the priority.
        trace = "".join(f"\n{prefix}    {printable(line)}" for line in _trace(self, record))
        text = printable(record.getMessage()) + trace
        start = prefix if self._journal else f"{_utc(record):%Y-%m-%dT%H:%M:%SZ} "
        return f"{start}{record.levelname} {record.name}: {text}"


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `message`, and `process`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _utc(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": "\n".join([record.getMessage(), *_trace(self, record)]),
            "process": record.process,
        }
        # Escaped, so that it is valid JSON in any encoding of stderr.
        return json.dumps(entry)


def _utc(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return formatter.formatException(record.exc_info).split("\n") if record.exc_info else []


def configure(log_format: str = "text", level: str = "INFO") -> logging.Handler:
    """Send every record of this process to stderr; replace what was configured before."""
    handler = logging.StreamHandler(sys.stderr)
    journal = "JOURNAL_STREAM" in os.environ
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(journal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # One INFO line per page is wanted, not one per pooled connection.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    return handler
