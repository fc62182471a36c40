"""All programs over a database whose settings a DBA has changed in every way that matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sql
from mangadex_sim import Simulator
from tests.support.databases import make_hostile


def test_no_setting_of_the_database_keeps_a_program_from_its_work(
    make_hub: Callable[..., Any], simulator: Callable[..., Simulator], empty_database_url: str
) -> None:
    with sql.connect(empty_database_url) as connection:
        make_hostile(connection, f'DATABASE "{connection.info.dbname}"')
    sim = simulator(titles=20, rate=0)
    hub = make_hub(sim, empty_database_url, MANGA_SYNC_REFRESH_HOURS="0")
    assert hub.batch("migrate")["status"] == "completed"
    manga = sim.add_title(title="It’s “quoted” \\", contentRating="safe", followedCount=10**6)
    sim.publish(manga, number="1", language="en", readableAt="2020-01-01T00:00:00")
    assert hub.batch("initial-sync", "--count", "20")["failed"] == 0
    hub.serve()
    anna = hub.add_user("anna", manga)
    listener = hub.listen(anna)
    sim.publish(manga, number="2", language="en", title="The hero’s end \\")
    sim.edit_title(manga, status="completed")
    assert hub.batch("chapter-feed")["events"] == 1
    assert hub.batch("chapter-check", "--all")["failed"] == 0
    assert hub.batch("metadata-refresh")["failed"] == 0
    assert [each["type"] for each in listener.take(2)] == ["NEW_CHAPTER", "MANGA_UPDATE"]
    assert hub.batch("relay")["owed"] == 0
    assert hub.batch("status")["status"] == "completed"
    assert hub.batch("retention", "--days", "30")["status"] == "completed"
    assert hub.batch("doctor")["status"] == "completed"
