"""Which addresses mean this host alone."""

from __future__ import annotations

import pytest

from mangahub.sockets import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "localhost"]
)
def test_an_address_or_name_of_this_host_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1", "fe80::1%lo", ""]
)
def test_any_other_is_not(host: str) -> None:
    assert not is_loopback(host)
