"""The pages name what there is, and all of it: settings, commands, options, files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OPERATIONS = ROOT / "docs" / "operations.md"
SOURCES = ("batch/config.py", "notify_server/config.py", "website/config.py", "mangahub", "sql")
# How settings are declared or read: setting("NAME", …), Setting("NAME", …), env.raw("NAME").
READING = re.compile(r"""(?:[sS]etting\(|env\.\w+\()\s*"([A-Z][A-Z0-9_]+)\"""")
BATCH = (
    *("initial-sync", "new-manga-poll", "chapter-feed", "chapter-check", "metadata-refresh"),
    *("fetch-wanted", "import-account"),
    *("relay", "retention", "status", "migrate", "doctor"),
)
COMMANDS = {
    "mangahub-batch": ("batch", BATCH),
    "mangahub-notify": (
        "notify_server",
        (
            *(
                "serve",
                "user add",
                "user list",
                "library add",
                "library remove",
                "library list",
                "library move",
            ),
            *("channels", "channel add", "channel list", "channel test", "channel remove"),
            *("channel pause", "channel resume"),
            *("import", "export", "preferences", "progress", "suggest", "key"),
        ),
    ),
    "mangahub-web": ("website", ("serve",)),
    "python -m sql": ("sql", ("start", "stop", "status", "url")),
}


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def settings_read() -> set[str]:
    found: set[str] = set()
    for source in SOURCES:
        place = ROOT / source
        for file in [place] if place.is_file() else place.rglob("*.py"):
            found.update(READING.findall(file.read_text(encoding="utf-8")))
    return found


def settings_documented() -> set[str]:
    """The first cells of the table of settings."""
    text = OPERATIONS.read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[A-Z][^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}


def test_every_setting_that_the_programs_read_is_documented_and_no_other() -> None:
    assert len(settings_read()) > 30
    assert settings_documented() == settings_read()


def test_the_example_of_an_env_file_has_the_same_settings() -> None:
    text = (ROOT / "systemd" / "mangahub.env.example").read_text(encoding="utf-8")
    shown = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    assert shown <= settings_documented()


def rows_of_commands() -> dict[str, set[str]]:
    """`mangahub-batch initial-sync` → the options in its row of the table of commands."""
    rows: dict[str, set[str]] = {}
    text = OPERATIONS.read_text(encoding="utf-8")
    for cell in re.findall(r"^\| (`(?:mangahub-\w+|python -m sql) [^|]*) \|", text, re.MULTILINE):
        call = re.sub(r"\s+(?:--|[A-Z[]).*", "", cell.split("`")[1])
        rows[call] = set(re.findall(r"--[a-z-]+", cell))
    return rows


def test_the_table_of_commands_has_all_of_them() -> None:
    wanted = {f"{name} {each}" for name, (_, all_of) in COMMANDS.items() for each in all_of}
    assert rows_of_commands().keys() == wanted


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_no_command_that_is_not_documented(
    run_program: Callable[..., Any], name: str
) -> None:
    module, documented = COMMANDS[name]
    text = run_program(module, "--help").stdout
    listed = set(re.findall(r"^    ([a-z][a-z-]+)(?:\s{2,}|$)", text, re.MULTILINE))
    assert listed == {each.split()[0] for each in documented}


@pytest.mark.parametrize("call", sorted(rows_of_commands()))
def test_options_are_those_of_help(run_program: Callable[..., Any], call: str) -> None:
    name = next(name for name in COMMANDS if call.startswith(name))
    help_text = run_program(COMMANDS[name][0], *call[len(name) :].split(), "--help").stdout
    offered = set(re.findall(r"--[a-z][a-z-]+", help_text)) - {"--help", "--json"}
    assert rows_of_commands()[call] == offered


def targets(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """As the usual renderers make them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), target
        if anchor:
            assert anchor in anchors(goal), target


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_examples_in_json_can_be_read(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        json.loads(block)
    for line in re.findall(r"^(?:[\d.]+ [→←] )?(\{\".*\})$", text, re.MULTILINE):
        json.loads(line)
    for inline in re.findall(r"`(\{\"[^`]*\})`", text):
        if "…" not in inline:
            json.loads(re.sub(r":([A-Z])\b", r':"\1"', inline.replace("|", "")))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`(?:\./)?((?:scripts|systemd|bench|docs|batch|sql)/[\w./-]+)`", text)
    for name in named:
        assert (ROOT / name).exists(), name


def test_the_map_of_folders_names_each_folder_and_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `((?:batch|notify_server|sql)/[\w/]*)/` \|", text, re.MULTILINE))
    packages = (
        path.parent
        for top in ("batch", "notify_server", "sql")
        for path in (ROOT / top).rglob("__init__.py")
    )
    assert named == {by_name(path) for path in packages if path.parent != ROOT}
