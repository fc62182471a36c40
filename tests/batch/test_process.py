"""A child that cannot be started is one line."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from batch.errors import BatchError
from batch.process import start_child


def test_no_process_left_is_one_line(mocker: MockerFixture) -> None:
    mocker.patch("os.fork", side_effect=BlockingIOError(11, "Resource temporarily unavailable"))
    with pytest.raises(BatchError, match=r"no process can be started for worker-1: Resource temp"):
        start_child(print, name="worker-1")
