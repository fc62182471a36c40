#!/usr/bin/env python3
"""Print MangaHub notifications as they arrive: the reference client, one file for anyone to copy.

  udp_listener.py --server hub.example:8082 --user UUID --key-file ~/.mangahub-key
  udp_listener.py --json | jq .title             one JSON object a line; status goes to stderr
  udp_listener.py --exec 'mail -s MangaHub me'   run a command for each, its JSON on stdin; no shell
  udp_listener.py --count 1 --timeout 600        wait ten minutes for one

`mangahub-notify key USER` prints the key; of a key file the last line is used. MANGAHUB_SERVER,
MANGAHUB_USER, MANGAHUB_KEY_FILE and MANGAHUB_KEY replace options that are not given.

The protocol: each datagram is one JSON object in UTF-8 of at most 1200 bytes.
  1. Send SUBSCRIBE with an empty cookie. The answer is CHALLENGE with a cookie, valid for 30 s.
  2. Send SUBSCRIBE with this cookie and proof = hex HMAC-SHA256(key, "subscribe|USER|1|COOKIE"),
     with 0 instead of 1 if you send no ACKs. The answer is SUBSCRIBE with a session, followed by
     what is unread, or ERROR with the reason. Without an answer, repeat it.
  3. From here on every message carries the session. Ignore those that do not.
  4. Show a notification once, by its id; send an ACK each time. It is repeated after 1, 3 and 7 s;
     a client that has sent no ACK for it after 15 s is dropped, and has to subscribe again.
  5. Send PING after some silence. PONG: all is well. CHALLENGE: the server was restarted or has
     dropped you (go to 2). No answer three times: the server is gone (go to 1).
  6. Send UNSUBSCRIBE before leaving.
UDP hides nothing from those on the path: use a VPN where you do not trust the network.

The ACK is sent once the line is printed and its command, if any, has started. Commands run one at
a time; their output goes to stderr; those still waiting when this program ends run the next time.

Exit codes: 0 --count is reached, SIGTERM, or the reader of stdout has gone; 1 stdout cannot be
written; 2 bad usage; 75 --timeout is over; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import queue
import random
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from datetime import datetime
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import urlsplit

SUBSCRIBE_WAITS = (0.3, 0.7, 1.4)  # in reply timeouts, for the three tries
PING_TRIES = 3
RETRY_MAX_S = 60.0
NAME_LOOKUP_S = 15.0
REMEMBERED_IDS = 10_000
WAITING_COMMANDS = 500
IDS_PER_ACK = 32  # fits one datagram, whatever the ids


class Lost(Exception):
    """The server is gone or rejects us; the text says how that was noticed."""


def printable(value: object) -> str:
    """Return a text on one line, with escapes for control characters."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def local_time(timestamp: object) -> str:
    """Return an RFC 3339 time as local time, with the date unless that is today."""
    moment = now = datetime.now().astimezone()
    with contextlib.suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromisoformat(str(timestamp).replace("Z", "+00:00")).astimezone()
    return moment.strftime("%H:%M:%S" if moment.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def readable(note: dict[str, Any]) -> str:
    kind, title, message = (printable(note.get(key)) for key in ("type", "title", "message"))
    text = f"{local_time(note.get('timestamp'))}  {kind:12}  {title} — {message}"
    return text + details(note.get("data"))


def details(data: object) -> str:
    """Return the language unless it is English, the groups, and the address, as a link."""
    known = data if isinstance(data, dict) else {}
    language, url = printable(known.get("language")), printable(known.get("url"))
    groups = known["groups"] if isinstance(known.get("groups"), list) else []
    text = f" [{language}]" if language not in ("", "en") else ""
    names = ", ".join(filter(None, map(printable, groups)))
    text += f" by {names}" if names else ""
    if not url.startswith(("http://", "https://")):
        return text
    return text + (f"  \33]8;;{url}\33\\{url}\33]8;;\33\\" if sys.stdout.isatty() else f"  {url}")


def say(text: str) -> None:
    """Print the status on stderr; go on if that is closed."""
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(f"{datetime.now():%H:%M:%S}  {printable(text)}\n")


def parse(datagram: bytes) -> dict[str, Any]:
    """Return the message; an empty one, which is ignored, for any other datagram."""
    try:
        message = json.loads(datagram)
        json.dumps(message, allow_nan=False)  # fails for NaN, and if nested too deeply
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else {}


class Listener:
    """Keeps one subscription alive. Commands run in a second thread."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._socket: socket.socket | None = None
        self._session: str | None = None
        self._peer, self._ttl_s = "", 300.0
        self._seen: dict[int, None] = {}  # ids that were shown, oldest first
        self._acks: list[int] = []
        self._commands: queue.Queue[tuple[int, str]] = queue.Queue()
        self._waiting: set[int] = set()  # ids in that queue
        self._left: float = options.count
        self._ends_at = monotonic() + options.timeout

    def run(self) -> NoReturn:
        """Listen until a SystemExit, which may be raised anywhere."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave_by_signal)
        threading.Thread(target=self._run_commands, daemon=True).start()
        try:
            self._stay_subscribed()
        except OSError as exc:  # of stdout: network errors become Lost
            # The rest of the buffer must not fail again when Python closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0 if isinstance(exc, BrokenPipeError) else f"stdout: {exc.strerror}")
        finally:
            with contextlib.suppress(Lost):
                self._send_acks()
                self._greet("UNSUBSCRIBE")  # without waiting: a silent client is dropped anyway

    def _stay_subscribed(self) -> NoReturn:
        failures = 0
        while True:
            try:
                self._connect()
                failures = 0
                self._listen()
            except Lost as lost:
                pause_s = min(RETRY_MAX_S, 2 ** min(failures, 10)) * random.uniform(0.5, 1)
                say(f"{lost}; trying again in {pause_s:.1f} s")
            failures += 1
            self._disconnect()
            self._receive(monotonic() + pause_s)

    def _connect(self) -> None:
        """Subscribe at the first of the server's addresses that answers."""
        for family, _, _, _, address in self._resolve():
            self._disconnect()
            self._peer = f"{address[0]} port {address[1]}"
            try:
                self._socket = socket.socket(family, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                self._socket.connect(address)  # the system drops datagrams from elsewhere
                return self._subscribe("")
            except (Lost, OSError) as exc:
                failure = Lost(exc)
        raise failure

    def _resolve(self) -> list[Any]:
        """Look up the name in a thread, so that a signal or --timeout need not wait for it."""
        host, port = self._options.server
        found: list[Any] = []

        def look_up() -> None:
            with contextlib.suppress(OSError, UnicodeError):
                found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))

        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        thread.join(max(0, min(NAME_LOOKUP_S, self._ends_at - monotonic())))
        if not found:
            raise Lost(f"no address is known for {host}")
        return found

    def _subscribe(self, cookie: str) -> None:
        """Subscribe until that is confirmed; with a cookie, send the proof at once."""
        for wait in SUBSCRIBE_WAITS:
            self._send(self._subscription(cookie))
            deadline, is_challenged = monotonic() + wait * self._options.reply_timeout, False
            while (message := self._receive(deadline)) is not None:
                kind = message.get("type")
                if kind == "SUBSCRIBE" and isinstance(message.get("session"), str):
                    self._session, ttl = message["session"], message.get("ttl")
                    self._ttl_s = ttl if isinstance(ttl, (int, float)) and 1 <= ttl <= 1e6 else 300
                    return say(f"subscribed at {self._peer}")
                if kind == "ERROR":
                    raise Lost(f"refused: {message.get('message')} ({message.get('code')})")
                # One answer a question: otherwise two sides that disagree would go on forever.
                if kind == "CHALLENGE" and not is_challenged:
                    cookie, is_challenged = str(message.get("cookie")), True
                    self._send(self._subscription(cookie))
                self._handle(message)
        hint = "; it asked for proof: are user and key right?" if cookie else ""
        raise Lost(f"no answer from {self._peer}{hint}")

    def _subscription(self, cookie: str) -> dict[str, Any]:
        user, ack = self._options.user, self._options.ack
        message = {"type": "SUBSCRIBE", "user_id": user, "cookie": cookie}
        if not cookie:
            return message
        text = f"subscribe|{user}|{int(ack)}|{cookie}".encode("ascii", "replace")
        proof = hmac.new(self._options.key.encode("ascii"), text, hashlib.sha256).hexdigest()
        return {**message, "ack": ack, "proof": proof}

    def _listen(self) -> None:
        """Handle messages until the server is gone; PING after silence, and within the ttl."""
        tries, quiet_until, renew_at = 0, self._next_ping(), monotonic() + self._ttl_s / 3
        while True:
            message = self._receive(quiet_until)
            if message is None and tries == PING_TRIES:
                raise Lost(f"{self._peer} is gone: no answer to {tries} PINGs")
            if message is None or monotonic() >= renew_at:
                self._greet("PING")
                renew_at = monotonic() + self._ttl_s / 3
            if message is None:
                tries += 1
                quiet_until = monotonic() + self._options.reply_timeout
            elif message.get("type") == "CHALLENGE" and tries:
                say("the server was restarted, or has dropped us")
                self._subscribe(str(message.get("cookie")))
                tries, quiet_until = 0, self._next_ping()
            elif self._handle(message):
                tries, quiet_until = 0, self._next_ping()

    def _next_ping(self) -> float:
        quiet_s: float = min(self._options.ping_interval, self._ttl_s / 3)
        return monotonic() + quiet_s * random.uniform(0.5, 1)

    def _handle(self, message: dict[str, Any]) -> bool:
        """Handle a message; return False if it is not of our session, and so proves nothing."""
        if self._session is None or message.get("session") != self._session:
            return False
        note_id = message.get("id")
        if message["type"] == "ERROR":
            say(f"error: {message.get('message')} ({message.get('code')})")
        elif type(note_id) is int and 0 < note_id < 2**63 and self._left > 0:
            self._handle_notification(note_id, message)
        return True

    def _handle_notification(self, note_id: int, message: dict[str, Any]) -> None:
        """Acknowledge it each time, show it once, without the session, which is a secret."""
        if note_id in self._seen:
            if note_id not in self._waiting:
                self._acks.append(note_id)
            return
        if len(self._waiting) >= WAITING_COMMANDS:
            return say("too many commands are waiting: the server will send this again")
        note = {key: value for key, value in message.items() if key != "session"}
        line = json.dumps(note)  # ASCII, which every terminal can show
        print(line if self._options.json else readable(note), flush=True)
        self._left -= 1
        self._seen[note_id] = None
        if len(self._seen) > REMEMBERED_IDS:
            del self._seen[next(iter(self._seen))]
        if self._options.exec:
            self._waiting.add(note_id)
            self._commands.put((note_id, line))
        else:
            self._acks.append(note_id)

    def _receive(self, deadline: float) -> dict[str, Any] | None:
        """Return the next message, or None at the deadline; also see to ACKs and to the end."""
        while True:
            try:
                if self._socket is not None and len(self._acks) < IDS_PER_ACK:
                    return parse(self._socket.recv(65535))
            except BlockingIOError:
                pass
            except OSError as exc:  # also the ICMP answer to an earlier datagram
                raise Lost(f"{self._peer} is gone ({exc.strerror})") from None
            is_busy = self._commands.unfinished_tasks > 0  # read first: a command may add an ACK
            self._send_acks()
            if self._left <= 0 and not is_busy:
                sys.exit(0)
            if monotonic() >= self._ends_at:
                sys.exit(75)
            wait_s = min(deadline, self._ends_at) - monotonic()
            if wait_s <= 0:
                return None
            sources = [] if self._socket is None else [self._socket]
            select.select(sources, [], [], min(wait_s, 0.05) if is_busy else wait_s)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            if self._socket is not None:
                self._socket.send(json.dumps(message).encode())
        except BlockingIOError:
            pass  # like a datagram that is lost on its way
        except OSError as exc:
            raise Lost(f"{self._peer} cannot be reached ({exc.strerror})") from None

    def _send_acks(self) -> None:
        while self._acks:
            ids = self._acks[:IDS_PER_ACK]
            del self._acks[: len(ids)]  # not all: the other thread may have added one
            if self._session is not None and self._options.ack:
                self._send({"type": "ACK", "session": self._session, "ids": ids})

    def _greet(self, kind: str) -> None:
        if self._session is not None:
            self._send({"type": kind, "session": self._session, "user_id": self._options.user})

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._session = None

    def _run_commands(self) -> None:
        """Run one command at a time, for --exec-timeout at most; the second thread."""
        while True:
            note_id, line = self._commands.get()
            self._waiting.discard(note_id)
            self._acks.append(note_id)
            try:
                subprocess.run(
                    self._options.exec,
                    input=line.encode(),
                    stdout=2,
                    check=True,
                    timeout=self._options.exec_timeout,
                    start_new_session=True,
                )
            except (OSError, subprocess.SubprocessError) as exc:
                say(f"notification {note_id}: {exc}")
            self._commands.task_done()


