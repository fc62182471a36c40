"""The data directory: what the variable says, or its default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from mangahub.config import data_dir
from mangahub.env import Env, SettingError


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
    monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    monkeypatch.setenv("HOME", "/home/ine")
    geteuid = mocker.patch.object(os, "geteuid", return_value=1_234_567)
    assert data_dir(Env({})) == Path("/home/ine/.local/share/mangahub")
    geteuid.return_value = 0
    assert data_dir(Env({})) == Path("/var/lib/mangahub")


def test_a_user_without_a_home_directory_is_told_to_set_the_variable(
    monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    monkeypatch.delenv("HOME")
    mocker.patch.object(os, "geteuid", return_value=1_234_567)
    with pytest.raises(SettingError, match=r"MANGAHUB_DATA.*no home directory"):
        data_dir(Env({}))
