"""Kills that cannot be had from outside: at one call of a function, before the commit after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from pytest_mock import MockerFixture


class Killed(Exception):
    """Stands for kill -9 in this process: the open transaction is rolled back."""


@contextmanager
def killed_at(mocker: MockerFixture, module: ModuleType, name: str, call: int) -> Iterator[None]:
    """Die after the function's nth call; the code that follows the block is alive again."""
    real = getattr(module, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if double.call_count == call:
            raise Killed
        return result

    double = mocker.patch.object(module, name, side_effect=dying)
    with suppress(Killed):
        yield
    mocker.stop(double)
