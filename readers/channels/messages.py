"""Messages: what one channel is sent at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from readers.channels.addresses import Policy
from readers.datagram import Content


@dataclass(frozen=True, slots=True)
class News:
    """A notification as a channel shows it: the id and content of its row."""

    id: int
    content: Content


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel is sent at once: a notification, a bundle of several, or a test.

    Attributes:
        id: the same whenever the message is repeated.
        news: in order; none in a test.
        site: the website's address for links and covers; None where readers cannot reach it.
    """

    id: str
    news: tuple[News, ...] = ()
    site: str | None = None

    @property
    def cover(self) -> str | None:
        """The address of the cover, of a message about one title that readers can reach."""
        ids = {each.content.manga_id for each in self.news}
        if self.site is None or len(ids) != 1 or ids == {0}:
            return None
        return f"{self.site}/covers/{ids.pop()}/256.webp"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to a channel.

    Attributes:
        address, secret: credentials, never to be logged.
        reaches: the id of the last notification that the message is about; None for a test.
        attempts: how often it has failed.
        failing_since: when the channel began to fail; None if it works.
    """

    channel_id: int
    kind: str
    server: str
    address: str = field(repr=False)
    secret: str | None = field(repr=False)
    policy: Policy
    message: Message
    reaches: int | None = None
    attempts: int = 0
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A channel that may be sent something now.

    Attributes:
        server: what its address leads to.
        attempts: how often the message that it is sent has failed.
        waits_since: when the first notification of a new message was stored; None if the message
            was fixed before, by an attempt or by a sender that died.
    """

    channel_id: int
    server: str
    attempts: int
    is_digest: bool
    waits_since: datetime | None


def message_id(channel_id: int, last_id: int) -> str:
    return f"msg_{channel_id}_{last_id}"
