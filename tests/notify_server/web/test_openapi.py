"""The OpenAPI description, and the server held against it."""

from __future__ import annotations

from typing import Any

import openapi_core
import pytest
import requests
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings

from notify_server.events.kinds import KINDS
from notify_server.web.openapi import DESCRIPTION
from notify_server.web.routes import routes

schema = schemathesis.openapi.from_dict(DESCRIPTION)
# Made while tests are collected, in each process of the suite; the generated ones cover as much.
schema.config.phases.coverage.enabled = False


def test_the_description_is_valid_and_served(server: Any) -> None:
    served = server.get("/openapi.json").json()
    assert served == DESCRIPTION
    openapi_core.OpenAPI.from_dict(served)


def test_it_describes_every_route() -> None:
    app = Flask("routes", static_folder=None)
    app.register_blueprint(routes)
    rules = {rule.rule.replace("<id>", "{id}") for rule in app.url_map.iter_rules()}
    assert set(DESCRIPTION["paths"]) == rules
    assert rules > {f"/notify/{kind}" for kind in KINDS}


def test_only_healthz_needs_no_key() -> None:
    operations = {path: list(item.values()) for path, item in DESCRIPTION["paths"].items()}
    open_to_all = [
        p for p, found in operations.items() if any("401" not in o["responses"] for o in found)
    ]
    assert open_to_all == ["/healthz"]
    assert DESCRIPTION["paths"]["/healthz"]["get"]["security"] == []


@pytest.fixture
def base_url(server: Any, make_user: Any, connection: Any) -> str:
    make_user()
    connection.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    return str(server.http)


@schema.parametrize()
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_the_server_does_what_the_description_says(
    case: schemathesis.Case[Any], base_url: str
) -> None:
    with requests.Session() as session:
        case.call_and_validate(base_url=base_url, session=session, timeout=10)
