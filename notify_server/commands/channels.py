"""`channels`: send to readers' channels until TERM or INT."""

from __future__ import annotations

import argparse
import logging
import os
from contextlib import suppress

import sql
from notify_server.channels.sender import Sender
from notify_server.commands.command import Call, Subparsers, add_command
from notify_server.commands.stopping import stopped_by_signals

_NICENESS = 10  # the processor is for those who store and push, before those who wait anyway

log = logging.getLogger(__name__)


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    add_command(commands, "channels", "send what is stored to readers' channels", _run)


def _run(call: Call) -> None:
    with suppress(OSError):
        os.nice(_NICENESS)
    config = call.config
    sender = Sender(
        lambda: sql.database_url(call.env), config.channel_policy, config.public_website
    )
    with stopped_by_signals(sender):
        sender.run()
    log.info("Stopped")
