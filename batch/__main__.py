"""The program: `python -m batch`, or `mangahub-batch`."""

import gc
import sys

from mangahub.interrupts import die_of_interrupts

die_of_interrupts()
# Importing makes many objects and hardly any garbage: looking for it as often as is usual would
# take 15 of the 250 ms until the first request.
gc.set_threshold(20_000)

from batch.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
