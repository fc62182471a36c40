"""Streams over real sockets: who hears what, and nothing twice or never."""

from __future__ import annotations

import pytest

import sql
from notify_server.store.notifications import store_next
from notify_server.store.recipients import PORTION_ROWS
from notify_server.store.unfinished import choose_next
from readers.telling import tell
from readers.users import find_user
from tests.support.waiting import wait_until
from tests.website.streams.client import Event
from tests.website.streams.conftest import ORIGIN, Scene, publish
from website.streams import server
from website.streams.hub import HEARTBEAT_S


def chapters(events: list[Event]) -> list[int]:
    return [event.data["data"]["chapter"] for event in events]


def test_a_reader_gets_the_text_of_a_datagram_without_session(scene: Scene) -> None:
    reader = scene.add_reader("anna")
    with scene.open(reader).ready() as client:
        event_id = scene.publish(181)
        (event,) = client.events(1)
    row = scene.connection.execute(
        "SELECT id, created_at FROM notifications WHERE event_id = %s", [event_id]
    ).fetchone()
    assert row is not None
    assert event.kind == "news"
    assert event.data == {
        "type": "NEW_CHAPTER",
        "id": row[0],
        "manga_id": scene.manga_id,
        "title": "Blue Lantern",
        "message": "New chapter 181 available",
        "timestamp": row[1].isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "data": {"chapter": 181, "language": "en"},
        "changes": [{"field": "current_chapter", "old_value": None, "new_value": 181}],
    }


def test_a_visitor_hears_of_all_titles_also_where_nobody_is_told(scene: Scene) -> None:
    with scene.open().ready() as client:
        scene.publish(1)
        scene.publish(2)
        assert chapters(client.events(2)) == [1, 2]


def test_a_reader_hears_of_nobody_elses_news(scene: Scene) -> None:
    anna, bert = scene.add_reader("anna"), scene.add_reader("bert")
    scene.connection.execute("DELETE FROM user_library WHERE user_id = %s", [bert])
    with scene.open(anna).ready() as her, scene.open(bert).ready() as his:
        scene.publish(1)
        her.events(1)
        scene.connection.execute(
            "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [bert, scene.manga_id]
        )
        scene.publish(2)
        assert chapters(her.events(1)) == chapters(his.events(1)) == [2]


def test_what_was_missed_comes_once_wherever_the_stream_was_cut(scene: Scene) -> None:
    reader = scene.add_reader("anna")
    with scene.open(reader).ready() as client:
        last = client.last_id
    for number in range(1, 121):  # three parts of a replay
        scene.publish(number)
    for cut in (1, 49, 50, 51, 100, 119):
        with scene.open(reader, last) as client:
            heard = chapters(client.events(cut))
            at = client.last_id
        with scene.open(reader, at) as client:
            heard += chapters(client.events(120 - cut))
            scene.publish(1_000)
            assert chapters(client.events(1)) == [1_000]
        assert heard == [*range(1, 121)]
        for table in ("notifications", "notification_receipts"):
            query = f"DELETE FROM {table} WHERE message LIKE 'New chapter 1000 %'"
            scene.connection.execute(query.encode())


def test_of_more_than_a_thousand_the_newest_come_and_then_a_reset(scene: Scene) -> None:
    with scene.open().ready() as client:
        last = client.last_id
    for number in range(1, 1_101):
        scene.publish(number)
    with scene.open(last=last) as client:
        *news, reset = client.events(1_001)
        assert chapters(news) == [*range(101, 1_101)]
        assert reset.kind == "reset"
        scene.publish(2_000)
        assert chapters(client.events(1)) == [2_000]


def test_events_of_one_transaction_come_all(scene: Scene) -> None:
    with scene.open().ready() as live:
        last = live.last_id
        with scene.connection.transaction():
            for number in range(1, 71):
                scene.publish(number)
        assert sorted(chapters(live.events(70))) == [*range(1, 71)]
    with scene.open(last=last) as late:
        assert sorted(chapters(late.events(70))) == [*range(1, 71)]


