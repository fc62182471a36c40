"""`python -m mangadex_sim`."""

import sys

from mangadex_sim.cli import main

sys.exit(main())