def leave_by_signal(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the program at once
    sys.exit(130 if number == signal.SIGINT else 0)


def server_address(text: str) -> tuple[str, int]:
    with contextlib.suppress(ValueError):
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and parts.port != 0:
            return parts.hostname, parts.port or 8082
    raise not_allowed(text, "HOST, HOST:PORT or [IPv6]:PORT")


def user_id(text: str) -> uuid.UUID:
    with contextlib.suppress(ValueError):
        return uuid.UUID(text)
    raise not_allowed(text, "the UUID that `mangahub-notify user list` shows")


def positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 1e6:
            return float(text)
    raise not_allowed(text, "a number above 0, 1000000 at most")


def not_allowed(text: str, allowed: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{text!a} is not allowed: it must be {allowed}")


def read_key(path: str | None) -> str:
    """Return the key from the file, else from the environment, else ''. Raises OSError."""
    key = os.environ.pop("MANGAHUB_KEY", "").strip()  # hidden from commands
    path = path or (None if key else os.environ.get("MANGAHUB_KEY_FILE"))
    if path:
        with open(path, encoding="ascii", errors="replace") as file:
            key = file.read(65536).strip()
        if key and os.stat(path).st_mode & 0o044:
            say(f"warning: others can read the key file {path}: run chmod 600 {path}")
    return "".join(key.splitlines()[-1:])


def read_options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS, allow_abbrev=False)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    add, env = cli.add_argument, os.environ
    server = env.get("MANGAHUB_SERVER") or "127.0.0.1:8082"
    user = env.get("MANGAHUB_USER") or None
    add("--server", type=server_address, default=server, metavar="H", help="HOST[:PORT]")
    add("--user", type=user_id, default=user, metavar="UUID", help="the user's id")
    add("--key-file", metavar="F", help="the file with the user's key")
    add("--json", action="store_true", help="print JSON, one object a line")
    add("--exec", type=shlex.split, default=[], metavar="CMD", help="run this per notification")
    add("--exec-timeout", type=positive, default=30, metavar="S", help="and kill it after S; 30")
    add("--count", type=positive, default=1e9, metavar="N", help="end after N notifications")
    add("--timeout", type=positive, default=1e9, metavar="S", help="end after S seconds")
    add("--no-ack", dest="ack", action="store_false", help="send no ACKs; nothing is sent twice")
    add("--ping-interval", type=positive, default=10, metavar="S", help="PING after S quiet; 10")
    add("--reply-timeout", type=positive, default=3, metavar="S", help="await PONG for S; 3")
    options = cli.parse_args()
    if options.user is None:
        cli.error("the user is missing: give --user or MANGAHUB_USER")
    if options.exec and shutil.which(options.exec[0]) is None:
        cli.error(f"--exec: the program {options.exec[0]} does not exist")
    try:
        options.user, options.key = str(options.user), read_key(options.key_file)
    except OSError as exc:
        cli.error(f"the key file {exc.filename} cannot be read: {exc.strerror}")
    if not (options.key and options.key.isascii() and options.key.isprintable()):
        cli.error("no usable key: give --key-file, MANGAHUB_KEY or MANGAHUB_KEY_FILE")
    return options


if __name__ == "__main__":
    sys.stdout = sys.stdout or open(os.devnull, "w")  # closed, as by `>&-`
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    Listener(read_options()).run()