def test_what_is_told_to_one_reader_alone_reaches_nobody_else(scene: Scene) -> None:
    anna, bert = scene.add_reader("anna"), scene.add_reader("bert")
    user = find_user(scene.connection, "anna")
    with scene.open(anna).ready() as hers, scene.open(bert).ready() as his, scene.open() as public:
        public.ready()
        since = public.last_id
        tell(scene.connection, user, "NEW_MANGA", "own", scene.manga_id, "Her title", "It came")
        scene.publish(1)
        assert [event.data["message"] for event in hers.events(2)] == [
            "It came",
            "New chapter 1 available",
        ]
        assert chapters(his.events(1)) == chapters(public.events(1)) == [1]
    for reader, count in ((anna, 2), (bert, 1), (None, 1)):
        with scene.open(reader, since) as again:
            scene.publish(1)
            assert chapters(again.events(count + 1)[-1:]) == [1]


def test_events_that_commit_out_of_order_are_neither_lost_nor_repeated(scene: Scene) -> None:
    """The one that began first commits last, so that its number is lower than one already sent."""
    with sql.connect(scene.url, "mangahub-tests") as slow, scene.open().ready() as client:
        with slow.transaction():
            publish(slow, scene.manga_id, 1)
            scene.publish(2)
            assert chapters(client.events(1)) == [2]
            at = client.last_id
        assert chapters(client.events(1)) == [1]
        with scene.open(last=at) as again:
            scene.publish(3)
            assert chapters(again.events(2)) == [1, 3]


def test_a_server_that_restarts_continues_where_each_reader_was(scene: Scene) -> None:
    reader = scene.add_reader("anna")
    with scene.open(reader).ready() as client:
        scene.publish(1)
        assert chapters(client.events(1)) == [1]
        scene.servers[-1].stop()
        assert b": the server is stopping" in client.rest()
        at = client.last_id
    scene.publish(2)
    scene.serve()
    with scene.open(reader, at) as client:
        scene.publish(3)
        assert chapters(client.events(2)) == [2, 3]


def test_a_reader_sees_what_was_marked_elsewhere(scene: Scene) -> None:
    anna, bert = scene.add_reader("anna"), scene.add_reader("bert")
    with scene.open(anna).ready() as her, scene.open(bert).ready() as his:
        scene.publish(1)
        scene.publish(2)
        ids = [event.data["id"] for event in her.events(2)]
        his.events(2)
        at = her.last_id
        mark = "UPDATE notifications SET read = %s WHERE id = ANY(%s)"
        scene.connection.execute(mark, [True, ids])
        (event,) = her.events(1)
        assert (event.kind, event.data) == ("read", {"ids": ids, "read": True, "unread": 0})
        scene.connection.execute(mark, [False, ids[:1]])
        (event,) = her.events(1)
        assert event.data == {"ids": ids[:1], "read": False, "unread": 1}
        scene.publish(3)
        assert chapters(his.events(1)) == [3]  # and nothing of hers
    with scene.open(anna, at) as her:
        kinds = [event.kind for event in her.events(3)]
        assert kinds == ["news", "read", "read"]


def test_a_thousand_marks_arrive_in_portions(scene: Scene) -> None:
    reader = scene.add_reader("anna")
    scene.connection.execute(
        "INSERT INTO notifications (user_id, message, read)"
        " SELECT %s, 'x', false FROM generate_series(1, 1000)",
        [reader],
    )
    with scene.open(reader).ready() as client:
        scene.connection.execute("UPDATE notifications SET read = true")
        marked: set[int] = set()
        while len(marked) < 1_000:
            (event,) = client.events(1)
            marked |= set(event.data["ids"])
        assert event.data["unread"] == 0


def test_a_message_that_is_no_message_does_no_harm(scene: Scene) -> None:
    with scene.open().ready() as client:
        for channel in ("mangahub_marks", "mangahub_notifications"):
            for payload in ("", "x", "1,2,,3", "9" * 400, "-1", "{}"):
                scene.connection.execute("SELECT pg_notify(%s, %s)", [channel, payload])
        scene.publish(1)
        assert chapters(client.events(1)) == [1]


