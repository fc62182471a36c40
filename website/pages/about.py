"""About this site."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from website.pages.gates import open_to_all

pages = Blueprint("about", __name__)


@pages.get("/about")
@open_to_all
def show() -> ResponseReturnValue:
    return render_template("about.html")
