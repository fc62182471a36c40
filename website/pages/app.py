"""The Flask application: who visits, what a form needs, headers, errors, and the blueprints."""

from __future__ import annotations

import gzip

from flask import Flask, Response, request
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from website.pages import (
    about,
    calendar,
    catalogue,
    covers,
    devices,
    errors,
    feeds,
    health,
    inbox,
    library,
    lists,
    live,
    look,
    new,
    preferences,
    presentation,
    sign_in,
    suggestions,
    title,
    upkeep,
)
from website.pages.gates import Gates
from website.pages.site import Site, keep
from website.security.headers import Headers

# Far more than a form of ours sends; an imported list has a limit of its own.
_MAX_FORM_BYTES = 256 * 1024
_STATIC_MAX_AGE_S = 365 * 86_400  # their addresses change with their content

TOPICS = (
    new,
    catalogue,
    title,
    calendar,
    feeds,
    covers,
    health,
    sign_in,
    look,
    live,
    inbox,
    library,
    lists,
    suggestions,
    devices,
    preferences,
    about,
    upkeep,
)


def create_app(site: Site) -> Flask:
    """Return the application."""
    app = Flask("website")
    app.config["MAX_CONTENT_LENGTH"] = _MAX_FORM_BYTES
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _STATIC_MAX_AGE_S
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    keep(app, site)
    presentation.install(app)
    app.jinja_env.globals["trouble"] = health.trouble
    site.metrics.watch(app)
    gates = Gates(site)
    app.before_request(gates.receive)
    app.after_request(gates.send_form_cookie)
    app.after_request(Headers(site.given.addresses).apply)
    app.after_request(_say_how_to_keep)
    app.after_request(_compress)
    for topic in TOPICS:
        app.register_blueprint(topic.pages)
    app.register_error_handler(Exception, errors.answer_error)
    if count := site.given.config.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]
    return app


def _say_how_to_keep(response: Response) -> Response:
    """Let nobody but the reader's own browser keep a page, and that one ask whether it changed."""
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-cache"
        if request.method == "GET" and response.status_code == 200 and not response.is_streamed:
            response.add_etag()
            response.make_conditional(request)
        response.headers.setdefault("Vary", "Cookie")
    return response


def _compress(response: Response) -> Response:
    """Compress files.

    Pages are not: they hold form tokens, which compression beside a text that a stranger chooses
    would give away (BREACH).
    """
    is_text = response.mimetype in ("text/css", "text/javascript", "image/svg+xml")
    if request.endpoint != "static" or response.status_code != 200 or not is_text:
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if request.accept_encodings["gzip"]:
        response.direct_passthrough = False
        response.set_data(gzip.compress(response.get_data(), mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
