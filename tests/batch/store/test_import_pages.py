"""Rows of `sync_pages`: the pages that a run which was killed has left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import sql
from batch.models import ImportedPage, ImportRequest
from batch.store import import_pages, sync_state

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SCOPE = "top:safe"
IDS = ("0d1e2f30-4152-4364-9586-a7b8c9dae0f1", "0d1e2f30-4152-4364-9586-a7b8c9dae0f2")


def request(offset: int, since: datetime | None = None) -> ImportRequest:
    return ImportRequest(("createdAt", "asc"), since, offset, 100)


def test_a_page_reads_back_as_it_was(connection: sql.Connection) -> None:
    full = ImportedPage(IDS, 90_000, NOW)
    empty = ImportedPage((), 0, None)
    import_pages.complete(connection, SCOPE, request(0, NOW), full)
    import_pages.complete(connection, SCOPE, request(100), empty)
    assert import_pages.load(connection, SCOPE) == {
        request(0, NOW).key: full,
        request(100).key: empty,
    }
    assert sync_state.read(connection, import_pages.INITIAL_SYNC).last_cursor == request(100).key


def test_a_page_that_is_stored_again_replaces_itself(connection: sql.Connection) -> None:
    import_pages.complete(connection, SCOPE, request(0), ImportedPage(IDS, 9, NOW))
    import_pages.complete(connection, SCOPE, request(0), ImportedPage(IDS[:1], 8, LATER))
    assert import_pages.load(connection, SCOPE) == {request(0).key: ImportedPage(IDS[:1], 8, LATER)}


def test_pages_of_another_scope_are_dropped(connection: sql.Connection) -> None:
    import_pages.complete(connection, "top:safe,erotica", request(0), ImportedPage(IDS, 9, NOW))
    import_pages.complete(connection, SCOPE, request(100), ImportedPage(IDS, 9, NOW))
    assert set(import_pages.load(connection, SCOPE)) == {request(100).key}
    assert import_pages.load(connection, "top:safe,erotica") == {}
    assert import_pages.load(connection, SCOPE) == {}


def test_a_page_is_recorded_with_the_transaction_it_belongs_to(
    connection: sql.Connection,
) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction():
        import_pages.complete(connection, SCOPE, request(0), ImportedPage(IDS, 9, NOW))
        _ = 1 / 0
    assert import_pages.load(connection, SCOPE) == {}


def test_a_title_that_several_pages_held_counts_once(connection: sql.Connection) -> None:
    assert import_pages.count_titles(connection) == 0
    import_pages.complete(connection, SCOPE, request(0), ImportedPage(IDS, 9, NOW))
    import_pages.complete(connection, SCOPE, request(100), ImportedPage(IDS[1:], 9, NOW))
    import_pages.complete(connection, SCOPE, request(200), ImportedPage((), 9, None))
    assert import_pages.count_titles(connection) == 2


def test_forgetting_empties_the_list(connection: sql.Connection) -> None:
    import_pages.complete(connection, SCOPE, request(0), ImportedPage(IDS, 9, NOW))
    import_pages.forget(connection)
    assert import_pages.load(connection, SCOPE) == {}
