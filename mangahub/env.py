"""Settings from the environment: each is declared once, with its variable, default and parser.

A variable that is set to the empty string counts as not set, as in systemd's env files.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class SettingError(Exception):
    """A variable has a value that is not allowed; the text is one line for the operator."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        shown = ascii(value if len(value) <= 80 else value[:77] + "...")
        super().__init__(f"{name}={shown} is not allowed: it must be {allowed}")
        self.name = name


class NotAllowed(ValueError):
    """Raised by parsers; the text says what is allowed."""


class Env:
    """A mapping of environment variables; by default the process's own."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def raw(self, name: str) -> str | None:
        """Return the value without surrounding blanks, None if it is not set or empty."""
        return self._environ.get(name, "").strip() or None

    def is_blank(self, name: str) -> bool:
        """Return whether the variable is set, but to blanks only."""
        return self.raw(name) is None and bool(self._environ.get(name))


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting.

    Attributes:
        default: the value if the variable is not set, or a function that returns it.
        parse: returns the value of a text, or raises NotAllowed.
        is_secret: an error never shows the text.
        may_be_blank: blanks count as not set; otherwise they are an error.
    """

    name: str
    default: T | Callable[[], T]
    parse: Callable[[str], T]
    is_secret: bool = False
    may_be_blank: bool = True

    def read(self, env: Env) -> T:
        """Return the setting's value.

        Raises:
            SettingError: the text is not allowed.
        """
        text = env.raw(self.name)
        if text is None:
            if env.is_blank(self.name) and not self.may_be_blank:
                raise SettingError(self.name, "***", "more than blanks, or not set")
            return self.default() if callable(self.default) else self.default
        try:
            return self.parse(text)
        except NotAllowed as exc:
            # The text before an @ may be a password.
            shown = "***" if self.is_secret else re.sub(r"//.*@", "//***@", text)
            raise SettingError(self.name, shown, str(exc)) from None

    def field(self) -> T:
        """Declare a field of a configuration: a dataclass that `read_config` makes."""
        return cast(T, dataclasses.field(metadata={"setting": self}))


def setting(
    name: str,
    default: T | Callable[[], T],
    parse: Callable[[str], T],
    is_secret: bool = False,
    may_be_blank: bool = True,
) -> T:
    """Declare a setting and its field at once."""
    return Setting(name, default, parse, is_secret, may_be_blank).field()


def settings_of(kind: type) -> dict[str, Setting[Any]]:
    """Return the settings of a configuration by their fields."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(kind)}


def read_config(kind: type[T], env: Env) -> T:
    """Return a configuration with every setting read and checked.

    Raises:
        SettingError: the first bad value, with what is allowed.
    """
    return kind(**{name: found.read(env) for name, found in settings_of(kind).items()})
