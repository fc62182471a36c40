"""Logins, statuses, follows, custom lists, and old numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from mangadex_sim.api.accounts import TOKEN_PATH
from tests.mangadex_sim.conftest import Asker

LOGIN = {
    "username": "mika",
    "password": "a pass word &=ü",
    "client_id": "personal-client-1",
    "client_secret": "secret",
}


def add_account(asker: Asker, **more: Any) -> None:
    asker.sim.add_account(**LOGIN, **more)


def log_in(asker: Asker, **changes: str) -> requests.Response:
    form = {"grant_type": "password", **LOGIN, **changes}
    return asker.session.post(asker.sim.url + TOKEN_PATH, data=form, timeout=10)


def ask(asker: Asker, target: str, token: str) -> requests.Response:
    return asker.get(target, headers={"Authorization": f"Bearer {token}"})


def test_an_account_shows_its_statuses_and_follows_to_its_owner(asker: Asker) -> None:
    first, second = asker.sim.title_ids(0, 2)
    statuses = {first: "reading", second: "on_hold"}
    add_account(asker, statuses=statuses, follows=[second])
    token = log_in(asker).json()["access_token"]
    assert ask(asker, "/manga/status", token).json() == {"result": "ok", "statuses": statuses}
    on_hold = ask(asker, "/manga/status?status=on_hold", token).json()
    assert on_hold["statuses"] == {second: "on_hold"}
    follows = ask(asker, "/user/follows/manga?limit=100", token).json()
    assert [each["id"] for each in follows["data"]] == [second]
    for target in ("/manga/status", "/user/follows/manga"):
        assert asker.get(target).status_code == 401


@pytest.mark.parametrize(
    ("account", "form", "status", "code"),
    [
        ({}, {"password": "wrong"}, 401, "invalid_grant"),
        ({}, {"username": "Mika"}, 401, "invalid_grant"),
        ({}, {"client_secret": "wrong"}, 401, "invalid_client"),
        ({"approved": False}, {}, 401, "invalid_client"),
        ({}, {"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({}, {"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ],
    ids=["password", "name", "secret", "not approved", "refresh token", "grant type"],
)
def test_a_wrong_login_is_named(
    asker: Asker, account: dict[str, Any], form: dict[str, str], status: int, code: str
) -> None:
    add_account(asker, **account)
    answer = log_in(asker, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_a_token_ends_and_can_be_renewed(asker: Asker) -> None:
    add_account(asker, token_s=0)
    login = log_in(asker).json()
    assert login["expires_in"] == 0
    assert ask(asker, "/manga/status", login["access_token"]).status_code == 401
    add_account(asker)
    login = log_in(asker).json()
    renewed = log_in(asker, grant_type="refresh_token", refresh_token=login["refresh_token"]).json()
    assert ask(asker, "/manga/status", renewed["access_token"]).json()["statuses"] == []
    asker.sim.end_tokens()
    assert ask(asker, "/manga/status", renewed["access_token"]).status_code == 401


def test_a_private_list_is_there_for_its_owner_only(asker: Asker) -> None:
    title = asker.sim.title_ids(0, 1)[0]
    add_account(asker)
    token = log_in(asker).json()["access_token"]
    public = asker.sim.add_list(title, name="For all")
    private = asker.sim.add_list(title, public=False, owner="mika")
    data = asker.json(f"/list/{public}")["data"]
    assert data["attributes"]["name"] == "For all"
    assert data["relationships"] == [{"id": title, "type": "manga"}]
    assert asker.get(f"/list/{private}").status_code == 404
    assert ask(asker, f"/list/{private}", token).status_code == 200


def map_ids(asker: Asker, body: object) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asker.session.post(asker.sim.url + "/legacy/mapping", data=data, timeout=10)


def test_old_numbers_lead_to_ids_and_unknown_ones_are_left_out(asker: Asker) -> None:
    answer = map_ids(asker, {"type": "manga", "ids": [1, 3, 3, 999_999, 0, -1]}).json()
    found = {each["attributes"]["legacyId"]: each["attributes"]["newId"] for each in answer["data"]}
    ids = asker.sim.title_ids(0, 3)
    assert found == {1: ids[0], 3: ids[2]}
    assert answer["total"] == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        {"type": "manga"},
        {"type": "novel", "ids": [1]},
        {"type": "manga", "ids": ["1"]},
        {"type": "manga", "ids": [1], "more": 1},
        {"type": "manga", "ids": [10_000] * 1_500},
    ],
    ids=["empty", "list", "no ids", "type", "text", "unknown key", "more than 10 KB"],
)
def test_a_body_of_another_form_is_rejected(asker: Asker, body: object) -> None:
    assert map_ids(asker, body).status_code == 400


def test_posts_and_gets_are_not_mistaken(asker: Asker) -> None:
    assert asker.get("/legacy/mapping").status_code == 405
    assert asker.session.post(asker.sim.url + "/manga/status", timeout=10).status_code == 405


def test_they_are_counted_and_limited_like_all_others(make_sim: Callable[..., Asker]) -> None:
    asker = make_sim(rate=1)
    assert map_ids(asker, {"type": "manga", "ids": [1]}).status_code == 200
    assert map_ids(asker, {"type": "manga", "ids": [1]}).status_code == 429
    assert asker.sim.stats()["by_path"]["/legacy/mapping"] == 2


@pytest.mark.parametrize(
    "order", [{**LOGIN, "statuses": {"x": "read"}}, {**LOGIN, "x": 1}, {"username": "mika"}]
)
def test_a_bad_order_changes_nothing(asker: Asker, order: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        asker.sim.add_account(**order)
    assert log_in(asker).status_code == 401
