"""Ctrl-C while a program is still being imported, or where it is ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow  # each test starts programs

# Stands in for a library whose import takes long.
SLOW = "import pathlib, time; pathlib.Path({begun!r}).touch(); time.sleep(30)"


@pytest.mark.parametrize("program", ["batch", "notify_server"])
def test_ctrl_c_during_imports_ends_a_program_at_once_and_silently(
    program: str, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "psycopg.py").write_text(SLOW.format(begun=str(begun)))
    process = subprocess.Popen(
        [sys.executable, "-m", program, "--version"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
    )
    wait_until(begun.exists)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (-signal.SIGINT, b"")


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    """As in the background jobs of a script, which Ctrl-C at its terminal is not meant for."""
    code = (
        "import os, signal; from mangahub.interrupts import die_of_interrupts; die_of_interrupts();"
        "os.kill(os.getpid(), signal.SIGINT); print('alive')"
    )
    command = ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout == "alive\n"
