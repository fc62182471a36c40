"""Reading the environment: strict about values, and telling no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangahub.env import Env, SettingError, data_dir


def test_blanks_around_a_value_are_dropped_and_an_empty_one_is_not_set() -> None:
    env = Env({"A": "  x\t", "B": " ", "C": ""})
    assert [env.raw(name) for name in "ABCD"] == ["x", None, None, None]
    assert [env.is_blank(name) for name in "ABCD"] == [False, True, False, False]
    assert (env.text("A", "y"), env.text("B", "y")) == ("x", "y")


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANGAHUB_TEST", "x")
    assert Env().raw("MANGAHUB_TEST") == "x"


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("7", 7), ("+7", 7), ("-3", -3), ("0010", 10)]
)
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert Env({"N": text}).integer("N", 5, -10, 10) == number


@pytest.mark.parametrize(
    "text", ["11", "-11", "1.0", "1e1", "0x1", "one", "1 2", "--1", "9" * 5_000, "１"]
)
def test_what_is_no_whole_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"a whole number from -10 to 10"):
        Env({"N": text}).integer("N", 5, -10, 10)


@pytest.mark.parametrize(("text", "number"), [("0.25", 0.25), ("3", 3.0), ("10", 10.0)])
def test_a_number_is_read(text: str, number: float) -> None:
    assert Env({"N": text}).number("N", 5, 0.25, 10) == number


@pytest.mark.parametrize("text", ["0.2", "10.1", "-1", "nan", "inf", "1e0", ".5", "5.", "1,5"])
def test_what_is_no_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"a number from 0\.25 to 10$"):
        Env({"N": text}).number("N", 5, 0.25, 10)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("False", False)]
)
def test_a_truth_value_is_read(text: str, value: bool) -> None:
    assert Env({"B": text}).boolean("B", not value) is value


@pytest.mark.parametrize("text", ["2", "y", "truth", "нет"])
def test_what_is_no_truth_value_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="true or false"):
        Env({"B": text}).boolean("B", True)


@pytest.mark.parametrize("code", ["en", "pt-br", "zh-hk", "ja-ro"])
def test_language_codes_as_the_api_writes_them_are_allowed(code: str) -> None:
    assert Env({"L": code}).languages("L", ("en",)) == (code,)


@pytest.mark.parametrize(
    "code", ["EN", "e", "pt_br", "pt-BR", "en,,fr", ",", "en-", "english", "all", "ita", "zh-hans"]
)
def test_other_language_codes_are_refused(code: str) -> None:
    with pytest.raises(SettingError, match="language codes"):
        Env({"L": code}).languages("L", ("en",))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h", "http://h"),
        ("https://h.example:8443/a/b//", "https://h.example:8443/a/b"),
        ("HTTP://Host/", "HTTP://Host"),
        ("http://[::1]:8085", "http://[::1]:8085"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_an_address_is_read_without_its_last_slash(text: str, url: str) -> None:
    assert Env({"U": text}).http_url("U", "") == url


@pytest.mark.parametrize(
    "text",
    [
        "h", "//h", "http:", "http://", "http:///path", "http://:80", "ftp://h", "file:///etc",
        "http://h:0", "http://h:65536", "http://h:port", "http://[::1", "http://h/?q=1", "http://h?",
        "http://h/#part", "http://h#", "http://h/a b", "http://h\n.example", "http://h\\x",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="an http:// or https:// address"):
        Env({"U": text}).http_url("U", "")


@pytest.mark.parametrize(
    "text", ["http://me:s3cret@h", "http://s3cret@h", "http://me:s3@cret@h/?x", "http://:s3cret@"]
)
def test_an_address_with_credentials_is_refused_and_they_are_not_told(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        Env({"U": text}).http_url("U", "")
    assert "without credentials" in str(caught.value)
    assert "cret" not in str(caught.value) and "//***@" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["a\nb", "\x1b[31m", "x" * 10_000, "\udcff", "a\u2028b"], ids=ascii
)
def test_a_bad_value_is_told_on_one_short_line(value: str) -> None:
    with pytest.raises(SettingError) as caught:
        Env({"B": value}).boolean("B", True)
    assert str(caught.value).isprintable() and str(caught.value).isascii()
    assert len(str(caught.value)) < 600


@given(st.text(st.characters(), min_size=1))
def test_any_value_is_read_or_refused_in_one_line(value: str) -> None:
    env = Env({"X": value})
    for read in (
        lambda: env.secret("X"),
        lambda: env.integer("X", 1, 0, 9),
        lambda: env.number("X", 1, 0, 9),
        lambda: env.languages("X", ()),
        lambda: env.uuids("X"),
        lambda: env.http_url("X", ""),
        lambda: env.choice("X", "a", ("a", "b")),
    ):
        try:
            read()
        except SettingError as exc:
            assert str(exc).isprintable()


# --- the data directory ------------------------------------------------------------------------


def test_the_data_directory_is_what_the_variable_says() -> None:
    assert data_dir(Env({"MANGAHUB_DATA": "/srv/hub"})) == Path("/srv/hub")


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ine")
    assert data_dir(Env({"MANGAHUB_DATA": "~/hub"})) == Path("/home/ine/hub")


@pytest.mark.parametrize("value", ["hub", "./hub", "~nobody-of-this-name/hub"])
def test_a_place_that_depends_on_where_one_stands_is_refused(value: str) -> None:
    with pytest.raises(SettingError, match=r"MANGAHUB_DATA.*an absolute path"):
        data_dir(Env({"MANGAHUB_DATA": value}))


def test_the_default_is_below_the_home_directory_and_for_root_the_systems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ine")
    monkeypatch.setattr(os, "geteuid", lambda: 1_234_567)
    assert data_dir(Env({})) == Path("/home/ine/.local/share/mangahub")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert data_dir(Env({})) == Path("/var/lib/mangahub")


def test_a_user_without_a_home_directory_is_told_to_set_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 1_234_567)
    with pytest.raises(SettingError, match=r"MANGAHUB_DATA.*no home directory"):
        data_dir(Env({}))
