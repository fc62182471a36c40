"""Makes docs/quickstart.svg, the README's picture, from a real run of the tour at the stand-in.

python scripts/picture.py
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 112
SHOWN_DATA = "~/.local/share/mangahub"


def record() -> str:
    """Return what the tour writes to a terminal."""
    # As long as the text it replaces, so that columns stay aligned.
    with tempfile.TemporaryDirectory(prefix="mangahub-t", dir="/tmp") as data:
        os.chmod(data, 0o755)
        ours, theirs = pty.openpty()
        tour = subprocess.Popen(
            [sys.executable, "-m", "scripts.quickstart", "--offline", "--no-wait"],
            cwd=ROOT,
            env={**os.environ, "MANGAHUB_DATA": data, "COLUMNS": str(WIDTH), "TERM": "xterm"},
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        text = read_all(ours)
        assert tour.wait() == 0, text
        return text.replace(data, SHOWN_DATA)


def read_all(handle: int) -> str:
    parts = []
    try:
        while part := os.read(handle, 65536):
            parts.append(part)
    except OSError:  # the other end is closed: how a pty says so
        pass
    return b"".join(parts).decode()


def last_state(text: str) -> str:
    """Return the lines as they stand at the end: of a bar that was drawn often, the last state."""
    kept = []
    for line in text.replace("\r\n", "\n").split("\n"):
        final = re.split(r"\x1b\[2K|\r", line)[-1]
        final = re.sub(r"\x1b\[\?25[lh]|\x1b\[\d*A", "", final)
        is_redrawn = "\x1b[1A" in line
        if not is_redrawn and "Recent chapters" not in final:
            kept.append(final)
    return "\n".join(kept).strip("\n")


def draw(text: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ ./scripts/quickstart.sh --offline", style="bold"))
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="mangahub-sync", theme=MONOKAI)
    # No fonts are loaded: the viewer's own monospaced one is used.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, DejaVu Sans Mono, monospace")


def main() -> None:
    argparse.ArgumentParser(description="Redraw docs/quickstart.svg.").parse_args()
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs/quickstart.svg").write_text(draw(last_state(record())), encoding="utf-8")


if __name__ == "__main__":
    main()
