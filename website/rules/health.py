"""What is wrong, since when, and what helps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from readers.channels.store import Counts
from sql.state.backlog import Backlog, RejectedEvent
from sql.state.source import Health as SourceHealth
from sql.state.workflows import SyncState, command_name, find_delay

PATIENCE = timedelta(hours=6)  # how late a workflow's success may be
LONG_OWED = timedelta(hours=1)
TIMERS_ALIVE = timedelta(minutes=30)
MIN_FREE_BYTES = 200 * 1024 * 1024
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        since: None where that is not known.
        sync_type: the workflow that can be run again for it.
    """

    what: str
    since: datetime | None
    cure: str
    sync_type: str | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow's row, and what is not in it.

    Attributes:
        status: the row's, or `killed`.
        is_wished: whether an operator has asked for a run.
    """

    row: SyncState
    status: str
    is_wished: bool

    @property
    def name(self) -> str:
        return command_name(self.row.sync_type)

    @property
    def last_run(self) -> dict[str, object]:
        """The summary of the last run; empty where another program has written something else."""
        found = self.row.metadata.get("last_run")
        return found if isinstance(found, dict) else {}

    @property
    def seconds(self) -> float | None:
        found = self.last_run.get("seconds")
        return float(found) if isinstance(found, int | float) else None


@dataclass(frozen=True, slots=True)
class Others:
    """What other processes answer; None where one does not.

    Attributes:
        udp_clients: subscribed to the notification server.
        streams: open now.
        notify_error: why the notification server is of no use.
    """

    udp_clients: int | None
    streams: int | None
    notify_error: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is looked at.

    Attributes:
        free_bytes: of the data directory's disk; None where that is not known.
        titles, readers: how many there are, as far as they are counted.
    """

    now: datetime
    workflows: Sequence[Workflow]
    source: SourceHealth
    backlog: Backlog
    rejected_events: Sequence[RejectedEvent]
    others: Others
    free_bytes: int | None
    titles: int
    readers: int
    channels: Counts = field(default_factory=Counts)


def find_problems(facts: Facts) -> list[Problem]:
    """Return what is wrong, the worst first."""
    return [
        *_of_source(facts),
        *(problem for workflow in facts.workflows for problem in _of_workflow(workflow, facts)),
        *_of_events(facts),
        *_of_processes(facts),
        *_of_channels(facts),
        *_of_disk(facts),
    ]


def problems_json(problems: Sequence[Problem]) -> list[dict[str, str | None]]:
    """Return problems as /health.json and the streams have them."""
    return [
        {
            "what": problem.what,
            "since": problem.since.isoformat(timespec="seconds") if problem.since else None,
            "cure": problem.cure,
        }
        for problem in problems
    ]


def _of_source(facts: Facts) -> Iterator[Problem]:
    source = facts.source
    if source.state == "banned":
        until = f" until {source.until:%Y-%m-%d %H:%M} UTC" if source.until else ""
        what = f"the source has banned this address{until}: {_cut(source.reason)}"
        yield Problem(what, source.since, "wait: a request would prolong it")
    elif source.state != "well":
        what = f"the source does not work: {_cut(source.reason)}"
        yield Problem(what, source.since, "nothing to do here: each run tries again")


def _of_workflow(workflow: Workflow, facts: Facts) -> Iterator[Problem]:
    row, since = workflow.row, workflow.row.last_success_at or workflow.row.last_run_at
    if workflow.status == "error":
        what = f"{workflow.name} failed: {_cut(row.error_message) or 'no reason was left'}"
        yield Problem(what, since, "the next run continues where this one was", row.sync_type)
    elif workflow.status == "killed":
        what = f"{workflow.name} was killed while it ran"
        yield Problem(
            what, row.last_run_at, "the next run continues from its cursor", row.sync_type
        )
    elif workflow.status != "running" and (late := find_delay(row, PATIENCE, facts.now)):
        cure = "check that its timer runs: systemctl list-timers 'mangahub-*'"
        yield Problem(_cut(late), since, cure, row.sync_type)


def _of_events(facts: Facts) -> Iterator[Problem]:
    backlog = facts.backlog
    if backlog.oldest_at is not None and facts.now - backlog.oldest_at >= LONG_OWED:
        reason = f": {_cut(backlog.last_error)}" if backlog.last_error else ""
        what = f"{_events(backlog.count)} not delivered{reason}"
        cure = "start the notification server; the next run delivers them"
        yield Problem(what, backlog.oldest_at, cure)
    if backlog.rejected:
        count = "one event" if backlog.rejected == 1 else f"{backlog.rejected:,} events"
        what = f"the notification server has rejected {count}"
        yield Problem(what, None, "read why below; an update of the server may help")


def _events(count: int) -> str:
    return "one event is" if count == 1 else f"{count:,} events are"


def _of_processes(facts: Facts) -> Iterator[Problem]:
    if facts.others.notify_error:
        what = f"the notification server {facts.others.notify_error}"
        cure = "start mangahub-notify, or correct UDP_SERVER_URL and NOTIFY_API_KEY"
        yield Problem(what, None, cure)
    if facts.others.streams is None:
        what = "the stream process does not answer"
        yield Problem(what, None, "it is started again by itself; look at the website's log")


def _of_channels(facts: Facts) -> Iterator[Problem]:
    if count := facts.channels.unsent:
        to = "one channel" if count == 1 else f"{count:,} channels"
        what = f"what is new has waited for more than 10 minutes to be sent to {to}"
        yield Problem(what, None, "start the sender: systemctl start mangahub-channels")


def _of_disk(facts: Facts) -> Iterator[Problem]:
    if facts.free_bytes is not None and facts.free_bytes < MIN_FREE_BYTES:
        what = f"the data directory's disk has {facts.free_bytes >> 20} MiB free"
        yield Problem(what, None, "free some space on it")


def _cut(text: str | None) -> str:
    """Return a reason on one line, and not longer than a line or two."""
    line = " ".join((text or "").split())
    return line if len(line) <= _MOST_SHOWN else f"{line[: _MOST_SHOWN - 1]}…"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a new installation."""

    text: str
    is_done: bool
    hint: str = ""


def list_steps(facts: Facts, wanted_titles: int) -> list[Step]:
    """Return the steps of a new installation; none once all are done."""
    runs = [w.row.last_run_at for w in facts.workflows if w.row.sync_type == "chapter_feed"]
    ran = [at for at in runs if at is not None and facts.now - at < TIMERS_ALIVE]
    shown = f"{min(facts.titles, wanted_titles):,} of {wanted_titles:,}"
    steps = [
        Step("the database answers", True),
        Step("its schema is current", True),
        Step(f"titles: {shown}", facts.titles >= wanted_titles, "mangahub-batch initial-sync"),
        Step("timers run", bool(ran), "systemctl enable --now mangahub.target"),
        Step("there is a reader", facts.readers > 0, "mangahub-notify user add NAME"),
    ]
    never_ran = all(at is None for at in runs)
    is_new = facts.titles == 0 or facts.readers == 0 or never_ran
    return steps if is_new else []
