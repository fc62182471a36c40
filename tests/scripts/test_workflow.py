"""What a person types, what runs before a commit and what CI runs are the same."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.support.paths import ROOT


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_ci_calls_the_same_script_on_every_supported_python_and_postgresql() -> None:
    jobs = load(".github/workflows/ci.yml")["jobs"]
    for job in jobs.values():
        assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    setup = (ROOT / "setup.cfg").read_text()
    supported = re.findall(r"Python :: (3\.\d+)$", setup, re.MULTILINE)
    assert jobs["python"]["strategy"]["matrix"]["python"] == supported
    servers = jobs["postgresql"]["strategy"]["matrix"]["postgresql"]
    oldest = re.findall(r"PostgreSQL (\d+) or newer", (ROOT / "docs/operations.md").read_text())
    assert servers == [str(n) for n in range(int(oldest[0]), 19)]


def test_what_runs_before_a_commit_is_what_the_tests_begin_with() -> None:
    [source] = load(".pre-commit-config.yaml")["repos"]
    assert source["repo"] == "local"
    assert {hook["language"] for hook in source["hooks"]} == {"system"}
    script = (ROOT / "scripts/test.sh").read_text()
    checks = re.findall(r"check '?(ruff \w+|\w+)'? [\"s]", script)
    assert [hook["name"] for hook in source["hooks"]] == checks
