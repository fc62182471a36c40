"""The units: accepted by systemd, well confined, and in step with one another and the programs."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from batch import cli
from tests.support.paths import ROOT
from tests.systemd.conftest import Script

UNITS = ROOT / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("mangahub-*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("mangahub-*.timer"))
JOBS = ("chapter-feed", "new-manga-poll", "chapter-check", "metadata-refresh", "fetch-wanted")
COMMON = UNITS / "mangahub-.service.d/10-common.conf"


def read_setting(path: Path, name: str) -> list[str]:
    """All values that a unit file gives to `name`, in order."""
    return re.findall(rf"^{re.escape(name)}=(.*)$", path.read_text(), re.MULTILINE)


def installed_units(host: Path) -> list[str]:
    folder = host / "etc/systemd/system"
    return sorted(path.name for path in folder.iterdir() if path.is_file())


# --- what systemd says -----------------------------------------------------------------------


def verify(analyze: Script, host: Path) -> tuple[int, str]:
    options = ("--man=no", "--recursive-errors=yes", f"--root={host}")
    folder = host / "etc/systemd/system"
    done = analyze("verify", *options, *installed_units(host), cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_systemd_accepts_all_units_without_a_warning(analyze: Script, host: Path) -> None:
    assert verify(analyze, host) == (0, "")


def test_systemd_would_tell_of_a_mistake(analyze: Script, host: Path, tmp_path: Path) -> None:
    copy = tmp_path / "host"
    shutil.copytree(host, copy, symlinks=True)
    with (copy / "etc/systemd/system/mangahub-.service.d/10-common.conf").open("a") as file:
        file.write("ProtectSistem=strict\n")
    code, text = verify(analyze, copy)
    assert code != 0 and "ProtectSistem" in text


def test_the_backoff_is_accepted_where_systemd_knows_it(
    analyze: Script, host: Path, tmp_path: Path
) -> None:
    version = int(analyze("--version").stdout.split()[1])
    if version < 254:
        pytest.skip(f"systemd is {version}, and RestartSteps= came with 254")
    copy = tmp_path / "host"
    shutil.copytree(host, copy, symlinks=True, dirs_exist_ok=True)
    folder = copy / "etc/systemd/system/mangahub-notify.service.d"
    assert (folder / "20-backoff.conf").is_file()
    assert verify(analyze, copy) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_exposed_little(analyze: Script, host: Path, service: str) -> None:
    folder = host / "etc/systemd/system"
    options = ("--offline=true", "--threshold=30", f"--root={host}")
    done = analyze("security", *options, service, cwd=folder)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level and float(level[1]) < 3, done.stdout + done.stderr
    assert done.returncode == 0


PERIODS = {
    "chapter-feed": timedelta(minutes=5),
    "new-manga-poll": timedelta(days=1),
    "chapter-check": timedelta(days=1),  # of two: half of the titles are due each day
    "metadata-refresh": timedelta(days=1),
    "fetch-wanted": timedelta(minutes=5),
    "relay": timedelta(minutes=1),
    "retention": timedelta(days=1),
}


@pytest.mark.parametrize("job", PERIODS)
def test_a_timer_elapses_at_even_distances(analyze: Script, job: str) -> None:
    (expression,) = read_setting(UNITS / f"mangahub-{job}.timer", "OnCalendar")
    done = analyze("calendar", "--iterations=40", "--base-time=2027-01-20 00:01:00 UTC", expression)
    assert done.returncode == 0, done.stderr
    found = re.findall(
        r"(?:Next elapse|Iter(?:\.|ation) #\d+): \w+ ([\d-]+ [\d:]+) UTC", done.stdout
    )
    times = [datetime.fromisoformat(text) for text in found]
    assert len(times) == 40
    distances = {later - earlier for earlier, later in pairwise(times)}
    assert distances == {PERIODS[job]}


# --- what fits together ----------------------------------------------------------------------


@pytest.mark.parametrize("timer", TIMERS)
def test_a_timer_is_persistent_spread_and_has_its_service(timer: str) -> None:
    path = UNITS / timer
    assert read_setting(path, "Persistent") == ["true"]
    assert read_setting(path, "RandomizedDelaySec")
    assert read_setting(path, "FixedRandomDelay") == ["true"]
    assert read_setting(path.with_suffix(".service"), "Type") == ["oneshot"]


def test_each_recurring_job_has_a_timer() -> None:
    assert set(PERIODS) == {name.removeprefix("mangahub-")[: -len(".timer")] for name in TIMERS}


def test_a_slack_lets_no_run_pass_over_what_the_one_before_has_stored() -> None:
    slacks = {"chapter-check": ("CHAPTER_INTERVAL", 48), "metadata-refresh": ("REFRESH", 24)}
    for job, (name, hours) in slacks.items():
        (delay,) = read_setting(UNITS / f"mangahub-{job}.timer", "RandomizedDelaySec")
        assert delay == "1h"
        setting = f"MANGA_SYNC_{name}_HOURS={hours - 1}"
        assert setting in read_setting(UNITS / f"mangahub-{job}.service", "Environment")


@pytest.mark.parametrize("service", [s for s in SERVICES if "postgres" not in s])
def test_a_service_runs_a_command_that_exists(service: str) -> None:
    (line,) = read_setting(UNITS / service, "ExecStart")
    program, *arguments = shlex.split(line)
    if program.endswith("mangahub-notify"):
        assert arguments in (["serve"], ["channels"])
        return
    if program.endswith("mangahub-web"):
        assert arguments == ["serve"]
        return
    assert program.endswith("mangahub-batch")
    assert cli._parser().parse_args(arguments).command.name == arguments[0]


def test_the_target_brings_along_everything_that_can_be_enabled() -> None:
    units = [path for path in UNITS.glob("mangahub-*.*") if path.is_file()]
    enabled = {p.name for p in units if read_setting(p, "WantedBy") == ["mangahub.target"]}
    brought = " ".join(read_setting(UNITS / "mangahub.target", "Also")).split()
    assert sorted(brought) == sorted(enabled)
    started_by_timers = {name.replace(".timer", ".service") for name in TIMERS}
    assert enabled == (set(SERVICES) - started_by_timers) | set(TIMERS)


def test_all_timers_and_services_stop_with_the_target() -> None:
    for path in [COMMON, *(UNITS / name for name in TIMERS)]:
        assert read_setting(path, "PartOf") == ["mangahub.target"], path.name


@pytest.mark.parametrize("job", JOBS)
def test_news_wait_for_the_first_import_and_wake_the_relay(job: str) -> None:
    path = UNITS / f"mangahub-{job}.service"
    after = " ".join(read_setting(path, "After")).split()
    assert {"mangahub-initial-sync.service", "mangahub-migrate.service"} <= set(after)
    (mark,) = read_setting(UNITS / "mangahub-relay.service", "ConditionPathExists")
    assert read_setting(path, "ExecStopPost") == [f"/usr/bin/touch {mark}"]


def test_stopping_a_batch_unit_is_no_failure() -> None:
    for service in SERVICES:
        (line,) = read_setting(UNITS / service, "ExecStart")
        if "mangahub-batch" in line:
            codes = read_setting(UNITS / service, "SuccessExitStatus")[0].split()
            assert {"143", "SIGTERM"} <= set(codes), service


def test_only_its_own_unit_starts_the_embedded_server() -> None:
    """All others are given its address, and it runs where this is the address they use."""
    (address,) = (
        value.removeprefix("DATABASE_URL=")
        for value in read_setting(COMMON, "Environment")
        if value.startswith("DATABASE_URL=")
    )
    (condition,) = read_setting(UNITS / "mangahub-postgres.service", "ExecCondition")
    assert address.partition("?")[2] in condition
    assert f"DATABASE_URL='{address}'" in (UNITS / "as-mangahub").read_text()
