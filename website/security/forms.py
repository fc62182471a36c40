"""Forms: a request that changes something comes from our own pages (CSRF).

Three layers, each enough by itself: the session's cookie is SameSite=Lax; browsers say where a
request comes from (Sec-Fetch-Site, or Origin on plain http), and it must be here; and a form
carries a token that only our pages know.
"""

from __future__ import annotations

import hashlib
import hmac

FIELD = "form_token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def make_token(secret: str, cookie: str) -> str:
    """Return the form token that belongs to a cookie: a session's, or a visitor's."""
    return hmac.digest(secret.encode(), f"form|{cookie}".encode(), hashlib.sha256).hex()


def comes_from_here(fetch_site: str | None, origin: str | None, url: str) -> bool:
    """Return whether a browser says that a request was sent by a page of ours.

    Args:
        fetch_site, origin: the headers Sec-Fetch-Site and Origin.
        url: how readers reach the site.

    A request without either header is rejected: every browser sends one of them with a POST.
    """
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    return origin is not None and origin.lower() == url.lower()


def has_token(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())
