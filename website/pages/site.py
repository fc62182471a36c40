"""What the pages' views work with: the site, and the visit that a request belongs to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from flask import Flask, abort, current_app, g

import sql
from readers.sessions import Session
from readers.users import User
from sql.connections import Database
from website.config import Surroundings
from website.covers.covers import Covers
from website.health.watch import HealthWatch
from website.pages.metrics import Metrics
from website.security.limits import SignInLimits

_KEY = "mangahub"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share.

    Attributes:
        now: returns the time, aware and in UTC.
        covers: None where only placeholders are shown.
    """

    given: Surroundings
    database: Database
    now: Callable[[], datetime] = utc_now
    covers: Covers | None = None
    sign_in_limits: SignInLimits = field(default_factory=SignInLimits)
    health: HealthWatch = field(default_factory=HealthWatch)
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's visitor.

    Attributes:
        now: when the request came: the one time that its page is made for.
        session: None for a visitor who is not signed in.
        form_token: what a form that is sent from this page carries.
        unread: how many notifications the reader has not read, as far as they are counted.
    """

    now: datetime
    session: Session | None
    form_token: str
    unread: int = 0

    @property
    def user(self) -> User | None:
        return self.session.user if self.session else None

    @property
    def is_operator(self) -> bool:
        return self.session is not None and self.session.is_operator


def keep(app: Flask, site: Site) -> None:
    app.extensions[_KEY] = site


def site() -> Site:
    """Return the site that the current request belongs to."""
    return cast(Site, current_app.extensions[_KEY])


def visit() -> Visit:
    """Return the visit that the current request belongs to."""
    return cast(Visit, g.visit)


def reader() -> User:
    """Return who is signed in; the view that calls this is decorated with `for_readers`."""
    user = visit().user
    if user is None:
        abort(403)
    return user


def connected() -> AbstractContextManager[sql.Connection]:
    """Lend an autocommit connection; raises DatabaseDown."""
    return site().database.connection()
