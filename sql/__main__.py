"""`python -m sql start|stop|status|url`: the embedded PostgreSQL, for units and for people.

Exit codes: 0 done · 1 failed · 2 bad usage or configuration · 3 `status`: it does not run.
"""

from __future__ import annotations

import argparse
import signal
import sys

from mangahub.command_line import write, write_notice
from mangahub.config import data_dir
from mangahub.env import Env, SettingError
from mangahub.interrupts import die_of_interrupts
from sql import embedded
from sql.errors import SqlError

_NOT_RUNNING = 3


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except SettingError as exc:
        write_notice("sql", exc)
        return 2
    except SqlError as exc:
        write_notice("sql", exc)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sql",
        description="Controls the embedded PostgreSQL that is used where DATABASE_URL is not set.",
        epilog="Its files are below MANGAHUB_DATA, in the directory `postgres`.",
    )
    commands = parser.add_subparsers(required=True, metavar="start|stop|status|url")
    start = commands.add_parser("start", help="start it, or do nothing if it runs")
    start.add_argument(
        "--foreground",
        action="store_true",
        help="stay until TERM or Ctrl-C and stop it then; ends with 1 if the server ends by itself",
    )
    start.set_defaults(run=_start)
    stop = commands.add_parser("stop", help="end all sessions and stop it")
    stop.set_defaults(run=_stop)
    status = commands.add_parser("status", help="say whether it runs; exit code 3 if it does not")
    status.set_defaults(run=_status)
    url = commands.add_parser("url", help="print its URL, and start it if necessary")
    url.set_defaults(run=_url)
    return parser


def _start(arguments: argparse.Namespace) -> int:
    return _stay(Env()) if arguments.foreground else _url(arguments)


def _stay(env: Env) -> int:
    ends = {signal.SIGTERM, signal.SIGINT}
    # Blocked, so that one that comes while the server starts is not lost; see sigtimedwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    place = embedded.places(data_dir(env))
    write_notice("sql", f"serving {place.url()}, log in {place.log}")
    if embedded.watch(data_dir(env), env, ends):
        return 0
    write_notice("sql", f"the server ended by itself, see {place.log}")
    return 1


def _stop(_: argparse.Namespace) -> int:
    stopped = embedded.stop(data_dir(Env()))
    return _print("stopped" if stopped else "not running")


def _status(_: argparse.Namespace) -> int:
    data = data_dir(Env())
    pid = embedded.pid(data)
    if pid is None:
        return _print(f"not running ({embedded.places(data).home})", _NOT_RUNNING)
    return _print(f"running, process {pid}: {embedded.places(data).url()}")


def _url(_: argparse.Namespace) -> int:
    env = Env()
    return _print(embedded.ensure_running(data_dir(env), env))


def _print(line: str, code: int = 0) -> int:
    """Return the code, or 1 if the line cannot be written."""
    if reason := write(line):
        write_notice("sql", reason)
        return 1
    return code


if __name__ == "__main__":
    die_of_interrupts()
    sys.exit(main())
