"""Paths that a form names lead to this site, whatever a browser makes of them."""

from __future__ import annotations

import pytest

from website.rules.paths import own_path


@pytest.mark.parametrize("text", ["/", "/me/inbox", "/titles?q=%C3%A9&before=1-2", "/a//b"])
def test_a_path_of_this_site_is_kept(text: str) -> None:
    assert own_path(text) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "me",
        "//evil.example",
        "/\\evil.example",
        "/a\\b",
        "\\/evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "/é",
        "/" + "a" * 2_000,
    ],
)
def test_whatever_may_lead_elsewhere_is_not(text: str | None) -> None:
    assert own_path(text) is None
