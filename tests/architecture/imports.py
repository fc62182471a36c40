"""The imports of the product, read from its source; those inside functions count too."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench"}


@dataclass(frozen=True)
class Module:
    """One file by its dotted name; an `__init__.py` has the name of its folder."""

    name: str
    source: str
    is_folder: bool = False

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def folder(self) -> str:
        """The folder's name, or the module's own where it stands directly in a package."""
        is_own = self.is_folder or self.name.count(".") == 1
        return self.name if is_own else self.name.rpartition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.name)

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for, such as `{"chapters": "batch.rules.chapters"}`."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update({alias.asname or alias.name: alias.name for alias in node.names})
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    @property
    def imports(self) -> set[str]:
        """The modules of the product that it imports, and whatever it imports of others."""
        return {_module_of(name) for name in self.names.values()} - {self.name}


def _module_of(name: str) -> str:
    if name in MODULES or name.partition(".")[0] not in PACKAGES:
        return name
    return _module_of(name.rpartition(".")[0])


def _read(path: Path) -> Module:
    is_folder = path.name == "__init__.py"
    parts = (path.parent if is_folder else path.with_suffix("")).relative_to(ROOT).parts
    return Module(".".join(parts), path.read_text(), is_folder)


MODULES = {
    module.name: module
    for package in sorted(PACKAGES)
    for module in map(_read, sorted((ROOT / package).rglob("*.py")))
}
