"""Chapter numbers as people write them: `181–183 (3)`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal


def describe_number(number: Decimal) -> str:
    """Return `181` for 181.00, and `10.5`."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def describe_numbers(numbers: Sequence[Decimal]) -> str:
    """Return ascending numbers with runs of whole ones joined: `181–183, 185.5`."""
    runs: list[list[Decimal]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1 and number == number.to_integral_value():
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(_describe_run(run) for run in runs)


def _describe_run(run: list[Decimal]) -> str:
    ends = run if len(run) == 1 else (run[0], run[-1])
    return "–".join(map(describe_number, ends))


def describe_chapters(chapters: Iterable[tuple[str | None, Decimal | None]]) -> str:
    """Return `ch. 181–183 (3)`, `vol. 2 ch. 1`, or `1 without number`.

    Args:
        chapters: volume and number of each, ascending; a volume where it belongs to the number.
    """
    by_volume: dict[str | None, list[Decimal]] = {}
    unnumbered = 0
    for volume, number in chapters:
        if number is None:
            unnumbered += 1
        else:
            by_volume.setdefault(volume, []).append(number)
    parts = [
        f"{f'vol. {volume} ' if volume else ''}ch. {describe_numbers(numbers)}"
        for volume, numbers in by_volume.items()
    ]
    if unnumbered:
        parts.append("without number" if unnumbered == 1 else f"{unnumbered} without number")
    count = unnumbered + sum(map(len, by_volume.values()))
    return ", ".join(parts) + (f" ({count})" if count > 1 else "")
