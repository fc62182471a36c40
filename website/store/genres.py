"""Genres, by name: SQL."""

from __future__ import annotations

import sql


def list_genres(connection: sql.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM genres ORDER BY name")]
