"""The example of an env file: complete, and its commented values are the programs' defaults."""

from __future__ import annotations

import re
from contextlib import suppress

import batch.config
import notify_server.config
import sql
import website.config
from mangahub.env import Env
from sql.embedded import binaries
from sql.errors import EmbeddedUnavailable
from tests.support.paths import ROOT

EXAMPLE = ROOT / "systemd/mangahub.env.example"
SETTING = re.compile(r"#([A-Z][A-Z_]*)=(.*)")
# Set by the units; the program's own default depends on its user.
FROM_UNITS = {"MANGAHUB_DATA": "/var/lib/mangahub"}


class Recorder(Env):
    """Remembers which variables it was asked for."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self.names: set[str] = set()

    def raw(self, name: str) -> str | None:
        self.names.add(name)
        return super().raw(name)


def read_example() -> dict[str, str]:
    settings = [SETTING.fullmatch(line) for line in EXAMPLE.read_text().splitlines()]
    return {match[1]: match[2] for match in settings if match}


def test_it_names_exactly_the_variables_that_the_programs_read() -> None:
    recorder = Recorder({"DATABASE_URL": "postgresql://db.example/mangahub"})
    batch.config.load(recorder)
    notify_server.config.load(recorder)
    website.config.load(recorder)
    sql.database_url(recorder)
    with suppress(EmbeddedUnavailable):
        binaries.find(recorder, None)
    assert sorted(read_example()) == sorted(recorder.names)


def test_each_commented_value_is_the_default() -> None:
    example, nothing = Env(read_example()), Env(FROM_UNITS)
    assert batch.config.load(example) == batch.config.load(nothing)
    assert notify_server.config.load(example) == notify_server.config.load(nothing)
    assert website.config.load(example) == website.config.load(nothing)
    assert example.raw("DATABASE_URL") is None
    assert example.raw("MANGAHUB_PG_BIN") is None


def test_it_changes_nothing_until_a_line_is_uncommented() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_each_variable_is_explained_above_its_line() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if SETTING.fullmatch(line):
            above = lines[number - 1]
            assert above.startswith("# ") or SETTING.fullmatch(above), line
