"""Settings: defaults, what is allowed, and the error for a bad value."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from batch import config
from batch.config import Config, load
from mangahub.env import Env, SettingError, settings_of

ONE = "0d1e2f30-4152-4364-9586-a7b8c9dae0f1"
OTHER = "0D1E2F30-4152-4364-9586-A7B8C9DAE0F2"


def test_without_any_variable_everything_has_its_default() -> None:
    found = load(Env({"MANGAHUB_DATA": "/data"}))
    assert found.api_url == "https://api.mangadex.org"
    assert (found.api_key, found.notify_key) == (None, None)
    assert (found.initial_enabled, found.initial_count) == (True, 150)
    assert found.initial_order == "followedCount"
    assert (found.workers, found.rate_concurrency, found.rate_burst) == (10, 5, 1)
    assert found.rate_per_second == 5
    assert found.languages == ("en",)
    assert found.content_ratings == ("safe", "suggestive", "erotica")
    assert (found.refresh_after, found.chapter_interval) == (
        timedelta(hours=24),
        timedelta(hours=48),
    )
    assert (found.blocked_groups, found.blocked_uploaders) == (frozenset(), frozenset())
    assert found.chapter_batch == 50
    assert found.notify_url == "http://127.0.0.1:8085"
    assert found.data_dir == Path("/data")
    assert (found.log_format, found.log_level) == ("text", "INFO")


# Variable, value, and what it becomes; one at least of each.
GOOD: list[tuple[str, str, Any]] = [
    ("MANGADEX_API_URL", "http://[::1]:8080/api/", "http://[::1]:8080/api"),
    ("MANGADEX_API_KEY", " s3cret ", "s3cret"),
    ("MANGA_SYNC_INITIAL", "false", False),
    ("MANGA_SYNC_INITIAL", "OFF", False),
    ("MANGA_SYNC_INITIAL_COUNT", "10000", 10_000),
    ("MANGA_SYNC_INITIAL_ORDER", "rating", "rating"),
    ("MANGA_SYNC_WORKERS", "64", 64),
    ("MANGA_SYNC_RATE_CONCURRENCY", "1", 1),
    ("MANGA_SYNC_RATE_PER_SECOND", "0.5", 0.5),
    ("MANGA_SYNC_RATE_BURST", "10", 10),
    ("MANGA_SYNC_LANGUAGES", "en, pt-br,en", ("en", "pt-br")),
    ("MANGA_SYNC_CONTENT_RATINGS", "pornographic,safe", ("pornographic", "safe")),
    ("MANGA_SYNC_REFRESH_HOURS", "0", timedelta(0)),
    ("MANGA_SYNC_REFRESH_HOURS", "1.5", timedelta(minutes=90)),
    ("MANGA_SYNC_BLOCKED_GROUPS", f"{ONE},{OTHER}", frozenset({UUID(ONE), UUID(OTHER)})),
    ("MANGA_SYNC_BLOCKED_UPLOADERS", ONE, frozenset({UUID(ONE)})),
    ("MANGA_SYNC_CHAPTER_INTERVAL_HOURS", "12", timedelta(hours=12)),
    ("MANGA_SYNC_CHAPTER_BATCH", "1", 1),
    ("UDP_SERVER_URL", "https://notify.example", "https://notify.example"),
    ("NOTIFY_API_KEY", "k", "k"),
    ("MANGAHUB_DATA", "/srv/data", Path("/srv/data")),
    ("LOG_FORMAT", "json", "json"),
    ("LOG_LEVEL", "DEBUG", "DEBUG"),
]
FIELDS = {found.name: name for name, found in settings_of(Config).items()}


@pytest.mark.parametrize(("variable", "value", "expected"), GOOD)
def test_a_variable_becomes_its_setting_and_touches_no_other(
    variable: str, value: str, expected: object
) -> None:
    usual, found = (
        load(Env({"MANGAHUB_DATA": "/d"})),
        load(Env({"MANGAHUB_DATA": "/d", variable: value})),
    )
    changed = {f.name for f in fields(Config) if getattr(found, f.name) != getattr(usual, f.name)}
    assert changed <= {FIELDS[variable]}
    assert getattr(found, FIELDS[variable]) == expected


@pytest.mark.parametrize("variable", sorted(FIELDS))
def test_an_empty_variable_counts_as_not_set(variable: str) -> None:
    assert load(Env({variable: " "})) == load(Env({}))


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("MANGADEX_API_URL", "ftp://a.example", "http:// or https://"),
        ("MANGADEX_API_URL", "api.mangadex.org", "http:// or https://"),
        ("MANGA_SYNC_INITIAL", "maybe", "true or false"),
        ("MANGA_SYNC_INITIAL_COUNT", "0", "a whole number from 1 to 10000"),
        ("MANGA_SYNC_INITIAL_COUNT", "10001", "from 1 to 10000"),
        ("MANGA_SYNC_INITIAL_COUNT", "1e3", "a whole number"),
        ("MANGA_SYNC_INITIAL_COUNT", "1_000", "a whole number"),
        ("MANGA_SYNC_INITIAL_COUNT", "٣", "a whole number"),
        ("MANGA_SYNC_INITIAL_ORDER", "follows", "one of followedCount, "),
        ("MANGA_SYNC_WORKERS", "65", "from 1 to 64"),
        ("MANGA_SYNC_RATE_CONCURRENCY", "-1", "from 1 to 64"),
        ("MANGA_SYNC_RATE_PER_SECOND", "0", "a number from 0.01 to 1000"),
        ("MANGA_SYNC_RATE_PER_SECOND", "nan", "a number"),
        ("MANGA_SYNC_RATE_PER_SECOND", "inf", "a number"),
        ("MANGA_SYNC_RATE_BURST", "2.5", "a whole number"),
        ("MANGA_SYNC_LANGUAGES", "en,", "language codes"),
        ("MANGA_SYNC_LANGUAGES", "EN", "language codes"),
        ("MANGA_SYNC_LANGUAGES", "english", "language codes"),
        ("MANGA_SYNC_CONTENT_RATINGS", "safe,adult", "out of safe, suggestive"),
        ("MANGA_SYNC_REFRESH_HOURS", "-1", "a number from 0"),
        ("MANGA_SYNC_BLOCKED_GROUPS", f"{ONE},x", "UUIDs, separated by commas"),
        ("MANGA_SYNC_BLOCKED_UPLOADERS", f"{{{ONE}}}", "UUIDs"),
        ("MANGA_SYNC_CHAPTER_BATCH", "0", "from 1"),
        ("UDP_SERVER_URL", "http://", "http:// or https://"),
        ("UDP_SERVER_URL", "http://a..b", "http:// or https://"),
        ("MANGAHUB_DATA", "data", "an absolute path"),
        ("LOG_FORMAT", "xml", "one of text, json"),
        ("LOG_LEVEL", "info", "one of DEBUG, INFO"),
    ],
)
def test_a_bad_value_is_reported_with_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingError) as caught:
        load(Env({variable: value}))
    assert str(caught.value).startswith(f"{variable}={value!a} is not allowed: it must be ")
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    "url", ["foo://sesame@host", "discord://sesame", "json://ok, tgram://sesame"]
)
def test_an_address_that_apprise_has_no_service_for_is_named_by_its_scheme_alone(url: str) -> None:
    with pytest.raises(SettingError, match=r"^MANGAHUB_ALERT_URLS='\*\*\*' is not all") as caught:
        load(Env({"MANGAHUB_ALERT_URLS": url}))
    assert url.split(", ")[-1].partition("://")[0] + "://..." in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("variable", ["MANGADEX_API_KEY", "NOTIFY_API_KEY"])
@pytest.mark.parametrize("value", ["pass\nword", "pässword", "pass\x7fword", "\ud800"])
def test_a_bad_secret_is_not_shown(variable: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        load(Env({variable: value}))
    assert str(caught.value).startswith(f"{variable}='***' is not allowed")
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("code", ["en", "pt-br", "zh-hk", "ja-ro"])
def test_language_codes_as_the_api_writes_them_are_allowed(code: str) -> None:
    assert load(Env({"MANGA_SYNC_LANGUAGES": code})).languages == (code,)


@pytest.mark.parametrize(
    "code", ["EN", "e", "pt_br", "pt-BR", "en,,fr", ",", "en-", "english", "all", "ita", "zh-hans"]
)
def test_other_language_codes_are_rejected(code: str) -> None:
    with pytest.raises(SettingError, match="language codes"):
        load(Env({"MANGA_SYNC_LANGUAGES": code}))


# --- what is shown -----------------------------------------------------------------------------


def test_every_setting_is_shown_by_its_variable() -> None:
    assert set(config.shown(load(Env({})))) == set(FIELDS)


def test_settings_are_shown_as_they_may_be_written() -> None:
    written = {variable: value for variable, value, _ in GOOD}
    shown = config.shown(load(Env(written)))
    again = {k: str(v).lower() if isinstance(v, bool) else str(v)
             for k, v in shown.items() if v is not None}  # fmt: skip
    assert shown["MANGA_SYNC_LANGUAGES"] == "en,pt-br"
    assert shown["MANGA_SYNC_REFRESH_HOURS"] == 1.5
    assert load(Env(again | {"MANGADEX_API_KEY": "s3cret", "NOTIFY_API_KEY": "k"})) == load(
        Env(written)
    )


def test_secrets_are_not_shown() -> None:
    shown = config.shown(load(Env({"MANGADEX_API_KEY": "s3cret", "NOTIFY_API_KEY": "s3cret"})))
    assert (shown["MANGADEX_API_KEY"], shown["NOTIFY_API_KEY"]) == ("***", "***")
    assert "s3cret" not in str(shown)
    assert config.shown(load(Env({})))["NOTIFY_API_KEY"] is None
