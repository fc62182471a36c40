"""New: what came, newest first, by day."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

pages = Blueprint("new", __name__)


@pages.get("/")
def show() -> ResponseReturnValue:
    return render_template("new.html")
