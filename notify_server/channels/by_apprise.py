"""Sending by Apprise, to the kinds of channel that it knows."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from notify_server.channels.texts import HTML, MARKDOWN, PLAIN, Markup, compose
from readers.channels.messages import Delivery

INSTALL = "pip install '.[channels]'"  # in the checkout: no index has it
# Of the others Apprise is told that the text is plain.
_MARKUP: dict[str, Markup] = {
    "discord": MARKDOWN,
    "tgram": HTML,
    "mailto": HTML,
    "mailtos": HTML,
}
_SUBJECT_APART = ("mailto", "mailtos")


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
    """Return whether the channel has accepted the message."""
    service = apprise.Apprise.instantiate(delivery.address, asset=_asset(apprise, delivery))
    if service is None:
        raise ValueError("Apprise cannot read the address")
    markup = _MARKUP.get(delivery.kind, PLAIN)
    text = compose(delivery.message, markup)
    subject, body = text.subject, text.body
    if markup is not PLAIN and delivery.kind not in _SUBJECT_APART:
        subject, body = "", f"{text.heading}{markup.newline}{text.body}"
    # Undeclared, Markdown is sent as it is: Discord's differs from what is converted to it.
    formats = {PLAIN: apprise.NotifyFormat.TEXT, HTML: apprise.NotifyFormat.HTML}
    return bool(service.notify(body=body, title=subject, body_format=formats.get(markup)))


def _asset(apprise: ModuleType, delivery: Delivery) -> Any:
    """Return settings by which Apprise reads no file and shows no picture of its own."""
    asset = apprise.AppriseAsset(async_mode=False, plugin_paths=None)
    asset.app_id, asset.app_desc = "MangaHub", "MangaHub"
    asset.app_url = delivery.message.site or "https://mangadex.org"
    asset.image_url_mask = asset.image_url_logo = ""
    return asset
