"""What the tour prints: in colour on a terminal, plain lines elsewhere and with NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
_is_plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
_console = Console(
    no_color=_is_plain,
    force_terminal=False if _is_plain else None,
    width=100 if _is_plain else None,
    highlight=False,
)


def step(text: str) -> None:
    """Print what is done now."""
    _print(Text.assemble(("==> ", "bold blue"), (text, "bold")))


def command(text: str) -> None:
    """Print what a person would type for it."""
    _print(Text(f"    $ {text}", style="cyan"))


def result(text: str, style: str = "") -> None:
    """Print what came of it."""
    _print(Text.assemble("    ", (text, style)))


def warning(text: str) -> None:
    """Print a line that stands out."""
    _print(Text(f"!!! {text}", style="bold black on yellow"))


def table(columns: Mapping[str, int], rows: Iterable[Sequence[str | None]]) -> None:
    """Print rows below the names of the columns, which have these shares of the width."""
    shown = Table(box=None, width=min(_console.width - 4, 96))
    for name, share in columns.items():
        shown.add_column(name, ratio=share, no_wrap=True, overflow="ellipsis")
    for row in rows:
        shown.add_row(*(Text(cell or "–") for cell in row))
    _console.print(Padding(shown, (0, 0, 0, 3)))


def next_steps(steps: Sequence[tuple[str, str]]) -> None:
    """Print commands and what each is for, ready to be copied."""
    width = max(len(typed) for typed, _ in steps)
    for typed, purpose in steps:
        _print(Text.assemble("    ", (typed.ljust(width), "cyan"), (f"  # {purpose}", "dim")))


def _print(text: Text) -> None:
    _console.print(text, soft_wrap=True)  # never cut or folded: commands are there to be copied
