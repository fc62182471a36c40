"""What all command lines share: reading arguments, and safe output."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; with `--json` a usage error is also an object on stdout.

    Raises:
        SystemExit: the arguments are wrong (2), or help was asked for (0).
    """
    given = sys.argv[1:] if argv is None else argv
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            return parser.parse_args(given)
    except SystemExit as exc:
        sys.stderr.write(printable(errors.getvalue(), keep="\n"))
        if exc.code and "--json" in given:
            line = errors.getvalue().rstrip().rpartition("\n")[2]
            write(json.dumps({"status": "error", "error": line, "exit_code": exc.code}))
        raise


def printable(text: str, keep: str = "") -> str:
    """Return the text with escapes for what is not printable, but for the characters of `keep`.

    Names come from outside: a line break in one must not start a row, and no control character or
    change of direction (U+202E) may reach a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def write(*lines: str) -> str | None:
    """Print lines to stdout and flush; a reader that has gone, as in `status | head`, is no error.

    Control characters, a line break within a line, and characters that the terminal's encoding
    lacks, are printed as escapes.

    Returns:
        the reason, in one line, if the text cannot be written; else None.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print("\n".join(printable(line, keep="\t") for line in lines), flush=True)
    except OSError as exc:
        # The rest of the buffer would fail again when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(exc, BrokenPipeError):
            return f"the output cannot be written: {exc.strerror}"
    return None


def write_notice(program: str, reason: object) -> None:
    """Print `program: reason` to stderr, on one line."""
    print(printable(f"{program}: {reason}"), file=sys.stderr)


def plain_text(text: str) -> str:
    """Return an argument that a database can store.

    Raises:
        ArgumentTypeError: it is blank, or not UTF-8.
    """
    # Bytes that are not UTF-8 arrive as halves of surrogate pairs.
    if not text.strip() or any("\ud800" <= c <= "\udfff" for c in text):
        raise argparse.ArgumentTypeError("must be UTF-8 and not empty")
    return text
