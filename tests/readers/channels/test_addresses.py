"""What an address of a channel may be, what of it is shown, and which hosts are private."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.channels.addresses import TRUSTED, Policy, is_private, parse_address
from readers.errors import InvalidPreference

KINDS = ("ntfy", "ntfys", "discord", "tgram", "mailto", "mailtos", "matrixs", "webhook")
PUBLIC = Policy(KINDS, False)
ANYWHERE = Policy(KINDS, True)
SECRET = "s3cret"


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        (f"ntfys://ine:{SECRET}@ntfy.example/{SECRET}", "ntfys", "ntfys://ntfy.example/…"),
        (f"ntfy://{SECRET}", "ntfy", "ntfy://…"),
        (f"NTFY://ntfy.example:8080/{SECRET}", "ntfy", "ntfy://ntfy.example:8080/…"),
        (f"discord://4242/{SECRET}", "discord", "discord://…"),
        (f"https://discord.com/api/webhooks/4242/{SECRET}", "discord", "discord://…"),
        (f"https://ptb.discord.com/api/v10/webhooks/4242/{SECRET}", "discord", "discord://…"),
        (f"tgram://42:{SECRET}/-1001", "tgram", "tgram://…"),
        (f"mailtos://{SECRET}:{SECRET}@mail.example?to=x@y.example", "mailtos",
         "mailtos://mail.example/…"),
        (f"matrixs://{SECRET}", "matrixs", "matrixs://…"),
        (f"webhook:https://hooks.example/{SECRET}?k={SECRET}", "webhook",
         "webhook:https://hooks.example/…"),
        (f"webhook:https://[2606:4700::1]:8443/{SECRET}", "webhook",
         "webhook:https://[2606:4700::1]:8443/…"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_what_is_secret(text: str, kind: str, shown: str) -> None:
    address = parse_address(f" {text}\n", PUBLIC)
    assert (address.kind, address.masked) == (kind, shown)
    assert SECRET not in repr(address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "printable"),
        ("ntfy://a b", "printable"),
        ("ntfy://a\0b", "printable"),
        ("ntfy://\ud800", "printable"),
        ("ntfy://" + "x" * 1_000, "printable"),
        ("ntfy", "must be like ntfy://"),
        ("ntfy://", "must be like ntfy://"),
        ("ntfy://[::1", "must be like ntfy://"),
        ("ntfy://host.example:99999/t", "must be like ntfy://"),
        ("slack://a/b/c", "'slack' is no kind of address"),
        ("file:///etc/passwd", "'file' is no kind of address"),
        ("a-secret-token", "this is no address"),
        ("asecrettoken", "this is no address"),
        ("https://hooks.example/x", "webhook:https://"),
        ("webhook:http://hooks.example/x", "must be like webhook:https://host"),
        ("webhook://hooks.example/x", "must be like webhook:https://host"),
        ("webhook:https://", "must be like webhook:https://host"),
        ("webhook:https://u:p@hooks.example/", "must be like webhook:https://host"),
        ("webhook:https://127.0.0.1/x", "private address"),
        ("webhook:https://[::ffff:10.0.0.1]/x", "private address"),
        ("webhook:https://localhost:1/x", "private address"),
        ("ntfy://user:pw@192.168.1.1/topic", "private address"),
        ("discord://1/2?template=/etc/passwd", "'template'"),
        ("discord://1/2?a=1&%74emplate=x", "'template'"),
        ("matrixs://a:b@c.example/#room?template=x", "'template'"),
        ("mailto://a:b@c.example?PGPPUB=/root/key", "'PGPPUB'"),
        ("ntfy://t?attach=file:///etc/passwd", "'attach'"),
    ],
)  # fmt: skip
def test_what_is_no_allowed_address_is_rejected_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InvalidPreference) as caught:
        parse_address(text, PUBLIC)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_no_kind_is_allowed_where_channels_are_switched_off() -> None:
    with pytest.raises(InvalidPreference, match="switched off"):
        parse_address("ntfy://topic", Policy((), True))


@pytest.mark.parametrize("policy", [ANYWHERE, TRUSTED], ids=["private allowed", "trusted"])
def test_private_addresses_and_http_are_allowed_where_it_is_said(policy: Policy) -> None:
    assert parse_address("webhook:http://127.0.0.1:81/x", policy).server == "http://127.0.0.1:81"
    assert parse_address("ntfy://localhost:81/x", policy).server == "localhost:81"


def test_a_trusted_address_is_of_any_kind_but_names_no_file() -> None:
    assert parse_address("slack://a/b/c", TRUSTED).masked == "slack://…"
    with pytest.raises(InvalidPreference, match="template"):
        parse_address("discord://1/2?template=/etc/passwd", TRUSTED)


@given(st.text(max_size=60))
def test_anything_is_an_address_or_rejected(text: str) -> None:
    for start in ("", "ntfy://", "webhook:https://", "mailto://"):
        try:
            address = parse_address(start + text, PUBLIC)
        except InvalidPreference:
            continue
        assert address.kind in KINDS


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
     "::", "::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
     "2002:7f00:1::", "2001::1", "::127.0.0.1"],
)  # fmt: skip
def test_addresses_inside_are_private(text: str) -> None:
    assert is_private(text)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_public_internet_are_not(text: str) -> None:
    assert not is_private(text)
