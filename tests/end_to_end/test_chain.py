"""The whole way: what happens at the source appears in the terminals of those who read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mangadex_sim import Simulator


def said(notification: dict[str, Any]) -> tuple[str, str]:
    return notification["type"], notification["message"]


def test_each_reader_hears_what_is_new_of_his_own_titles_once_and_in_order(
    make_hub: Callable[..., Any], simulator: Callable[..., Simulator], database_url: str
) -> None:
    sim = simulator(titles=40, rate=0)
    hub = make_hub(sim, database_url, MANGA_SYNC_REFRESH_HOURS="0")
    titles = [
        sim.add_title(title=f"Tale {name}", contentRating="safe", followedCount=10**6, cover=True)
        for name in ("of Ink", "of Rain", "of Salt")
    ]
    for manga in titles:
        for number in ("1", "2", "3"):
            # Not in the second of the first sync, which counts as after it.
            sim.publish(manga, number=number, language="en", readableAt="2020-01-01T00:00:00")
    assert hub.batch("initial-sync", "--count", "20")["manga_new"] == 20
    hub.serve()
    anna = hub.add_user("anna", titles[0], titles[1])
    bert = hub.add_user("bert", titles[1], titles[2])
    anna_at_home, bert_at_home = hub.listen(anna), hub.listen(bert)

    sim.publish(titles[0], number="4", language="en", groups=["First"])
    sim.publish(titles[0], number="4", language="en", groups=["Second"])
    sim.publish(titles[1], number="3.5", language="en")
    sim.publish(titles[1], number="5", language="fr")
    assert hub.batch("chapter-feed")["events"] == 2
    heard = [said(each) for each in anna_at_home.take(2)]
    assert sorted(heard) == [
        ("NEW_CHAPTER", "New chapter 3.5 available (was chapter 3)"),
        ("NEW_CHAPTER", "New chapter 4 available (was chapter 3)"),
    ]
    assert [said(each) for each in bert_at_home.take(1)] == [
        ("NEW_CHAPTER", "New chapter 3.5 available (was chapter 3)")
    ]

    bert_at_home.close()
    sim.add_title(title="A Newcomer", contentRating="safe")
    assert hub.batch("new-manga-poll")["events"] == 1
    for chapter in range(4, 14):
        sim.publish(titles[2], number=str(chapter), language="en")
    assert hub.batch("chapter-feed")["events"] == 1
    sim.edit_title(titles[1], status="completed", title="Tale of Heavy Rain")
    assert hub.batch("metadata-refresh")["events"] == 1
    assert [said(each) for each in anna_at_home.take(2)] == [
        ("NEW_MANGA", "New manga added: A Newcomer"),
        ("MANGA_UPDATE", "Updated: title and status"),
    ]

    bert_again = hub.listen(bert)
    missed = bert_again.take(3)
    assert [said(each) for each in missed] == [
        ("NEW_MANGA", "New manga added: A Newcomer"),
        ("NEW_CHAPTER", "10 new chapters available: 4–13 (was chapter 3)"),
        ("MANGA_UPDATE", "Updated: title and status"),
    ]
    assert [each["id"] for each in missed] == sorted(each["id"] for each in missed)
    assert hub.batch("chapter-feed")["events"] == 0
    assert hub.batch("chapter-check", "--all")["events"] == 0
    assert hub.batch("relay")["owed"] == 0
    assert not anna_at_home.has_more()
    assert not bert_again.has_more()


def test_news_from_a_long_outage_of_the_server_is_delivered_when_it_is_back(
    make_hub: Callable[..., Any], simulator: Callable[..., Simulator], database_url: str
) -> None:
    sim = simulator(titles=30, rate=0)
    hub = make_hub(sim, database_url)
    manga = sim.add_title(title="Tale of Ink", contentRating="safe", followedCount=10**6)
    hub.batch("initial-sync", "--count", "10")
    reader = hub.add_user("anna", manga)
    for number in ("1", "2", "3"):
        sim.publish(manga, number=number, language="en")
        assert hub.batch("chapter-feed")["status"] == "completed"
    assert hub.batch("relay", code=75)["owed"] == 3
    hub.serve()
    listener = hub.listen(reader)
    sim.publish(manga, number="4", language="en")
    assert hub.batch("chapter-feed")["status"] == "completed"
    assert [each["data"]["chapter"] for each in listener.take(4)] == [1, 2, 3, 4]
    assert hub.batch("relay") == {
        "sync_type": "relay",
        "status": "completed",
        "accepted": 0,
        "owed": 0,
        "rejected": [],
    }
    assert not listener.has_more()
