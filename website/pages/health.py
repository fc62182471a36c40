"""Health: what is wrong and what helps, for operators; the same as JSON."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import psycopg
from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

import sql
from sql.state import requests as sent
from sql.state import wishes
from sql.state.workflows import read_cursor
from website.health.watch import look
from website.pages.gates import for_operators
from website.pages.site import connected, site, visit
from website.rules.health import (
    Facts,
    Problem,
    Workflow,
    find_problems,
    list_steps,
    problems_json,
)

pages = Blueprint("health", __name__)

log = logging.getLogger(__name__)

MOST_ITEMS = 50  # rejected items of a workflow that are shown


@pages.get("/health")
@for_operators
def show() -> ResponseReturnValue:
    given, now = site().given, visit().now
    with connected() as connection:
        facts = look(connection, given, now)
        hours = sent.count_by_hour(connection, given.config.api_url, now)
        last_hour = sent.count_last_hour(connection, given.config.api_url, now)
    site().health.note(facts)
    return render_template(
        "health.html",
        facts=facts,
        problems=find_problems(facts),
        steps=list_steps(facts, given.config.initial_count),
        hours=hours,
        last_hour=last_hour,
        limit_hour=_limit_hour(),
        read_cursor=read_cursor,
        most_items=MOST_ITEMS,
    )


@pages.get("/health.json")
@for_operators
def as_json() -> ResponseReturnValue:
    given, now = site().given, visit().now
    with connected() as connection:
        facts = look(connection, given, now)
        last_hour = sent.count_last_hour(connection, given.config.api_url, now)
    problems = find_problems(facts)
    return jsonify(
        {
            "ok": not problems,
            "problems": problems_json(problems),
            "workflows": {w.row.sync_type: _workflow_json(w, now) for w in facts.workflows},
            "events_owed": facts.backlog.count,
            "udp_clients": facts.others.udp_clients,
            "streams": facts.others.streams,
            "requests": {"last_hour": last_hour, "limit_hour": _limit_hour()},
        }
    )


def _workflow_json(workflow: Workflow, now: datetime) -> dict[str, Any]:
    row = workflow.row
    cursor = read_cursor(row.last_cursor)
    return {
        "status": workflow.status,
        "last_run_at": _iso(row.last_run_at),
        "last_success_at": _iso(row.last_success_at),
        "seconds": workflow.seconds,
        "next_run_at": None,  # timers belong to systemd, or to whatever else starts the batch
        "cursor_age_s": max(0, round((now - cursor).total_seconds())) if cursor else None,
        "rejected": len(row.rejected),
    }


def _limit_hour() -> int:
    return round(site().given.config.rate_per_second * timedelta(hours=1).total_seconds())


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


# --- what operators ask for --------------------------------------------------------------------


@pages.post("/health/retry")
@for_operators
def retry() -> ResponseReturnValue:
    """Write down what the next run of the batch is to do again."""
    name, item, event = (request.form.get(field) for field in ("workflow", "item", "event"))
    with connected() as connection:
        if event:
            found = wishes.retry_event(connection, event)
        elif name and item:
            found = wishes.retry_item(connection, name, item)
        else:
            found = bool(name) and wishes.wish_run(connection, name or "")
    return _back(found)


@pages.post("/health/forget")
@for_operators
def forget() -> ResponseReturnValue:
    """Forget a rejected item."""
    name, item = request.form.get("workflow", ""), request.form.get("item", "")
    with connected() as connection:
        found = wishes.forget_item(connection, name, item)
    return _back(found)


def _back(found: bool) -> ResponseReturnValue:
    if not found:
        abort(404, "There is nothing of that name any more.")
    return redirect(url_for("health.show"), 303)


def trouble() -> list[Problem]:
    """Return what is wrong, for the frame of an operator's pages."""
    if not visit().is_operator:
        return []

    def look_now() -> Facts:
        with connected() as connection:
            return look(connection, site().given, visit().now)

    try:
        return site().health.problems(look_now)
    except (sql.SqlError, psycopg.Error) as exc:  # the page itself can be shown all the same
        log.warning("Health cannot be looked at reason=%s", sql.one_line(exc))
        return []
