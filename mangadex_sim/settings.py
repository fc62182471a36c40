"""Settings of a simulator; most of them can be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from mangadex_sim.catalogue.bulk_facts import HISTORY_START

MAX_TITLES = 200_000
RETRY_HEADERS = ("epoch", "epoch_past", "seconds", "none", "mixed")
HISTORY_END = 1_759_276_800  # 2025-10-01T00:00:00


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; ValueError names a bad one."""

    titles: int = 150
    seed: int = 1
    # Chapters published over the last 48 hours before the start.
    recent_chapters: int = 0
    # The catalogue's last dates, epoch seconds; fixed, so that a restart changes nothing. Moved
    # back to two days before the start if the clock is earlier.
    history_end: int = HISTORY_END
    # Requests within any sliding window, over the whole server; 0 switches the rule off.
    rate: int = 5
    window_s: float = 1.0
    # What a 429 says about waiting: X-RateLimit-Retry-After (epoch), Retry-After (seconds), …
    retry_header: str = "epoch"
    # More 429s than this within the time cause a ban, which every request renews.
    ban_after: int = 10
    ban_within_s: float = 5.0
    ban_s: float = 10.0
    # Time from the arrival of a request to its answer.
    latency_s: float = 0.0
    # The real API's …Since bounds are undocumented on this point.
    since_inclusive: bool = True

    def __post_init__(self) -> None:
        """Reject values out of range."""
        limits: dict[str, tuple[float, float]] = {
            "titles": (0, MAX_TITLES),
            "recent_chapters": (0, 1_000_000),
            "rate": (0, 1_000_000),
            "window_s": (0.001, 3_600),
            "ban_after": (0, 1_000_000),
            "latency_s": (0, 3_600),
            "ban_within_s": (0, 3_600),
            "ban_s": (0, 86_400),
            "history_end": (HISTORY_START + 28 * 86_400, 4_000_000_000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}, not {value}")
        if self.retry_header not in RETRY_HEADERS:
            raise ValueError(
                f"retry_header must be one of {', '.join(RETRY_HEADERS)}, not {self.retry_header!r}"
            )
