"""Keys are derived from the secret, the user and the generation."""

from __future__ import annotations

from readers.keys import derive_key

USER = "5f1d2c3b-0000-4000-8000-00000000cafe"


def test_keys_are_printable_and_differ_by_secret_user_and_generation() -> None:
    keys = {
        derive_key(*parts)
        for parts in [("s", USER, 0), ("t", USER, 0), ("s", USER, 1), ("s", USER[:-1] + "f", 0)]
    }
    assert len(keys) == 4
    assert all(key.isascii() and key.isprintable() for key in keys)
