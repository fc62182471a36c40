"""What the newcomer sees: colours on a terminal, plain lines elsewhere and with NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_PLAIN_WIDTH = 100
_TABLE_WIDTH = 96
_INDENT = 4


class Column(NamedTuple):
    """Its name, and its width: fixed, or a share of what the fixed ones leave."""

    name: str
    width: int | None = None
    share: int | None = None


class Screen:
    """Everything goes to stdout."""

    def __init__(self) -> None:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        self.is_plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
        self._console = Console(
            no_color=self.is_plain,
            force_terminal=False if self.is_plain else None,
            width=_PLAIN_WIDTH if self.is_plain else None,
            highlight=False,
        )

    def step(self, text: str) -> None:
        """What is done now."""
        self._print(Text.assemble(("==> ", "bold blue"), (text, "bold")))

    def command(self, text: str) -> None:
        """What a person would type for it."""
        self._print(Text(f"    $ {text}", style="cyan"))

    def fact(self, text: str) -> None:
        """What came of it."""
        self._print(Text(f"    {text}"))

    def heard(self, text: str) -> None:
        """What a listener printed: what the whole tour leads to."""
        self._print(Text.assemble("    ", (text, "bold green")))

    def loud(self, text: str) -> None:
        """One line that nobody overlooks."""
        self._print(Text(f"!!! {text}", style="bold black on yellow"))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str | None]]) -> None:
        table = Table(
            box=None if self.is_plain else box.ROUNDED,
            pad_edge=not self.is_plain,
            width=min(self._console.width - _INDENT, _TABLE_WIDTH),
        )
        for column in columns:
            table.add_column(
                column.name,
                width=column.width,
                ratio=column.share,
                no_wrap=True,
                overflow="ellipsis",
            )
        for row in rows:
            table.add_row(*(Text(cell or "–") for cell in row))
        self._console.print(Padding(table, (0, 0, 0, _INDENT)))

    def next_steps(self, steps: Sequence[tuple[str, str]]) -> None:
        """Commands and what each is for, ready to be copied."""
        width = max(len(command) for command, _ in steps)
        for command, purpose in steps:
            line = Text.assemble("    ", (command.ljust(width), "cyan"), (f"  # {purpose}", "dim"))
            self._print(line)

    def _print(self, text: Text) -> None:
        # A line is never cut or folded: commands are there to be copied.
        self._console.print(text, soft_wrap=True)
