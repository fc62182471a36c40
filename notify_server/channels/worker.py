"""The process that sends: confined, without the database, and killed where it takes too long."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import warnings
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from types import ModuleType

import requests

from mangahub.processes import die_with_parent
from notify_server.channels import by_apprise, limits, webhooks
from notify_server.channels.failures import Receipt, Unsendable
from notify_server.channels.limits import Limits
from readers.channels.addresses import WEBHOOK, parse_address
from readers.channels.messages import Delivery
from readers.errors import InvalidPreference

_MOST_DESCRIPTORS = 65_536


def work(parent: int, connection: Connection, apprise: ModuleType | None) -> None:
    """Send each delivery that comes, and return its receipt; never returns."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    gc.freeze()  # what is shared with the parent stays so
    _close_all_but(connection.fileno())
    _silence()
    confined = limits.confine([sys.modules[__name__], requests, *([apprise] if apprise else [])])
    try:
        while True:
            connection.send(_deliver(connection.recv(), confined, apprise))
    except (EOFError, OSError):  # the parent needs it no more
        os._exit(0)


def _deliver(delivery: Delivery, confined: Limits, apprise: ModuleType | None) -> Receipt:
    confined.begin(delivery.policy, delivery.server)
    try:
        if _send(delivery, apprise):
            return Receipt()
        return confined.seen.receipt()
    except (Unsendable, InvalidPreference) as exc:
        return Receipt(str(exc))
    except requests.RequestException:
        return confined.seen.receipt()
    except Exception as exc:  # its text may hold the address
        return Receipt(f"unexpected error: {type(exc).__name__}")


def _send(delivery: Delivery, apprise: ModuleType | None) -> bool:
    parse_address(delivery.address, delivery.policy)  # settings may have changed since
    if delivery.kind == WEBHOOK:
        return webhooks.send(delivery, datetime.now(UTC))
    if apprise is None:
        raise Unsendable(f"Apprise is not installed on the server: `{by_apprise.INSTALL}`")
    return by_apprise.send(apprise, delivery)


def _close_all_but(kept: int) -> None:
    """Close what the parent has open: the database, and the pipes of other processes."""
    os.closerange(3, kept)
    os.closerange(kept + 1, _MOST_DESCRIPTORS)


def _silence() -> None:
    """Let neither the log nor a traceback show an address."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
