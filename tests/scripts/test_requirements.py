"""What tests and lint run with is pinned: all that setup.cfg asks for, by version and hash."""

from __future__ import annotations

import configparser
import re

from tests.support.paths import ROOT

PINNED = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def names(requirements: str) -> set[str]:
    """Return the normalised names of packages, one a line."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)", requirements, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def test_every_requirement_is_pinned() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
    assert names(wanted.replace("\n\n", "\n")) <= names(PINNED)


def test_every_pin_has_hashes_and_no_place() -> None:
    pins = re.split(r"\n(?=\S)", PINNED.strip())
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in PINNED
