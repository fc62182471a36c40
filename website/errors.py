"""The website's errors."""

from __future__ import annotations


class WebsiteError(Exception):
    """Root of this package's errors; its text is one clear line."""
