"""Fixtures of the website's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

import sql
from readers.users import User, add_user
from tests.support.browser import running_browser
from tests.support.website import RunningSite, running_site


@pytest.fixture
def website(database_url: str) -> Iterator[RunningSite]:
    """The pages over a fresh database."""
    with running_site(database_url) as site:
        yield site


@pytest.fixture
def connection(database_url: str) -> Iterator[sql.Connection]:
    with sql.connect(database_url, "mangahub-tests") as opened:
        yield opened


@pytest.fixture
def mika(connection: sql.Connection) -> User:
    """A reader."""
    return add_user(connection, "mika", None, None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_browser() as found:
        yield found
