"""The addresses of channels: what one may be, and what of it may be shown. Pure.

An address is one of Apprise's (`ntfy://host/topic`, `mailto://…`), or `webhook:https://…`. What
stands in it besides the host is a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from mangahub.parsers import has_host
from readers.errors import InvalidPreference

WEBHOOK = "webhook"
MOST_CHARACTERS = 1_000
# Kinds whose address begins with a server; in those of others the first part is a secret too.
_WITH_SERVER = frozenset(
    "ntfy ntfys mailto mailtos gotify gotifys matrix matrixs json jsons form forms xml xmls".split()
)
# Apprise's parameters that name files, or what a sender decides itself.
_FORBIDDEN_PARAMETERS = frozenset(
    "attach attachment filename format overflow pgp pgppub pgpprv retry store template wait wkd"
    " keyfile config".split()
)
_DISCORD = re.compile(
    r"https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/(\d+)/([\w-]+)/?", re.I
)
# Addresses that hold an IPv4 one: NAT64 (RFC 6052), and its range for private use (RFC 8215).
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class Policy:
    """Which addresses may be used.

    Attributes:
        kinds: None for every kind.
        is_private_allowed: whether one may lead to loopback, private and link-local addresses.
    """

    kinds: Collection[str] | None
    is_private_allowed: bool

    @classmethod
    def of_settings(cls, kinds: Collection[str], private: str) -> Policy:
        """Return what NOTIFY_CHANNELS and NOTIFY_CHANNELS_PRIVATE allow readers."""
        return cls(kinds, private == "on")


TRUSTED = Policy(None, True)  # what an operator adds


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address.

    Attributes:
        server: what it leads to, as far as that is no secret; else the kind.
    """

    kind: str
    text: str = field(repr=False)
    server: str

    @property
    def masked(self) -> str:
        return mask(self.kind, self.server)


def mask(kind: str, server: str) -> str:
    """Return what may be shown of an address."""
    if kind == WEBHOOK:
        return f"{WEBHOOK}:{server}/…"
    return f"{kind}://…" if server == kind else f"{kind}://{server}/…"


def parse_address(text: str, policy: Policy) -> Address:
    """Return an address that the policy allows.

    Raises:
        InvalidPreference: it is none; the text says what one is, and shows no credentials.
    """
    text = text.strip()
    if native := _DISCORD.fullmatch(text):
        text = f"discord://{native[1]}/{native[2]}"
    if not _is_plain(text):
        raise InvalidPreference(
            f"an address has 1 to {MOST_CHARACTERS} printable characters without blanks"
        )
    kind = text.partition(":")[0].lower()
    _require_kind(kind, text, policy)
    if kind == WEBHOOK:
        return _webhook(text[len(WEBHOOK) + 1 :], policy)
    return _for_apprise(kind, text, policy)


def _is_plain(text: str) -> bool:
    return (
        0 < len(text) <= MOST_CHARACTERS
        and text.isprintable()
        and not any(c.isspace() for c in text)
    )


def _require_kind(kind: str, text: str, policy: Policy) -> None:
    if policy.kinds is None or kind in policy.kinds:
        return
    if not policy.kinds:
        raise InvalidPreference("channels are switched off on this server (NOTIFY_CHANNELS=off)")
    # What does not look like a kind may be a secret: it is not repeated.
    is_named = "://" in text and re.fullmatch("[a-z][a-z0-9]{1,15}", kind)
    shown = f"{kind!r} is no kind of" if is_named else "this is no"
    hint = "; of a webhook write webhook:https://…" if kind in ("http", "https") else ""
    raise InvalidPreference(
        f"{shown} address that this server allows: it must begin with"
        f" {', '.join(sorted(policy.kinds))}{hint}"
    )


def _webhook(url: str, policy: Policy) -> Address:
    schemes = ("https", "http") if policy.is_private_allowed else ("https",)
    parts = _split(url)
    if parts is None or parts.scheme not in schemes or not has_host(f"//{parts.netloc}"):
        allowed = " or ".join(f"{WEBHOOK}:{scheme}://host/…" for scheme in schemes)
        raise InvalidPreference(f"the address of a webhook must be like {allowed}")
    _require_public(parts.hostname or "", policy)
    return Address(WEBHOOK, f"{WEBHOOK}:{url}", f"{parts.scheme}://{parts.netloc.lower()}")


def _for_apprise(kind: str, text: str, policy: Policy) -> Address:
    rest = text[len(kind) :].removeprefix("://")
    parts = _split(text) if kind in _WITH_SERVER else None
    if rest in ("", text[len(kind) :]) or (kind in _WITH_SERVER and parts is None):
        raise InvalidPreference(f"the address must be like {kind}://… , as Apprise writes it")
    _refuse_parameters(text)
    host = (parts.hostname or "") if parts is not None else ""
    if parts is None or not re.search(r"[.:]|^localhost$", host):
        return Address(kind, text, kind)
    _require_public(host, policy)
    shown = f"[{host}]" if ":" in host else host
    return Address(kind, text, shown if parts.port is None else f"{shown}:{parts.port}")


def _refuse_parameters(text: str) -> None:
    # Wherever one may stand: Apprise does not read addresses quite as the standard does.
    for part in re.split("[?&;]", text)[1:]:
        name = unquote(part.partition("=")[0]).strip()
        if name.lower() in _FORBIDDEN_PARAMETERS:
            raise InvalidPreference(f"the address must not have the parameter {name!r}")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _require_public(host: str, policy: Policy) -> None:
    """Refuse at once what can be seen without asking; each connection is checked again."""
    if not policy.is_private_allowed and (host == "localhost" or is_private(host)):
        raise InvalidPreference(f"{host} is a private address, which this server does not allow")


def is_private(text: str) -> bool:
    """Return whether this is a numeric address that is not one of the public Internet."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is not None:
            return is_private(str(inner))
        if address.teredo or address.is_site_local:
            return True
    return not address.is_global or address.is_multicast or address.is_reserved


def _behind_nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    is_behind = any(address in network for network in _NAT64)
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if is_behind else None
