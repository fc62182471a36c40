"""The program: `python -m batch`, or `mangahub-batch`."""

import sys

from mangahub.interrupts import die_of_interrupts

die_of_interrupts()

from batch.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