def test_a_position_that_is_none_begins_anew_with_a_reset(scene: Scene) -> None:
    scene.publish(1)
    for last in ("x", "1:2", "5:4:", "4:6:9", "9" * 40, f"{2**62}:{2**62}:", "1:1:1;DROP"):
        with scene.open(last=last) as client:
            (event,) = client.events(1)
            assert event.kind == "reset"
            client.ready()
            scene.publish(2)
            assert chapters(client.events(1)) == [2]


def test_the_position_may_stand_in_the_address(scene: Scene) -> None:
    """A page that opens a stream says what it has shown; scripts cannot set the header."""
    with scene.open().ready() as client:
        target, at = client.target, client.last_id
    scene.publish(1)
    with scene.connect(f"{target}&last_event_id={at}") as client:
        assert chapters(client.events(1)) == [1]


def test_every_stream_gets_a_comment_within_15_seconds(scene: Scene) -> None:
    with scene.open().ready() as client:
        hub = scene.servers[-1].server
        loop = scene.servers[-1].loop
        for slot in range(HEARTBEAT_S):
            loop.call_soon_threadsafe(hub.beat, slot)
        assert client.block() == "-"


def test_only_the_pages_of_the_site_may_read_a_stream(scene: Scene) -> None:
    private = "A" * 32
    scene.servers[-1].private[private] = scene.add_reader("anna")
    for origin, allowed in ((ORIGIN, ORIGIN), ("http://evil.test", None), ("null", None)):
        with scene.open(headers={"Origin": origin}) as client:
            assert client.answer_headers.get("access-control-allow-origin") == allowed
        with scene.connect(f"/feeds/{private}/events", headers={"Origin": origin}) as client:
            assert client.status == 200
            assert "access-control-allow-origin" not in client.answer_headers


def test_counts_fall_when_streams_end(scene: Scene) -> None:
    client = scene.open().ready()
    client.close()
    wait_until(lambda: scene.servers[-1].server.count == 0)


def test_operators_alone_hear_how_all_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.servers[-1].stop()
    monkeypatch.setattr(server, "HEALTH_S", 0.05)
    running = scene.serve()
    anna, bert = scene.add_reader("anna"), scene.add_reader("bert")
    with scene.open(anna, is_operator=True) as hers, scene.open(bert).ready() as his:
        (event,) = hers.events(1)
        assert (event.kind, event.data) == ("health", {"ok": True, "problems": []})
        running.health = b'{"ok":false,"problems":[{"what":"all"}]}'
        (event,) = hers.events(1)
        assert event.data == {"ok": False, "problems": [{"what": "all"}]}
        scene.publish(1)
        assert chapters(his.events(1)) == [1]


def test_a_look_that_fails_ends_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.servers[-1].stop()
    monkeypatch.setattr(server, "HEALTH_S", 0.05)
    running = scene.serve()
    running.health = b""
    with scene.open(scene.add_reader("anna"), is_operator=True) as client:
        client.ready()
        running.health = b'{"ok":true,"problems":[]}'
        assert client.events(1)[0].data["ok"]


def test_readers_of_later_portions_hear_once_and_visitors_once(scene: Scene) -> None:
    scene.connection.execute(
        "INSERT INTO users (id, username) SELECT lpad(to_hex(n), 32, '0')::uuid, n::text"
        " FROM generate_series(1, %s) n",
        [PORTION_ROWS],
    )
    scene.connection.execute(
        "INSERT INTO user_library (user_id, manga_id) SELECT id, %s FROM users", [scene.manga_id]
    )
    reader = scene.add_reader("of the second portion")
    with scene.open().ready() as visitor, scene.open(reader).ready() as live:
        last = live.last_id
        event_id = scene.publish(1)
        assert chapters(visitor.events(1)) == [1]
        unfinished = choose_next(scene.connection, [event_id])
        assert unfinished is not None
        assert store_next(scene.connection, unfinished).recipients == 1
        assert chapters(live.events(1)) == [1]
        scene.publish(2)
        finished = choose_next(scene.connection, [event_id])
        assert finished is None
        assert chapters(visitor.events(1)) == [2]
    with scene.open(reader, last) as late:
        assert chapters(late.events(1)) == [1]
