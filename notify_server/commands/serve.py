"""`serve`, the default: run the server until TERM or INT."""

from __future__ import annotations

import argparse
import json
import logging
from contextlib import suppress

import sql
from mangahub import systemd
from mangahub.secret import load_secret
from notify_server.commands.command import Call, Subparsers, add_command
from notify_server.commands.stopping import stopped_by_signals
from notify_server.config import require_safe
from notify_server.errors import NotifyError
from notify_server.server import NotifyServer

log = logging.getLogger(__name__)


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    add_command(commands, "serve", "run the server (the default)", serve)


def serve(call: Call) -> None:
    require_safe(call.config)
    server = NotifyServer(call.config, load_secret(call.config.secret, call.config.data_dir))
    with stopped_by_signals(server):
        _run(server, call)
    if server.failure is not None:
        raise NotifyError(server.failure)
    log.info("Stopped")


def _run(server: NotifyServer, call: Call) -> None:
    server.start(lambda: sql.database_url(call.env))
    if server.failure is not None:
        return
    if call.config.legacy == "any":
        log.warning(
            "NOTIFY_LEGACY_CLIENTS=any lets anyone make this server send datagrams to "
            "addresses that did not request them"
        )
    log.info("Listening http=%s udp=%s", server.http_address, server.udp_address)
    _print_addresses(server, call.wants_json)
    systemd.notify("READY=1\nSTATUS=Listening")
    server.wait()
    systemd.notify("STOPPING=1")
    log.info("Stopping")


def _print_addresses(server: NotifyServer, as_json: bool) -> None:
    addresses = {"http": server.http_address, "udp": server.udp_address}
    plain = f"listening http={addresses['http']} udp={addresses['udp']}"
    with suppress(OSError):  # stdout may be closed
        print(json.dumps(addresses) if as_json else plain, flush=True)
