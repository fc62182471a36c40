"""A second host: a network namespace with a cable of its own, where root may make one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class SecondHost:
    """A namespace with an `address`, that reaches us at `our_address` until its cable is pulled."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self._name, self._cable = f"mangahub-{number}", f"mh{number}a"
        end = f"{number // 250}.{number % 250 + 1}"
        self.our_address, self.address = f"10.213.{end}", f"10.214.{end}"
        self._commands = (
            f"netns add {self._name}",
            f"link add {self._cable} type veth peer name far netns {self._name}",
            f"address add {self.our_address} peer {self.address} dev {self._cable}",
            f"link set {self._cable} up",
            f"-netns {self._name} address add {self.address} peer {self.our_address} dev far",
            f"-netns {self._name} link set far up",
        )

    def build(self) -> None:
        for command in self._commands:
            subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True)

    def command(self, *words: str) -> list[str]:
        """Return the words as a command of that host."""
        return ["ip", "netns", "exec", self._name, *words]

    def pull_cable(self) -> None:
        """Let nothing through any more, without notice to either side."""
        subprocess.run(["ip", "-netns", self._name, "link", "set", "far", "down"], check=True)

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "delete", self._name], capture_output=True)


@contextmanager
def second_host() -> Iterator[SecondHost]:
    """Yield a second host; skip the test where there cannot be one."""
    if shutil.which("ip") is None:
        pytest.skip("no second host can be made here: there is no `ip` (Debian package: iproute2)")
    host = SecondHost()
    try:
        host.build()
        yield host
    except subprocess.CalledProcessError as exc:
        pytest.skip(f"no second host can be made here: {exc.stderr}")
    finally:
        host.remove()
