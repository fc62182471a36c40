#!/usr/bin/env python3
"""Shows MangaHub notifications as they arrive: the reference client, one file for anyone to copy.

  udp_listener.py --server hub.example:8082 --user UUID --key-file ~/.mangahub-key
  udp_listener.py --json | jq .title             one JSON object a line; status goes to stderr
  udp_listener.py --exec 'mail -s MangaHub me'   a command for each, its JSON on stdin; no shell
  udp_listener.py --count 1 --timeout 600        wait ten minutes for one

`mangahub-notify key USER` prints the key; of a key file the last line counts. MANGAHUB_SERVER,
MANGAHUB_USER, MANGAHUB_KEY_FILE and MANGAHUB_KEY stand in for options that are not given.

The protocol: each datagram is one JSON object in UTF-8 of at most 1200 bytes.
  1. SUBSCRIBE with an empty cookie is answered by CHALLENGE with a cookie, good for 30 s.
  2. SUBSCRIBE with this cookie and proof = hex HMAC-SHA256(key, "subscribe|USER|1|COOKIE"), 0
     instead of 1 without ACKs, is answered by SUBSCRIBE with a session, and what is unread
     follows. ERROR tells why not. Silence: ask again.
  3. From here on everything carries the session. Ignore what does not.
  4. Show a notification once, by its id; ACK it each time. It comes again after 1, 3 and 7 s;
     a client that has sent no ACK for it after 15 s is dropped, and has to subscribe again.
  5. PING when it is quiet: PONG means that all is well; CHALLENGE, that the server was restarted
     or has dropped us (go to 2); three times nothing, that it is gone (go to 1).
  6. UNSUBSCRIBE before leaving.
UDP hides nothing from those on the path: use a VPN where you do not trust the network.

The ACK is sent when the line is printed and its command, if any, is due. Commands run one at a
time, their output goes to stderr; those that wait when this program ends come the next time.

Exit codes: 0 the wanted number has come, SIGTERM, or nobody reads stdout any more; 1 stdout
cannot be written; 2 bad usage; 75 --timeout is over; 130 Ctrl-C.
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

SUBSCRIBE_WAITS = (0.3, 0.7, 1.4)  # reply time-outs, for the first, the second and the third
PING_TRIES = 3
RETRY_MAX_S = 60.0
NAME_LOOKUP_S = 15.0
REMEMBERED_IDS = 10_000
WAITING_COMMANDS = 500
IDS_PER_ACK = 32  # fits one datagram, whatever the ids
COLOURS = {"NEW_MANGA": 32, "NEW_CHAPTER": 36, "MANGA_UPDATE": 33, "bold": 1, "dim": 2}


class Lost(Exception):
    """The server is gone or does not want us; the text says how that was noticed."""


def harmless(value: object) -> str:
    """A text on one line that cannot steer a terminal: control characters become visible."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def local_time(timestamp: object) -> str:
    """The RFC 3339 time in this place, with the date where that is not today."""
    moment = now = datetime.now().astimezone()
    with contextlib.suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromisoformat(str(timestamp).replace("Z", "+00:00")).astimezone()
    return moment.strftime("%H:%M:%S" if moment.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def paint(text: str, colour: str, stream: Any) -> str:
    """In colour, where `stream` is a terminal and nobody objects."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour in COLOURS else text


def readable(note: dict[str, Any]) -> str:
    kind, title, message = (harmless(note.get(key)) for key in ("type", "title", "message"))
    label, title = paint(f"{kind:12}", kind, sys.stdout), paint(title, "bold", sys.stdout)
    return f"{local_time(note.get('timestamp'))}  {label}  {title} — {message}"


def say(text: str) -> None:
    """One line about ourselves, on stderr; that nobody reads it is no reason to end."""
    with contextlib.suppress(OSError, AttributeError):
        line = f"{datetime.now():%H:%M:%S}  {harmless(text)}"
        sys.stderr.write(paint(line, "dim", sys.stderr) + "\n")


def parse(datagram: bytes) -> dict[str, Any]:
    """The message; an empty one, which everybody ignores, where there is none."""
    try:
        message = json.loads(datagram)
        json.dumps(message, allow_nan=False)  # what is nested too deeply, or no number, fails here
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else {}


class Listener:
    """One subscription, kept alive. Commands run in a thread beside it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._socket: socket.socket | None = None
        self._session: str | None = None
        self._peer, self._ttl_s = "", 300.0
        self._seen: dict[int, None] = {}  # the ids of what was shown, oldest first
        self._acks: list[int] = []
        self._commands: queue.Queue[tuple[int, str]] = queue.Queue()
        self._waiting: set[int] = set()  # the ids of what is in that queue
        self._left: float = options.count
        self._ends_at = monotonic() + options.timeout

    def run(self) -> NoReturn:
        """Listen until there is a reason to leave: a SystemExit, wherever it comes up."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave_by_signal)
        threading.Thread(target=self._run_commands, daemon=True).start()
        try:
            self._stay_subscribed()
        except OSError as exc:  # of stdout: where the network fails, that is Lost
            # What is left in the buffer must not fail once more when Python closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0 if isinstance(exc, BrokenPipeError) else f"stdout: {exc.strerror}")
        finally:
            with contextlib.suppress(Lost):
                self._send_acks()
                self._greet("UNSUBSCRIBE")  # without waiting: who is silent is dropped too

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
                self._socket.connect(address)  # the system drops what comes from elsewhere
                return self._subscribe("")
            except (Lost, OSError) as exc:
                failure = Lost(exc)
        raise failure

    def _resolve(self) -> list[Any]:
        """Look the name up anew; in a thread, which a signal or --timeout need not wait for."""
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
        """Ask until it is confirmed; straight away with the proof where there is a cookie."""
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
                # One answer a question: else two sides that disagree would never come to rest.
                if kind == "CHALLENGE" and not is_challenged:
                    cookie, is_challenged = str(message.get("cookie")), True
                    self._send(self._subscription(cookie))
                self._take(message)
        hint = "; it asked for proof: are user and key right?" if cookie else ""
        raise Lost(f"no answer from {self._peer}{hint}")

    def _subscription(self, cookie: str) -> dict[str, Any]:
        user, ack = self._options.user, self._options.ack
        if not cookie:
            return {"type": "SUBSCRIBE", "user_id": user, "cookie": ""}
        text = f"subscribe|{user}|{int(ack)}|{cookie}".encode("ascii", "replace")
        proof = hmac.new(self._options.key.encode("ascii"), text, hashlib.sha256).hexdigest()
        return {"type": "SUBSCRIBE", "user_id": user, "cookie": cookie, "ack": ack, "proof": proof}

    def _listen(self) -> None:
        """Take what comes until the server is gone. PING when it is quiet, and well within the
        ttl: a client that has nothing to acknowledge would look dead."""
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
            elif self._take(message):
                tries, quiet_until = 0, self._next_ping()

    def _next_ping(self) -> float:
        quiet_s: float = min(self._options.ping_interval, self._ttl_s / 3)
        return monotonic() + quiet_s * random.uniform(0.5, 1)

    def _take(self, message: dict[str, Any]) -> bool:
        """Deal with a message; False where it is not of our session, and so proves nothing."""
        if self._session is None or message.get("session") != self._session:
            return False
        note_id = message.get("id")
        if message["type"] == "ERROR":
            say(f"error: {message.get('message')} ({message.get('code')})")
        elif type(note_id) is int and 0 < note_id < 2**63 and self._left > 0:
            self._take_notification(note_id, message)
        return True

    def _take_notification(self, note_id: int, message: dict[str, Any]) -> None:
        """Acknowledged each time, shown once. The session is a secret, and not shown."""
        if note_id in self._seen:
            if note_id not in self._waiting:
                self._acks.append(note_id)
            return
        if len(self._waiting) >= WAITING_COMMANDS:
            return say("too many commands are waiting: the server has to send this again")
        note = {key: value for key, value in message.items() if key != "session"}
        line = json.dumps(note)  # in ASCII, which any terminal can show
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
        """The next message, or None at the deadline. Everything that waits, waits here, so that
        ACKs, --count and --timeout are looked after whatever is going on."""
        while True:
            try:
                if self._socket is not None and len(self._acks) < IDS_PER_ACK:
                    return parse(self._socket.recv(65535))
            except BlockingIOError:
                pass
            except OSError as exc:  # also where an earlier datagram was refused: nobody listens
                raise Lost(f"{self._peer} is gone ({exc.strerror})") from None
            is_busy = self._commands.unfinished_tasks > 0  # looked at first: it may add an ACK
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
            pass  # as good as lost on its way
        except OSError as exc:
            raise Lost(f"{self._peer} cannot be reached ({exc.strerror})") from None

    def _send_acks(self) -> None:
        while self._acks:
            ids = self._acks[:IDS_PER_ACK]
            del self._acks[: len(ids)]  # and not more: the other thread may have added one
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
        """The other thread: one command at a time, none for longer than --exec-timeout."""
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
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc != text or parts.port == 0:
        raise ValueError
    return parts.hostname, parts.port or 8082


def positive(text: str) -> float:
    if not 0 < float(text) <= 1e6:
        raise ValueError
    return float(text)


def read_key(path: str | None) -> str:
    """From the file, else from the environment; '' where there is none. Raises OSError."""
    key = os.environ.pop("MANGAHUB_KEY", "").strip()  # commands need not know it
    path = path or (None if key else os.environ.get("MANGAHUB_KEY_FILE"))
    if path:
        with open(path, encoding="ascii", errors="replace") as file:
            key = file.read(65536).strip()
        if key and os.stat(path).st_mode & 0o044:
            say(f"warning: others can read the key file {path}; chmod 600 helps")
    return "".join(key.splitlines()[-1:])


def read_options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS, allow_abbrev=False)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    add, env = cli.add_argument, os.environ
    add(
        "--server",
        type=server_address,
        default=env.get("MANGAHUB_SERVER") or "127.0.0.1",
        metavar="HOST[:PORT]",
        help="or [IPv6]:PORT; default 127.0.0.1:8082",
    )
    add("--user", type=uuid.UUID, default=env.get("MANGAHUB_USER") or None, metavar="UUID")
    add("--key-file", metavar="F", help="where the user's key is")
    add("--json", action="store_true", help="print JSON, one object a line")
    add("--exec", type=shlex.split, default=[], metavar="CMD", help="run this per notification")
    add("--exec-timeout", type=positive, default=30, metavar="S", help="kill it then; default 30")
    add("--count", type=positive, default=1e9, metavar="N", help="end after N notifications")
    add("--timeout", type=positive, default=1e9, metavar="S", help="end after this long")
    add("--no-ack", dest="ack", action="store_false", help="have each sent once, come what may")
    add("--ping-interval", type=positive, default=10, metavar="S", help="of silence; default 10")
    add("--reply-timeout", type=positive, default=3, metavar="S", help="for PINGs; default 3")
    options = cli.parse_args()
    if options.user is None:
        cli.error("the user is missing: give --user or MANGAHUB_USER")
    if options.exec and shutil.which(options.exec[0]) is None:
        cli.error(f"--exec: there is no program {options.exec[0]}")
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
