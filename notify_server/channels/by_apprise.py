"""Sending by Apprise, to the kinds of channel that it knows."""

from __future__ import annotations

import html
import warnings
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from notify_server.channels.failures import Unsendable
from notify_server.channels.texts import HTML, MARKDOWN, PLAIN, Markup, compose
from readers.channels.messages import Delivery
from readers.datagram import cut

INSTALL = "pip install '.[channels]'"  # in the checkout: no index has it
# Of the others Apprise is told that the text is plain.
_MARKUP: dict[str, Markup] = {
    "discord": MARKDOWN,
    "tgram": HTML,
    "mailto": HTML,
    "mailtos": HTML,
}
_MOST_EMBED_TITLE = 120  # Discord's limit is 256, and escapes may double it
_MAIL = ("mailto", "mailtos")


def load() -> ModuleType | None:
    """Return Apprise with all its kinds loaded; None where it is not installed."""
    if find_spec("apprise") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about modules that it still tries
        import apprise  # an extra

        apprise.Apprise.instantiate("json://localhost")  # loads them all
    return apprise


def send(apprise: ModuleType, delivery: Delivery) -> bool:
    """Return whether the channel has accepted the message.

    Raises:
        Unsendable: the address is none of Apprise's.
    """
    service = apprise.Apprise.instantiate(_address(delivery), asset=_asset(apprise, delivery))
    if service is None:
        raise Unsendable("Apprise cannot read the address")
    markup = _MARKUP.get(delivery.kind, PLAIN)
    subject, body = _parts(delivery, markup)
    # Undeclared, Markdown is sent as it is: Discord's differs from what is converted to it.
    formats = {PLAIN: apprise.NotifyFormat.TEXT, HTML: apprise.NotifyFormat.HTML}
    return bool(service.notify(body=body, title=subject, body_format=formats.get(markup)))


def _parts(delivery: Delivery, markup: Markup) -> tuple[str, str]:
    """Return subject and body; the subject is empty where a channel would show it as markup."""
    text, cover = compose(delivery.message, markup), delivery.message.cover
    if markup is PLAIN:
        return text.subject, text.body
    if markup is MARKDOWN and cover:
        return markup.escape(cut(text.subject, _MOST_EMBED_TITLE)), text.body
    if delivery.kind in _MAIL:
        picture = f'<img src="{html.escape(cover)}" width="128" alt=""/><br/>' if cover else ""
        return text.subject, picture + text.body
    return "", f"{text.heading}{markup.newline}{text.body}"


def _address(delivery: Delivery) -> str:
    """Return the address; Discord shows a cover in what Apprise sends as Markdown."""
    if delivery.kind != "discord" or delivery.message.cover is None:
        return delivery.address
    separator = "&" if "?" in delivery.address else "?"
    return f"{delivery.address}{separator}format=markdown&image=yes&footer=no&avatar=no"


def _asset(apprise: ModuleType, delivery: Delivery) -> Any:
    """Return settings by which Apprise shows the cover, and no pictures of its own."""
    asset = apprise.AppriseAsset(async_mode=False, plugin_paths=None)
    asset.app_id, asset.app_desc = "MangaHub", "MangaHub"
    asset.app_url = delivery.message.site or "https://mangadex.org"
    asset.image_url_logo = ""
    asset.image_url_mask = (delivery.message.cover or "") if delivery.kind == "discord" else ""
    return asset
