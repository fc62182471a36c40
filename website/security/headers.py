"""The headers of every answer."""

from __future__ import annotations

from flask import Response

from website.config import Addresses


class Headers:
    """Sets what browsers are told of every answer, errors and files too."""

    def __init__(self, addresses: Addresses) -> None:
        policy = {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": f"'self' {addresses.streams_origin}",
            "manifest-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        self._fixed = {
            "Content-Security-Policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }
        if addresses.is_https:
            self._fixed["Strict-Transport-Security"] = "max-age=31536000"

    def apply(self, response: Response) -> Response:
        for name, value in self._fixed.items():
            response.headers.setdefault(name, value)
        return response
