"""The budget of requests, as a test finds or changes it."""

from __future__ import annotations

import sql


def forget_budget(database_url: str) -> None:
    """Forget all departures and pauses of all sources."""
    with sql.connect(database_url, "mangahub-tests") as connection:
        connection.execute("DELETE FROM api_budget")
