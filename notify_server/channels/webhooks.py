"""Sending to webhooks: a notification's JSON, signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime

import requests

from mangahub import __version__
from readers.channels.addresses import WEBHOOK
from readers.channels.messages import Delivery, Message, News
from readers.datagram import Json, timestamp

BUNDLE = "BUNDLE"
_PREFIX = "whsec_"


def send(delivery: Delivery, now: datetime) -> bool:
    """Return whether the webhook has accepted the message.

    Raises:
        requests.RequestException: it has not answered.
    """
    body = json.dumps(body_of(delivery.message, now), ensure_ascii=False).encode("utf-8", "replace")
    url = delivery.address.removeprefix(f"{WEBHOOK}:")
    headers = signed_headers(delivery.message.id, body, delivery.secret or "", now)
    # Who has accepted it may say at length what he likes: that is not read.
    with requests.post(url, data=body, headers=headers, stream=True) as answer:
        return 200 <= answer.status_code < 300


def signed_headers(id: str, body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """Return the headers of a message, with its signature.

    Args:
        secret: `whsec_` and the key in base64.
    """
    seconds = int(now.timestamp())
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = hmac.digest(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": f"mangahub-sync/{__version__}",
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def body_of(message: Message, now: datetime) -> dict[str, Json]:
    """Return what is posted: one notification as a datagram has it, or a bundle of several."""
    items = [_item(news) for news in message.news]
    if len(items) == 1:
        return items[0]
    common: dict[str, Json] = {"manga_id": 0, "title": "MangaHub", "timestamp": timestamp(now)}
    if not items:
        return {"type": "TEST", "id": 0, **common, "message": "A test", "data": {}, "changes": []}
    words = f"{len(items)} notifications"
    last = message.news[-1].id
    return {"type": BUNDLE, "id": last, **common, "message": words, "notifications": [*items]}


def _item(news: News) -> dict[str, Json]:
    content = news.content
    return {
        "type": content.type,
        "id": news.id,
        "manga_id": content.manga_id,
        "title": content.title,
        "message": content.message,
        "timestamp": timestamp(content.created_at) if content.created_at else "",
        "data": content.data,
        "changes": content.changes,
    }
