"""Proofs and cookies."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify_server.wire import auth
from notify_server.wire.auth import Cookies
from readers.keys import derive_key

USER = "5f1d2c3b-0000-4000-8000-00000000cafe"
HOME = ("192.0.2.7", 40000)


def test_a_proof_is_an_hmac_over_the_texts_that_were_sent() -> None:
    key = derive_key("secret", USER, 0)
    wanted = hmac.new(key.encode(), f"subscribe|{USER}|1|cookie".encode(), hashlib.sha256)
    assert auth.subscribe_proof(key, USER, True, "cookie") == wanted.hexdigest()
    assert auth.proof_is_valid(wanted.hexdigest(), key, USER, True, "cookie")
    assert not auth.proof_is_valid(wanted.hexdigest(), key, USER, False, "cookie")


@pytest.mark.parametrize("proof", ["", "0", "0" * 64, "é", "\0"])
def test_a_wrong_proof_is_refused(proof: str) -> None:
    assert not auth.proof_is_valid(proof, "key", USER, True, "cookie")


@pytest.mark.parametrize(
    ("age", "is_valid"), [(0, True), (29, True), (30, True), (32, False), (-4, True), (-60, False)]
)
def test_a_cookie_is_good_for_30_seconds(age: int, is_valid: bool) -> None:
    cookies = Cookies("secret")
    cookie = cookies.make(HOME, 1_000_000.0)
    assert cookies.is_valid(cookie, HOME, 1_000_000.0 + age) is is_valid


@pytest.mark.parametrize("address", [("192.0.2.7", 40001), ("192.0.2.8", 40000)])
def test_a_cookie_is_good_for_one_address_only(address: tuple[str, int]) -> None:
    cookies = Cookies("secret")
    assert not cookies.is_valid(cookies.make(HOME, 100.0), address, 100.0)


def test_servers_with_the_same_secret_take_each_others_cookies() -> None:
    cookie = Cookies("secret").make(HOME, 100.0)
    assert Cookies("secret").is_valid(cookie, HOME, 101.0)
    assert not Cookies("other").is_valid(cookie, HOME, 101.0)


@given(st.text(max_size=40))
def test_no_other_text_is_a_cookie(text: str) -> None:
    assert not Cookies("secret").is_valid(text, HOME, 100.0)


@pytest.mark.parametrize(
    ("header", "is_valid"),
    [
        ("Bearer key", True),
        ("bearer key", True),
        ("Bearer  key", True),
        ("Bearer kex", False),
        ("Basic key", False),
        ("key", False),
        ("", False),
        ("Bearer", False),
        ("Bearer é", False),
    ],
)
def test_an_api_key_comes_as_a_bearer_token(header: str, is_valid: bool) -> None:
    assert auth.token_is_valid(header, "key") is is_valid
