"""How often one may try to sign in."""

from __future__ import annotations

import pytest

from website.security.limits import SignInLimits, network_of


def test_an_address_has_ten_tries_a_minute() -> None:
    limits = SignInLimits()
    assert [limits.admit("192.0.2.1", n) for n in range(11)] == [True] * 10 + [False]
    assert limits.admit("192.0.2.2", 11)
    assert not limits.admit("192.0.2.1", 59.9)
    assert [limits.admit("192.0.2.1", 60.0) for _ in range(2)] == [True, False]


def test_all_together_have_sixty() -> None:
    limits = SignInLimits()
    admitted = [limits.admit(f"192.0.2.{n}", 0) for n in range(70)]
    assert admitted == [True] * 60 + [False] * 10


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network
