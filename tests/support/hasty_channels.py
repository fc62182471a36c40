"""The notification server's commands with a sender that waits for tenths of seconds.

`python -m tests.support.hasty_channels channels`: the real program but for these waits.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from notify_server import cli
from notify_server.channels import pacing, processes, sender

pacing.FIRST_WAIT = timedelta(seconds=0.2)
pacing.LONGEST_WAIT = timedelta(seconds=0.4)
pacing.PATIENCE = timedelta(seconds=2)
processes.DELIVERY_S = 2.0
sender.LOOK_S = 0.1

if __name__ == "__main__":
    sys.exit(cli.main())
