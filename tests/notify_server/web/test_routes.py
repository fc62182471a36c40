"""The HTTP side of a running server."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from notify_server.events.kinds import KINDS


def body_of(kind: str, manga: int, **extra: object) -> dict[str, object]:
    own: dict[str, dict[str, object]] = {
        "new-manga": {},
        "new-chapter": {"chapter": 1},
        "manga-update": {"changes": ["status"]},
    }
    return {"manga_id": manga, "title": "T", **own[kind], **extra}


def count(connection: Any, table: str = "notifications") -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def host(server: Any) -> str:
    return str(server.http.removeprefix("http://"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_event_is_stored_and_pushed_once_and_the_first_content_wins(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any, kind: str
) -> None:
    user = make_user()
    manga = make_manga("T", (user,))
    client = make_client(server, user)
    client.subscribe()
    for title in ("first", "second", "third"):
        body = {**body_of(kind, manga, event_id="once"), "title": title}
        assert server.post(kind, body).status_code == 202
    assert client.read(1)[0]["title"] == "first"
    assert client.is_silent(0.2)
    assert count(connection) == 1


def test_the_same_event_at_the_same_time_is_stored_and_pushed_once(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    user, manga = make_user(), make_manga()
    client = make_client(server, user)
    client.subscribe()
    body = body_of("new-manga", manga, event_id="race")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.post("new-manga", body), range(16)))
    assert {a.status_code for a in answers} == {202}
    client.read(1)
    assert client.is_silent(0.2)
    assert count(connection) == 1


def test_an_event_without_recipients_is_remembered_and_later_users_are_not_added(
    server: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    manga = make_manga()
    body = body_of("new-manga", manga, event_id="early")
    assert server.post("new-manga", body).status_code == 202
    make_user()
    assert server.post("new-manga", body).status_code == 202
    assert count(connection) == 0
    assert count(connection, "notification_receipts") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_title_is_404_and_stores_nothing(
    server: Any, make_user: Any, connection: Any, kind: str
) -> None:
    make_user()
    answer = server.post(kind, body_of(kind, 999_999))
    assert answer.status_code == 404
    assert "manga_id" in answer.json()["error"]
    assert count(connection) == 0
    assert count(connection, "notification_receipts") == 0


def test_a_batch_is_a_transaction_per_event(
    server: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    make_user()
    manga = make_manga()
    good = {"type": "new-manga", **body_of("new-manga", manga)}
    answer = server.post(
        "batch",
        {
            "events": [
                good,
                {**good, "manga_id": 999_999},
                {"type": "odd"},
                7,
                {**good, "event_id": "x"},
                {**good, "event_id": "x"},
            ]
        },
    )
    assert answer.status_code == 207
    assert [r["status"] for r in answer.json()["results"]] == [202, 404, 400, 400, 202, 202]
    assert count(connection) == 2
    assert server.post("batch", {"events": [good]}).status_code == 202


def test_what_follows_an_event_of_its_title_that_was_not_stored_is_not_stored_either(
    server: Any, make_manga: Any, connection: Any
) -> None:
    connection.execute(
        "CREATE FUNCTION time_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE query_canceled; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON notification_receipts FOR EACH ROW"
        " WHEN (NEW.event_id = 'first') EXECUTE FUNCTION time_out()"
    )
    one, other = make_manga(), make_manga("Another")
    events = [
        {"type": "new-manga", **body_of("new-manga", manga), "event_id": key}
        for key, manga in (("first", one), ("other", other), ("second", one))
    ]
    answer = server.post("batch", {"events": events})
    assert [result["status"] for result in answer.json()["results"]] == [500, 202, 424]
    rows = connection.execute("SELECT event_id FROM notification_receipts").fetchall()
    assert rows == [("other",)]


def test_a_title_of_100_kb_is_stored_whole_and_shown_cut(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    title = "長" * 33_000
    event = {"type": "new-manga", **body_of("new-manga", make_manga()), "title": title}
    raw = json.dumps({"events": [event]}, ensure_ascii=False).encode()
    answer = requests.post(
        f"{server.http}/notify/batch",
        data=raw,
        timeout=10,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 202
    shown = client.read(1)[0]["title"]
    assert shown.endswith("…") and title.startswith(shown[:-1])
    assert connection.execute("SELECT title FROM notifications").fetchone() == (title,)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/", 404),
        ("POST", "/notify/odd", 404),
        ("POST", "/notify//new-manga", 404),
        ("GET", "/notify/new-manga", 405),
        ("DELETE", "/notify/batch", 405),
        ("PUT", "/healthz", 405),
        ("POST", "/api/notifications", 405),
        ("PUT", "/api/notifications/x/read", 404),
        ("PUT", "/api/notifications/7/read", 404),
        ("PUT", f"/api/notifications/{10**30}/read", 404),
        ("PUT", f"/api/notifications/{'9' * 5000}/read", 404),
        ("PUT", f"/api/notifications/{2**63}/read", 404),
        ("GET", "/api/notifications", 400),
        ("GET", "/api/notifications?user_id=x", 400),
        ("POST", "/notify/new-manga", 415),
    ],
)
def test_errors_are_json(server: Any, method: str, path: str, status: int) -> None:
    answer = requests.request(method, f"{server.http}{path}", timeout=10)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("APPLICATION/JSON", 202),
        ("text/plain", 415),
        ("", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
def test_the_content_type_must_be_json(
    server: Any, make_manga: Any, content_type: str, status: int
) -> None:
    raw = json.dumps(body_of("new-manga", make_manga()))
    answer = requests.post(
        f"{server.http}/notify/new-manga",
        data=raw,
        timeout=10,
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("route", "size", "status"),
    [
        ("new-manga", 65_536, 404),
        ("new-manga", 65_537, 413),
        ("new-manga", 1_000_000, 413),
        ("batch", 1_048_576, 207),
        ("batch", 1_048_577, 413),
    ],
)
def test_bodies_have_a_limit(server: Any, route: str, size: int, status: int) -> None:
    event: dict[str, object] = {"type": "new-manga", "manga_id": 999_999, "title": ""}
    body: dict[str, object] = {"events": [event]} if route == "batch" else event
    event["title"] = "x" * (size - len(json.dumps(body)))
    answer = requests.post(
        f"{server.http}/notify/{route}",
        data=json.dumps(body),
        timeout=10,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == status
    assert status == 207 or answer.json().keys() == {"error"}


def test_a_chunked_body_is_read_and_limited(server: Any, make_manga: Any) -> None:
    headers = {"Content-Type": "application/json"}
    raw = json.dumps(body_of("new-manga", make_manga())).encode()
    url = f"{server.http}/notify/new-manga"
    small = requests.post(url, data=iter([raw[:5], raw[5:]]), headers=headers, timeout=10)
    assert small.status_code == 202
    large = requests.post(
        url, data=iter([b" " * 40_000, b" " * 40_000]), headers=headers, timeout=10
    )
    assert large.status_code == 413


def test_the_frames_of_a_chunked_batch_do_not_count(server: Any) -> None:
    parts = [b'{"events": [5]'] + [b" " * 64] * 16_000 + [b"}"]
    answer = requests.post(
        f"{server.http}/notify/batch",
        data=iter(parts),
        timeout=10,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 207


@pytest.mark.parametrize("request_line", ["GARBAGE", "GET / HTTP/1.1\r\nContent-Length: x"])
def test_what_is_no_http_is_answered_in_json(server: Any, request_line: str) -> None:
    address = host(server).split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=10) as sock:
        sock.sendall(f"{request_line}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert answer.status == 400
        assert json.loads(answer.read()).keys() == {"error"}


def test_posts_that_stop_half_way_delay_no_others(server: Any, make_manga: Any) -> None:
    address = host(server).split(":")
    stuck = []
    for _ in range(50):
        sock = socket.create_connection((address[0], int(address[1])), timeout=10)
        sock.sendall(
            b"POST /notify/new-manga HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n"
            b"Content-Type: application/json\r\n\r\n{"
        )
        stuck.append(sock)
    assert server.post("new-manga", body_of("new-manga", make_manga())).status_code == 202
    for sock in stuck:
        sock.close()


def test_a_key_is_required_on_every_route_but_healthz(start_server: Any, make_manga: Any) -> None:
    server = start_server({"NOTIFY_API_KEY": "sesame"})
    assert server.get("/healthz").status_code == 200
    for path in ("/readyz", "/metrics", "/openapi.json", "/api/notifications", "/nothing"):
        answer = server.get(path)
        assert answer.status_code == 401
        assert answer.json().keys() == {"error"}
    body = body_of("new-manga", make_manga())
    wrong = {"headers": {"Authorization": "Bearer no"}}
    right = {"headers": {"Authorization": "Bearer sesame"}}
    assert server.post("new-manga", body).status_code == 401
    assert server.post("new-manga", body, **wrong).status_code == 401
    assert server.post("new-manga", body, **right).status_code == 202


def test_notifications_are_listed_newest_first_page_by_page(
    server: Any, make_user: Any, make_manga: Any
) -> None:
    user, manga = make_user(), make_manga()
    for n in range(5):
        server.post("new-manga", {"manga_id": manga, "title": f"{n}"})
    query = {"user_id": user, "limit": 2}
    titles: list[str] = []
    before = None
    while True:
        page = server.get("/api/notifications", params={**query, "before": before}).json()
        titles += [n["title"] for n in page["notifications"]]
        before = page["next_before"]
        if before is None:
            break
    assert titles == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize("digits", ["0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"])
def test_only_ascii_digits_name_a_notification(
    server: Any, make_user: Any, connection: Any, digits: str
) -> None:
    id = connection.execute(
        "INSERT INTO notifications (user_id, message) VALUES (%s, 'm') RETURNING id", (make_user(),)
    ).fetchone()[0]
    name = str(id).translate(str.maketrans("0123456789", digits))
    answer = requests.put(f"{server.http}/api/notifications/{name}/read", timeout=10)
    assert answer.status_code == (204 if digits.isascii() else 404)
    state = connection.execute("SELECT read IS TRUE FROM notifications").fetchone()
    assert state == (digits.isascii(),)


def test_marking_as_read_takes_it_from_the_unread_ones(
    server: Any, make_user: Any, make_manga: Any
) -> None:
    user = make_user()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    query = {"user_id": user, "unread": 1}
    listed = server.get("/api/notifications", params=query).json()["notifications"]
    path = f"{server.http}/api/notifications/{listed[0]['id']}/read"
    for _ in range(2):
        answer = requests.put(path, timeout=10)
        assert (answer.status_code, answer.content) == (204, b"")
    assert server.get("/api/notifications", params=query).json()["notifications"] == []
    assert (
        len(server.get("/api/notifications", params={"user_id": user}).json()["notifications"]) == 1
    )


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "x"},
        {"limit": "-1"},
        {"before": "x"},
        {"before": str(2**63)},
        {"unread": "maybe"},
        {"user_id": ""},
        {"user_id": "' OR 1=1 --"},
        {"user_id": "\0"},
    ],
)
def test_wrong_queries_name_their_parameter(server: Any, query: dict[str, str]) -> None:
    answer = server.get("/api/notifications", params={"user_id": str(uuid.uuid4()), **query})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(next(iter(query)))


def test_health_readiness_and_metrics(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    assert server.get("/healthz").status_code == 200
    assert server.get("/readyz").status_code == 200
    client = make_client(server, make_user())
    client.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    client.read(1)
    client.ping()
    client.receive()
    assert server.metric("clients") == 1
    assert server.metric("sent_total") == 1
    assert server.metric("acknowledged_total") == 1
    assert server.metric("send_seconds_count") == 1
    assert server.metric("ack_seconds_count") == 1
    for name in (
        "retransmitted_total",
        "receive_dropped_total",
        "clients_dropped_total",
        "queue_depth",
        "replayed_total",
        "channels_unsent",
    ):
        assert server.metric(name) == 0
    assert 'mangahub_notify_channels{state="working"} 0.0' in server.get("/metrics").text


def test_too_much_that_waits_to_be_sent_is_429(
    server: Any, make_user: Any, make_manga: Any, monkeypatch: Any, connection: Any
) -> None:
    make_user()
    monkeypatch.setattr("notify_server.publish.publisher._MAX_BACKLOG", 0)
    answer = server.post("new-manga", body_of("new-manga", make_manga()))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert count(connection) == 0
