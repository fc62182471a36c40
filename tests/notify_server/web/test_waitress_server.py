"""The real program, from POST to ACK."""

from __future__ import annotations

from typing import Any

from tests.support.waiting import wait_until


def test_a_posted_event_is_stored_pushed_and_marked_when_acknowledged(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
) -> None:
    user = make_user()
    manga = make_manga("A Long Way")
    client = make_client(server, user)
    confirmation = client.subscribe()
    assert confirmation["message"].startswith("Successfully ")

    answer = server.post("new-manga", {"manga_id": manga, "title": "A Long Way"})
    assert answer.status_code == 202

    notice = client.receive_type("NEW_MANGA")
    id, created_at = connection.execute("SELECT id, created_at FROM notifications").fetchone()
    assert notice == {
        "type": "NEW_MANGA",
        "id": id,
        "manga_id": manga,
        "title": "A Long Way",
        "message": "New manga added: A Long Way",
        "timestamp": created_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "data": {},
        "changes": [],
        "session": client.session,
    }
    client.ack(id)

    def is_marked() -> bool:
        row = connection.execute("SELECT read, delivered_at FROM notifications").fetchone()
        return bool(row[0]) and row[1] is not None

    wait_until(is_marked)
