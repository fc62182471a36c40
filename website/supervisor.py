"""The parent of the two processes that serve: pages and streams.

It opens both sockets, starts both processes, starts again whichever ends, and ends both. It has no
threads, so that it can fork at any time.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from time import monotonic
from types import FrameType

from mangahub import systemd, website_address
from mangahub.processes import die_with_parent
from mangahub.secret import load_secret
from mangahub.sockets import bind, shown
from website.config import Config, Surroundings, find_addresses
from website.pages import server as pages_server
from website.streams import server as stream_server

log = logging.getLogger(__name__)

_FORK = multiprocessing.get_context("fork")
_STOP_S = 9.0  # below the 10 s within which a service has to end
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
_STEADY_S = 60.0
_TURN_S = 1.0


class _Service:
    """One process that is started again when it ends; the pause between starts grows."""

    def __init__(self, name: str, target: Callable[[], None]) -> None:
        self.name = name
        self._target = target
        self._pause_s = 0.0
        self._started_s = 0.0
        self.process: BaseProcess | None = None
        self.starts_at_s = 0.0

    def start(self) -> None:
        self.process = _FORK.Process(target=_child, args=(self._target, os.getpid()))
        self.process.name = self.name
        self.process.start()
        self._started_s = monotonic()

    def note_end(self) -> None:
        """Plan the next start, later each time unless it has run for a while."""
        assert self.process is not None
        is_steady = monotonic() - self._started_s > _STEADY_S
        self._pause_s = 0 if is_steady else min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        self._pause_s = max(_FIRST_PAUSE_S, self._pause_s)
        log.error(
            "A process has ended, starting it again name=%s exit_code=%s pause_s=%.1f",
            self.name,
            self.process.exitcode,
            self._pause_s,
        )
        self.process = None
        self.starts_at_s = monotonic() + self._pause_s

    def end(self, deadline_s: float) -> None:
        if self.process is None:
            return
        self.process.join(max(0.0, deadline_s - monotonic()))
        if self.process.is_alive():
            log.error("A process does not end, killing it name=%s", self.name)
            self.process.kill()
            self.process.join()


def _child(target: Callable[[], None], parent: int) -> None:
    """Run a service in its process; the parent decides when it ends."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C goes to all processes
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    target()


class Supervisor:
    """Opens the sockets when it is created, so that a port in use is reported first."""

    def __init__(self, config: Config, database_url: str) -> None:
        """Open the sockets.

        Raises:
            PortTaken: one of them cannot be bound.
            SecretUnusable: the secret cannot be read.
        """
        secret = load_secret(config.secret, config.data_dir)
        self._pages = _bind(config.bind, config.port, "WEB_PORT")
        try:
            self._streams = _bind(config.bind, config.stream_port, "WEB_STREAM_PORT")
        except BaseException:
            self._pages.close()
            raise
        addresses = find_addresses(config, shown(self._pages), shown(self._streams))
        self._given = given = Surroundings(
            config, addresses, database_url, secret, shown(self._streams)
        )
        self._services = (
            _Service("pages", lambda: pages_server.run(self._pages, given)),
            _Service("streams", lambda: stream_server.run(self._streams, given)),
        )
        self._signals: list[int] = []

    def run(self, as_json: bool) -> None:
        """Serve until TERM or INT; print the addresses first."""
        with self._hearing_signals() as ear:
            for service in self._services:
                service.start()
            self._announce(as_json)
            while not self._signals:
                self._take_turn(ear)
            systemd.notify("STOPPING=1")
            log.info("Stopping")
            self._stop()
        log.info("Stopped")

    @contextmanager
    def _hearing_signals(self) -> Iterator[socket.socket]:
        """Yield a socket that is readable once a signal has come; a second one ends all at once."""
        ear, mouth = socket.socketpair()
        mouth.setblocking(False)

        def handle(number: int, frame: FrameType | None) -> None:
            if self._signals:
                self._kill_all()
                os._exit(128 + number)
            self._signals.append(number)

        signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handle)
        try:
            yield ear
        finally:
            signal.set_wakeup_fd(-1)
            ear.close()
            mouth.close()
            self._forget_addresses()

    def _take_turn(self, ear: socket.socket) -> None:
        """Wait for a signal or the end of a process; start what is to be started."""
        running = [s.process for s in self._services if s.process is not None]
        due_s = min((s.starts_at_s for s in self._services if s.process is None), default=1e18)
        patience_s = max(0.0, min(_TURN_S, due_s - monotonic()))
        wait([ear, *(process.sentinel for process in running)], patience_s)
        for service in self._services:
            if service.process is None and monotonic() >= service.starts_at_s:
                service.start()
            elif service.process is not None and not service.process.is_alive():
                service.note_end()
        systemd.notify("WATCHDOG=1")

    def _stop(self) -> None:
        deadline_s = monotonic() + _STOP_S
        for service in self._services:
            if service.process is not None:
                service.process.terminate()
        for service in self._services:
            service.end(deadline_s)

    def _kill_all(self) -> None:
        for service in self._services:
            if service.process is not None:
                service.process.kill()

    # --- addresses -----------------------------------------------------------------------------

    def _announce(self, as_json: bool) -> None:
        found = {"http": shown(self._pages), "streams": shown(self._streams)}
        self._write_addresses(found)
        plain = f"listening http={found['http']} streams={found['streams']}"
        with suppress(OSError):  # stdout may be closed
            print(json.dumps(found) if as_json else plain, flush=True)
        log.info("Listening http=%s streams=%s", found["http"], found["streams"])
        systemd.notify("READY=1\nSTATUS=Listening")
        sys.stdout.flush()

    def _write_addresses(self, found: dict[str, str]) -> None:
        """Let `key --link` know where the site is."""
        path = self._given.config.data_dir / website_address.FILE
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.write_text(json.dumps(found), encoding="utf-8")
            draft.replace(path)
        except OSError as exc:
            log.warning("The addresses cannot be kept path=%s reason=%r", path, exc.strerror)

    def _forget_addresses(self) -> None:
        with suppress(OSError):
            (self._given.config.data_dir / website_address.FILE).unlink()


def _bind(address: str, port: int, port_setting: str) -> socket.socket:
    return bind(
        socket.SOCK_STREAM, address, port, port_setting=port_setting, address_setting="WEB_BIND"
    )
