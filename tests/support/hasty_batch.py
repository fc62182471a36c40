"""The batch with short timeouts, so that an hour's outage passes in seconds.

`python -m tests.support.hasty_batch COMMAND`: the real program but for these waits.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from batch import cli
from batch.mangadex import client, http

client.FIRST_WAIT_S = 0.02
client.LONGEST_WAIT_S = 0.1
client.DEFAULT_PAUSE = timedelta(seconds=0.1)
http.CONNECT_TIMEOUT_S = 0.5
http.TIMEOUT_S = 0.5

if __name__ == "__main__":
    sys.exit(cli.main())
