"""Where things lie: the checkout, what lies beside it, and old databases for adoption."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The API's description and recorded answers; absent from an ordinary clone.
SHARED = ROOT.parent / "shared" / "mangadex"
OLD_DATABASES = ROOT / "tests" / "sql" / "old_databases"
