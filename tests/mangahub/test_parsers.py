"""Parsers of settings: what is allowed becomes its value, all else is rejected in one line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangahub.env import NotAllowed
from mangahub.parsers import (
    absolute_path,
    boolean,
    choice,
    http_url,
    integer,
    listing,
    number,
    printable_ascii,
    uuids,
)


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("7", 7), ("+7", 7), ("-3", -3), ("0010", 10)]
)
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert integer(-10, 10)(text) == number


@pytest.mark.parametrize(
    "text", ["11", "-11", "1.0", "1e1", "0x1", "one", "1 2", "--1", "9" * 5_000, "１"]
)
def test_what_is_no_whole_number_in_range_is_rejected(text: str) -> None:
    with pytest.raises(NotAllowed, match=r"a whole number from -10 to 10"):
        integer(-10, 10)(text)


@pytest.mark.parametrize(("text", "value"), [("0.25", 0.25), ("3", 3.0), ("10", 10.0)])
def test_a_number_is_read(text: str, value: float) -> None:
    assert number(0.25, 10)(text) == value


@pytest.mark.parametrize("text", ["0.2", "10.1", "-1", "nan", "inf", "1e0", ".5", "5.", "1,5"])
def test_what_is_no_number_in_range_is_rejected(text: str) -> None:
    with pytest.raises(NotAllowed, match=r"a number from 0\.25 to 10$"):
        number(0.25, 10)(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("False", False)]
)
def test_a_truth_value_is_read(text: str, value: bool) -> None:
    assert boolean(text) is value


@pytest.mark.parametrize("text", ["2", "y", "truth", "нет"])
def test_what_is_no_truth_value_is_rejected(text: str) -> None:
    with pytest.raises(NotAllowed, match="true or false"):
        boolean(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h", "http://h"),
        ("https://h.example:8443/a/b//", "https://h.example:8443/a/b"),
        ("HTTP://Host/", "HTTP://Host"),
        ("http://[::1]:8085", "http://[::1]:8085"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://127.1", "http://127.1"),
        ("http://[fe80::1%25eth0]:80", "http://[fe80::1%25eth0]:80"),
        ("https://xn--mnchen-3ya.example./ä", "https://xn--mnchen-3ya.example./ä"),
        ("http://api_1", "http://api_1"),
    ],
)
def test_an_address_is_read_without_its_last_slash(text: str, url: str) -> None:
    assert http_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "h", "//h", "http:", "http://", "http:///path", "http://:80", "ftp://h", "file:///etc",
        "http://h:0", "http://h:65536", "http://h:port", "http://[::1", "http://h/?q=1", "http://h?",
        "http://h/#part", "http://h#", "http://h/a b", "http://h\n.example", "http://h\\x",
        "http://h:", "http://u@h", "http://u:p@h", "http://.", "http://.h", "http://a..b", "http://-h",
        "http://h-.example", "http://*", "http://a,b", "http://a%20b", "http://[::1]x", "http://[v1.a]",
        "http://[h]", "http://h]", "http://" + "a" * 64, "http://" + "a." * 130 + "b", "http://☃.net",
        "http://h:٣",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_rejected(text: str) -> None:
    with pytest.raises(NotAllowed, match="an http:// or https:// address"):
        http_url(text)


PARSERS = (
    printable_ascii,
    integer(0, 9),
    number(0, 9),
    boolean,
    choice("a", "b"),
    listing(str.islower, "lower case"),
    uuids,
    http_url,
    absolute_path,
)


@given(st.text(st.characters(), min_size=1), st.sampled_from(PARSERS))
def test_any_text_is_read_or_rejected_in_one_line(text: str, parse: Any) -> None:
    try:
        parse(text)
    except NotAllowed as exc:
        assert str(exc).isprintable()
