"""`migrate`: bring the database to the current schema."""

from __future__ import annotations

import logging

import sql
from batch.commands.context import Command, Context, Report

log = logging.getLogger(__name__)


def run(context: Context) -> Report:
    """Apply what is missing, and report what was done to existing tables."""
    stop = context.stop
    url = sql.database_url(context.env)
    try:
        applied = sql.migrate(url, lambda: stop.signal_number is not None)
    except sql.MigrationStopped:
        stop.check()
        raise
    adoption = sql.look_back(url, applied)
    for warning in adoption.warnings:
        log.warning("%s", warning)
    lines = [f"applied {name}" for name in applied]
    if adoption.origin:
        lines.append(adoption.origin)
    lines = lines or ["the schema is current"]
    return Report({"status": "completed", "applied": applied}, lines)


COMMAND = Command("migrate", "bring the database to the current schema", run)
