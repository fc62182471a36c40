"""The command line: one simulator in the foreground until a signal comes."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from threading import Event

from mangadex_sim.catalogue.clock import parse_instant
from mangadex_sim.settings import MAX_TITLES, RETRY_HEADERS, Settings
from mangadex_sim.simulator import Simulator

# A thread that renders a page must not delay another that notes a request's arrival.
_SWITCH_S = 0.0005

_EPILOG = """\
The first line on stdout is "mangadex_sim listening on http://HOST:PORT". TERM and INT end it at
once with exit code 0; 2 is bad usage, 1 a port that cannot be bound. Orders while it runs go to
/_sim/..., for example:

  curl -d '{"manga": 0, "number": "12"}' http://127.0.0.1:PORT/_sim/chapters/publish
  curl -d '{"count": 5}'                 http://127.0.0.1:PORT/_sim/titles/add
  curl -d '{"mode": "429_epoch"}'        http://127.0.0.1:PORT/_sim/fail
  curl                                   http://127.0.0.1:PORT/_sim/stats

All orders: python -c 'import mangadex_sim; help(mangadex_sim)'
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; its defaults are those of Settings."""
    normal = Settings()
    parser = argparse.ArgumentParser(
        prog="mangadex_sim",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A stand-in for the MangaDex API with an invented catalogue and the real"
        " rules.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port; 0 picks a free one (default)")
    add(
        "--latency",
        type=float,
        default=0.0,
        metavar="MS",
        help="time from a request's arrival to its answer (default: 0)",
    )
    add(
        "--exclusive-since",
        action="store_true",
        help="the ...Since parameters exclude their instant (the real API's choice is unknown)",
    )
    _add_catalogue_options(parser, normal)
    _add_rate_options(parser, normal)
    return parser


def _add_catalogue_options(parser: argparse.ArgumentParser, normal: Settings) -> None:
    add = parser.add_argument_group("catalogue").add_argument
    add(
        "--titles",
        type=int,
        default=normal.titles,
        help=f"size of the catalogue, 0 to {MAX_TITLES} (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=normal.seed,
        help="another seed is another catalogue (default: %(default)s)",
    )
    add(
        "--recent-chapters",
        type=int,
        default=normal.recent_chapters,
        metavar="N",
        help="chapters published in the last 48 hours (default: %(default)s)",
    )
    add(
        "--history-end",
        type=_read_history_end,
        default=normal.history_end,
        metavar="DATE",
        help="last date of the catalogue's history, UTC (default: 2025-10-01)",
    )


def _add_rate_options(parser: argparse.ArgumentParser, normal: Settings) -> None:
    add = parser.add_argument_group("rate rule").add_argument
    add(
        "--rate",
        type=int,
        default=normal.rate,
        metavar="N",
        help="requests in any sliding second; 0 switches the rule off (default: %(default)s)",
    )
    add(
        "--window",
        type=float,
        default=normal.window_s,
        metavar="S",
        help="that second's length; slightly less tolerates the jitter of a busy machine"
        " (default: %(default)s)",
    )
    add(
        "--retry-header",
        choices=RETRY_HEADERS,
        default=normal.retry_header,
        help="what a 429 says about waiting (default: %(default)s)",
    )
    add(
        "--ban-after",
        type=int,
        default=normal.ban_after,
        metavar="N",
        help="429s within 5 seconds without a ban (default: %(default)s)",
    )
    add(
        "--ban-seconds",
        type=float,
        default=normal.ban_s,
        metavar="S",
        help="length of a ban, renewed by every request (default: %(default)s)",
    )


def _read_history_end(text: str) -> int:
    return parse_instant(text)


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings of a command line; ValueError for a bad value."""
    return Settings(
        titles=arguments.titles,
        seed=arguments.seed,
        recent_chapters=arguments.recent_chapters,
        history_end=arguments.history_end,
        rate=arguments.rate,
        window_s=arguments.window,
        retry_header=arguments.retry_header,
        ban_after=arguments.ban_after,
        ban_s=arguments.ban_seconds,
        latency_s=arguments.latency / 1_000,
        since_inclusive=not arguments.exclusive_since,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run until TERM or INT; return the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        settings = read_settings(arguments)
        simulator = Simulator(settings, host=arguments.host, port=arguments.port)
    except (ValueError, OverflowError) as error:
        parser.error(str(error))
    except OSError as error:
        print(f"cannot listen on {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    sys.setswitchinterval(_SWITCH_S)
    with simulator:
        print(f"mangadex_sim listening on {simulator.url}", flush=True)
        stopped.wait()
    return 0
