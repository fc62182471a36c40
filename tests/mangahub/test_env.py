"""Reading the environment: strict about values, and telling no secret."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mangahub.env import Env, Setting, SettingError, read_config, setting
from mangahub.parsers import boolean, http_url, integer, printable_ascii


def test_blanks_around_a_value_are_dropped_and_an_empty_one_is_not_set() -> None:
    env = Env({"A": "  x\t", "B": " ", "C": ""})
    assert [env.raw(name) for name in "ABCD"] == ["x", None, None, None]
    assert [env.is_blank(name) for name in "ABCD"] == [False, True, False, False]


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANGAHUB_TEST", "x")
    assert Env().raw("MANGAHUB_TEST") == "x"


@dataclass(frozen=True)
class Example:
    size: int = setting("SIZE", 5, integer(0, 9))
    place: str = setting("PLACE", lambda: "here", str)


def test_a_configuration_is_read_setting_by_setting() -> None:
    assert read_config(Example, Env({})) == Example(5, "here")
    assert read_config(Example, Env({"SIZE": "7", "PLACE": "there"})) == Example(7, "there")


def test_the_first_bad_value_is_reported_with_variable_and_what_is_allowed() -> None:
    with pytest.raises(SettingError) as caught:
        read_config(Example, Env({"SIZE": "10"}))
    allowed = "it must be a whole number from 0 to 9"
    assert str(caught.value) == f"SIZE='10' is not allowed: {allowed}"


def test_a_bad_secret_is_not_shown() -> None:
    key = Setting("KEY", None, printable_ascii, is_secret=True)
    with pytest.raises(SettingError, match=r"KEY='\*\*\*' is not allowed"):
        key.read(Env({"KEY": "s3cret\u00e9"}))


def test_a_setting_may_reject_blanks() -> None:
    key = Setting("KEY", None, printable_ascii, may_be_blank=False)
    assert key.read(Env({"KEY": ""})) is None
    with pytest.raises(SettingError, match="more than blanks"):
        key.read(Env({"KEY": "  "}))


@pytest.mark.parametrize(
    "text", ["http://me:s3cret@h", "http://s3cret@h", "http://me:s3@cret@h/?x", "http://:s3cret@"]
)
def test_an_address_with_credentials_is_rejected_without_showing_them(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        Setting("U", "", http_url).read(Env({"U": text}))
    assert "without credentials" in str(caught.value)
    assert "cret" not in str(caught.value) and "//***@" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["a\nb", "\x1b[31m", "x" * 10_000, "\udcff", "a\u2028b"], ids=ascii
)
def test_a_bad_value_is_one_short_line(value: str) -> None:
    with pytest.raises(SettingError) as caught:
        Setting("B", True, boolean).read(Env({"B": value}))
    assert str(caught.value).isprintable() and str(caught.value).isascii()
    assert len(str(caught.value)) < 600
