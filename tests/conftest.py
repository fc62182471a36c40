"""Fixtures for all tests: a real PostgreSQL with a fresh database a test, real programs, no leaks.

Each process of the suite has a server and directories of its own; nothing is shared between them.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import hypothesis
import psycopg
import pytest

import sql
from mangadex_sim import Simulator
from tests.support.calm import turn
from tests.support.databases import Databases, OwnDatabase, data_directory, name_of, running_server
from tests.support.leaks import Held
from tests.support.programs import Finished, Programs, let_programs_hear_signals

# The same examples in each run, and no limit of time: a busy machine fails no test.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")

TIME_TO_CLOSE_S = 5
STARTS_PROGRAMS = {"programs", "own_database", "cluster"}


def pytest_configure() -> None:
    let_programs_hear_signals()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts whole programs as slow: a start of Python alone takes a quarter second.

    What has to run alone comes first.
    """
    for item in items:
        is_calm = item.get_closest_marker("calm") is not None
        if is_calm or STARTS_PROGRAMS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("calm") is None)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of the suite have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(autouse=True)
def its_turn(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[None]:
    """Let a test that is marked as calm run while no other one does."""
    with turn(shared_folder, request.node.get_closest_marker("calm") is not None):
        yield


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for MANGAHUB_DATA; an embedded server that was started there is stopped."""
    with data_directory() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server on which databases may be made and dropped."""
    with running_server() as url:
        yield url


@pytest.fixture(scope="session")
def admin(postgres: str) -> Iterator[sql.Connection]:
    """One connection for making and dropping databases."""
    with sql.connect(postgres, "mangahub-tests") as connection:
        yield connection


@pytest.fixture(scope="session")
def databases(postgres: str, admin: sql.Connection) -> Databases:
    return Databases(postgres, admin)


@pytest.fixture(scope="session")
def template(databases: Databases) -> Iterator[str]:
    """The name of a migrated database without connections."""
    with databases.copy_of() as url:
        sql.migrate(url)
        yield name_of(url)


@pytest.fixture
def database_url(databases: Databases, template: str) -> Iterator[str]:
    """A fresh database with the current schema."""
    with databases.copy_of(template) as url:
        yield url


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A fresh database without any table."""
    with databases.copy_of() as url:
        yield url


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """An open autocommit connection to `database_url`."""
    with sql.connect(database_url, "mangahub-tests") as opened:
        yield opened


@pytest.fixture
def own_database(home: Path) -> OwnDatabase:
    """Its files are in `home`, where programs without DATABASE_URL look for it."""
    return OwnDatabase(home)


@pytest.fixture
def programs(home: Path) -> Iterator[Programs]:
    """Start programs; what a test leaves running is killed."""
    started = Programs(home)
    yield started
    started.end()


@pytest.fixture
def clean_environment(programs: Programs) -> dict[str, str]:
    """What a program gets besides a test's own variables: nothing of ours leaks into it."""
    return programs.environment


@pytest.fixture
def start_program(programs: Programs) -> Callable[..., Any]:
    """`start_program("notify_server", "serve", env={…})` → its Popen, with text pipes."""
    return programs.start


@pytest.fixture
def run_program(programs: Programs) -> Callable[..., Finished]:
    """`run_program("batch", "status", "--json", env={…}, timeout=30)` → `Finished`."""
    return programs.run


@pytest.fixture
def run_batch(programs: Programs) -> Callable[..., Finished]:
    """`run_batch("chapter-feed", "--json", env={…})`."""

    def run(*args: str, **how: Any) -> Finished:
        return programs.run("batch", *args, **how)

    return run


@pytest.fixture
def simulator() -> Iterator[Callable[..., Simulator]]:
    """`simulator(titles=50, rate=0)` → a started Simulator; stopped after the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Simulator:
            return stack.enter_context(Simulator(**settings))

        yield start


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an open socket behind."""
    before = Held.now()
    yield
    pause = threading.Event()
    deadline_s = monotonic() + TIME_TO_CLOSE_S
    while found := Held.now().describe_more_than(before):
        if monotonic() > deadline_s:
            pytest.fail(f"the test left behind {'; '.join(found)}")
        gc.collect()
        pause.wait(0.02)
