"""The end of the tour: the website, open until the newcomer has seen enough."""

from __future__ import annotations

import json
import select
import sys

import requests

from scripts.quickstart import screen
from scripts.quickstart.programs import Programs, Signals


def show(programs: Programs, signals: Signals, reader: str | None, may_wait: bool) -> None:
    """Start the website and print where it is; wait for Enter at a terminal.

    Args:
        reader: who gets a link that signs in; None in a database with readers of its own.
    """
    screen.step("The website")
    screen.command("mangahub-web &")
    _, line = programs.serve("mangahub-web", "serve", "--json", ready="{")
    url = f"http://{json.loads(line)['http']}"
    requests.get(f"{url}/readyz", timeout=20).raise_for_status()
    if reader is None:
        screen.command("mangahub-notify key NAME --link")
        screen.result(url, "bold green")
    else:
        screen.command(f"mangahub-notify key {reader} --link")
        link = programs.ask("mangahub-notify", "key", reader, "--link")["link"]
        screen.result(link, "bold green")
        screen.result(f"This link signs {reader} in, once, within 15 minutes.")
    if may_wait and sys.stdin.isatty():
        screen.step("Everything is running. Press Enter to stop it")
        signals.wait(lambda: bool(select.select([sys.stdin], [], [], 0)[0]))
        sys.stdin.readline()
