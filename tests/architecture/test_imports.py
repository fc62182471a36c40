"""Who may import whom, and which modules are pure.

A program imports no other program. Inside a package a module imports its own layer and those below.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter

import pytest

from tests.architecture.imports import MODULES, PACKAGES, Module
from tests.support.paths import ROOT

Rule = Callable[[Module], Iterator[str]]

MAY_IMPORT: dict[str, set[str]] = {
    "mangahub": set(),
    "mangadex_sim": set(),
    "sql": {"mangahub"},
    "batch": {"mangahub", "readers", "sql"},
    "readers": {"mangahub", "sql"},
    "notify_server": {"mangahub", "readers", "sql"},
    "website": {"mangahub", "readers", "sql"},
}

# From top to bottom. What stands in one line may import each other, but not in a circle.
LAYERS = {
    "batch": """
        __main__
        cli
        commands
        jobs delivery reporting
        workers
        mangadex limits store
        rules
        models errors config cursors process stop
    """,
    "notify_server": """
        __main__
        cli
        commands
        server
        web publish udp channels
        store
        events wire
        errors config secret
    """,
    "website": """
        __main__
        cli
        supervisor
        pages streams
        covers health
        store
        security feeds
        rules
        config errors
    """,
}

# A pure module imports these of the product, of the standard library what computes, nothing else.
PURE = {
    "batch.rules": {"batch.rules", "batch.models"},
    "notify_server.events": {"notify_server.events", "notify_server.wire", "readers.datagram"},
    "notify_server.wire": {"notify_server.events", "notify_server.wire", "readers.datagram"},
    "readers.datagram": set(),
    # Of what has SQL in it too they take the values.
    "website.rules": {"website.rules", "readers.datagram", "readers.channels.store", "sql.state"},
    "readers.lists.entries": {"readers.lists.entries"},
    "readers.lists.standing": {"readers.lists.entries"},
    "readers.lists.matching": {"readers.lists.entries", "readers.lists.similarity"},
    "readers.lists.report": {"readers.lists.entries", "readers.lists.matching"},
    "sql.snapshot": set(),
}
COMPUTES = set(
    """__future__ base64 bisect calendar collections dataclasses datetime decimal enum functools
    hashlib hmac html itertools json math operator re struct typing unicodedata urllib.parse
    uuid""".split()
)
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input"}


def breaches_of_packages(module: Module) -> Iterator[str]:
    for target in module.imports:
        package = target.partition(".")[0]
        if package in PACKAGES - MAY_IMPORT[module.package] - {module.package}:
            yield f"{module.name} imports {target}"


def layer_of(name: str) -> int | None:
    """Return 0 for the top layer of its package, None for what has no layer."""
    package, _, path = name.partition(".")
    layers = LAYERS.get(package, "").splitlines()
    return next((n for n, each in enumerate(layers) if path.split(".")[0] in each.split()), None)


def breaches_of_layers(module: Module) -> Iterator[str]:
    own = layer_of(module.name)
    if own is None:
        if module.package in LAYERS and "." in module.name:
            yield f"{module.name} is in no layer"
        return
    for target in module.imports:
        layer = layer_of(target) if target.partition(".")[0] == module.package else None
        if layer is not None and layer < own:
            yield f"{module.name} imports {target} of a higher layer"


def breaches_of_purity(module: Module) -> Iterator[str]:
    for folder, allowed in PURE.items():
        if not f"{module.name}.".startswith(f"{folder}."):
            continue
        for target in module.imports:
            parents = {target.rpartition(".")[0], target, target.partition(".")[0]}
            if not parents & (allowed | COMPUTES):
                yield f"{module.name} imports {target}, but is pure"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called.rpartition(".")[2] in IMPURE_CALLS:
                    yield f"{module.name} calls {called}(), but is pure"


def breaches_of_privacy(module: Module) -> Iterator[str]:
    for name in module.names.values():
        if name.partition(".")[0] in PACKAGES and "._" in name and ".__" not in name:
            yield f"{module.name} imports {name}, which is private"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            owner = module.names.get(ast.unparse(node.value), "")
            if owner.partition(".")[0] in PACKAGES:
                yield f"{module.name} uses {owner}.{node.attr}, which is private"


RULES = [breaches_of_packages, breaches_of_layers, breaches_of_purity, breaches_of_privacy]


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    assert sorted({b for module in MODULES.values() for b in rule(module)}) == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (breaches_of_packages, "batch.cli", "from notify_server import cli"),
        (breaches_of_packages, "sql.schema", "def f():\n    import batch.models"),
        (breaches_of_packages, "notify_server.cli", "import mangadex_sim"),
        (breaches_of_layers, "batch.rules.x", "from batch.store import titles"),
        (breaches_of_layers, "notify_server.store.x", "import notify_server.web.app"),
        (breaches_of_layers, "batch.unheard_of", ""),
        (breaches_of_purity, "batch.rules.x", "from batch.errors import Stopped"),
        (breaches_of_purity, "batch.rules.x", "import logging"),
        (breaches_of_purity, "batch.rules.x", "import os.path"),
        (breaches_of_purity, "notify_server.wire.x", "from datetime import datetime as d\nd.now()"),
        (breaches_of_privacy, "batch.cli", "from sql.schema import _SOURCES"),
        (breaches_of_privacy, "batch.cli", "from sql import schema as s\ns._SOURCES"),
    ],
)
def test_a_breach_is_noticed(rule: Rule, name: str, source: str) -> None:
    assert len(list(rule(Module(name, source)))) == 1


def test_every_package_is_listed_and_typed() -> None:
    assert {*MAY_IMPORT} == PACKAGES == {path.parent.name for path in ROOT.glob("*/py.typed")}


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {name: module.imports for name, module in MODULES.items()}
    TopologicalSorter(arrows).prepare()


def test_no_folders_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for module in MODULES.values():
        targets = {MODULES[name].folder for name in module.imports if name in MODULES}
        arrows.setdefault(module.folder, set()).update(targets - {module.folder})
    TopologicalSorter(arrows).prepare()
