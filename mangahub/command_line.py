"""What every command line does alike: read its arguments, and print what it has to say."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """As `parse_args`; with `--json` a usage error is an object on stdout, too.

    Raises:
        SystemExit: the arguments are wrong (2), or help was asked for (0).
    """
    given = sys.argv[1:] if argv is None else argv
    words = io.StringIO()
    try:
        with redirect_stderr(words):
            return parser.parse_args(given)
    except SystemExit as exc:
        sys.stderr.write(words.getvalue())
        if exc.code and "--json" in given:
            line = words.getvalue().rstrip().rpartition("\n")[2]
            write(json.dumps({"status": "error", "error": line, "exit_code": exc.code}))
        raise


def write(text: str) -> str | None:
    """Prints to stdout at once; a reader that has gone, as in `status | head`, is no failure.

    Returns:
        why it could not be printed, in one line; None where it was.
    """
    try:
        print(text, flush=True)
    except OSError as exc:
        # What is left in the buffer would fail once more at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(exc, BrokenPipeError):
            return f"the output cannot be written: {exc.strerror}"
    return None
