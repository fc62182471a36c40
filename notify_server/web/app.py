"""The Flask application: authorisation, routes and errors."""

from __future__ import annotations

from flask import Flask, Response, request

from notify_server.web.errors import answer_error, failure
from notify_server.web.routes import routes
from notify_server.web.services import Services, keep, services
from notify_server.wire import auth

# These never wait for the database.
QUICK_PATHS = ("/healthz", "/metrics")


def create_app(parts: Services) -> Flask:
    """Return the application, which uses these services."""
    app = Flask("notify_server", static_folder=None)
    keep(app, parts)
    app.url_map.merge_slashes = False  # that would be a redirect, which is not JSON
    app.before_request(_require_key)
    app.after_request(_count)
    app.register_blueprint(routes)
    app.register_error_handler(Exception, answer_error)
    return app


def allows(api_key: str | None, path: str, authorization: str) -> bool:
    """Return whether a request is authorised; `api_key` is None if none is needed."""
    if api_key is None or path == "/healthz":
        return True
    return auth.token_is_valid(authorization, api_key)


def _require_key() -> Response | None:
    authorization = request.headers.get("Authorization", "")
    if allows(services().api_key, request.path, authorization):
        return None
    answer = failure(401, "Authorization: Bearer with the API key is needed")
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _count(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule else "unknown"
    services().metrics.count_request(rule, response.status_code)
    return response
