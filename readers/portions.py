"""The SQL that ends every statement which stores notifications of an event.

Servers and open pages find its rows by the portion: there is no index of events.
"""

from __future__ import annotations

from readers.keys import CHANNEL

# Of rows that a part `stored` of the statement has returned, with `id` and `event_id`.
PORTION = """
    INSERT INTO notification_portions (event_id, first_id, last_id)
    SELECT event_id, min(id), max(id) FROM stored GROUP BY event_id
    RETURNING id, event_id"""
# A part of the transaction: who listens is told of what is committed. Of a row with `event_id`, and
# `portion`, which is null where nobody is a recipient.
TELL = f"""pg_notify('{CHANNEL}', json_build_object(
    'event_id', event_id, 'xid', pg_current_xact_id()::text, 'portion', portion)::text)::text"""
