"""How long a server asks its clients to wait, and the dates of HTTP. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the server asks us to wait, never negative; None if it does not say.

    `X-RateLimit-Retry-After` is a UNIX time in seconds and comes first (API documentation, "Rate
    limits"); it is compared with the server's own `Date`, so a wrong clock here does no harm.
    `Retry-After` is seconds or a date (RFC 9110, section 10.2.3).
    """
    now = http_date(headers.get("Date", "")) or datetime.now(UTC)
    epoch = headers.get("X-RateLimit-Retry-After", "").strip()
    if re.fullmatch(r"\d{1,12}(\.\d+)?", epoch, re.ASCII):
        # One second more: the epoch is cut to whole seconds.
        return _not_negative(timedelta(seconds=float(epoch) - now.timestamp() + 1))
    plain = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,12}", plain, re.ASCII):
        return timedelta(seconds=int(plain))
    moment = http_date(plain)
    return _not_negative(moment - now) if moment else None


def _not_negative(span: timedelta) -> timedelta:
    return max(span, timedelta(0))


def http_date(text: str) -> datetime | None:
    """Return the moment of a `Date` header, None for other text; without a zone it is UTC."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
