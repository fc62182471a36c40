"""What an import did, as text and as JSON: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from readers.lists.entries.entry import Entry
from readers.lists.matching import Match

_MOST_LINES = 200  # of a kind, on a terminal; the page and --json have all


@dataclass(frozen=True, slots=True)
class ReportedEntry:
    """An entry, what it was found to be, and whether its title came into the library."""

    entry: Entry
    match: Match
    is_added: bool = False

    @property
    def title(self) -> str:
        return self.entry.title or self.match.title or self.entry.key

    @property
    def why(self) -> str:
        return "; ".join(filter(None, (self.match.why, self.entry.note)))


@dataclass(frozen=True, slots=True)
class Report:
    """What became of each entry of a list.

    Attributes:
        ignored: how many items were no entries, by the reason.
    """

    format: str
    is_dry_run: bool
    entries: list[ReportedEntry]
    ignored: Mapping[str, int] = field(default_factory=dict)

    def of(self, state: str) -> list[ReportedEntry]:
        return [each for each in self.entries if each.match.state == state]

    @property
    def counts(self) -> dict[str, int]:
        """The counts of CONTRACT's JSON, in its order."""
        states = Counter(each.match.state for each in self.entries)
        added = sum(each.is_added for each in self.entries)
        return {
            "matched": states["matched"],
            "added": added,
            "already_there": states["matched"] - added,
            "wanted": states["wanted"],
            "doubtful": states["doubtful"],
            "unmatched": states["unmatched"],
            "ignored": sum(self.ignored.values()),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "dry_run": self.is_dry_run,
            **self.counts,
            "ignored_why": dict(self.ignored),
            "entries": [_entry_json(each) for each in self.entries],
        }

    def as_lines(self) -> list[str]:
        """Return a table of counts, then what is doubtful, then what was not found."""
        lines = [f"{name.replace('_', ' ')}\t{count:,}" for name, count in self.counts.items()]
        lines += [f"ignored: {why}\t{count:,}" for why, count in self.ignored.items()]
        for state in ("doubtful", "unmatched"):
            found = self.of(state)
            lines += [f"{state}\t{_described(each)}" for each in found[:_MOST_LINES]]
            if len(found) > _MOST_LINES:
                lines.append(f"{state}\tand {len(found) - _MOST_LINES:,} more")
        noted = [each for each in self.of("matched") if each.entry.note]
        lines += [f"note\t{each.title}: {each.entry.note}" for each in noted[:_MOST_LINES]]
        return lines


def _described(each: ReportedEntry) -> str:
    shown = ", ".join(f"id:{c.manga_id} {c.title!r}" for c in each.match.candidates)
    return f"{each.title}: {each.why}" + (f": {shown}" if shown else "")


def _entry_json(each: ReportedEntry) -> dict[str, Any]:
    entry, match = each.entry, each.match
    return {
        "title": each.title,
        "status": entry.status,
        "progress": number(entry.progress),
        "match": match.by,
        "manga_id": match.manga_id,
        "candidates": [{"manga_id": c.manga_id, "title": c.title} for c in match.candidates],
        "why": each.why,
        "state": match.state,
    }


def number(value: Decimal | None) -> int | float | None:
    """Return a chapter's number as JSON writes it."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)
