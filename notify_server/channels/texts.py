"""What a person reads: a message in the markup of its channel. Pure.

Names and titles come from outside and may hold anything: in each markup they are shown as they are
written, mention nobody, and begin no line of their own.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple

from readers.channels.messages import Message, News
from readers.datagram import Content, Json, cut

_MOST_TITLE, _MOST_TEXT, _MOST_URL, _MOST_GROUPS, _MOST_ITEMS = 200, 500, 512, 5, 20
_TITLES_IN_SUBJECT = 3
# They change the direction of what follows them.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ZERO_WIDTH_SPACE = "\u200b"


class Markup(NamedTuple):
    """How a channel writes.

    Attributes:
        escape: returns text that is shown as it is.
        strong: returns escaped text as a heading.
        link: returns an address that can be followed.
        most: bytes of a body; ntfy takes 4,096 in all, Discord 2,000 characters.
    """

    escape: Callable[[str], str]
    strong: Callable[[str], str]
    link: Callable[[str], str]
    newline: str
    most: int


class Text(NamedTuple):
    """A message to be read.

    Attributes:
        subject: plain, in one line.
        heading: the subject in the channel's markup.
    """

    subject: str
    heading: str
    body: str


def _escape_markdown(text: str) -> str:
    escaped = re.sub(r"([\\`*_~|>#\[\]()<]|^[-+]|:(?=//)|(?<=^\d)\.)", r"\\\1", text)
    # Discord reads a mention even behind a backslash, but not over a space.
    return escaped.replace("@", f"@{_ZERO_WIDTH_SPACE}")


PLAIN = Markup(str, str, str, "\n", 3_500)
MARKDOWN = Markup(_escape_markdown, lambda text: f"**{text}**", lambda url: f"<{url}>", "\n", 1_400)
HTML = Markup(
    html.escape,
    lambda text: f"<b>{text}</b>",
    lambda url: f'<a href="{html.escape(url)}">{html.escape(url)}</a>',
    "<br/>",
    3_500,
)


def compose(message: Message, markup: Markup) -> Text:
    """Return the text of a message."""
    if not message.news:
        subject = "MangaHub: a test"
        lines = ["This channel works: what is new will be shown here."]
    elif len(message.news) == 1:
        subject, lines = _one(message.news[0], markup)
    else:
        subject, lines = _several(message.news, markup)
    body = _joined(lines, _to_site(message, markup), markup) or markup.escape(subject)
    return Text(subject, markup.strong(markup.escape(subject)), body)


# --- one notification ----------------------------------------------------------------------------


def _one(news: News, markup: Markup) -> tuple[str, list[str]]:
    content = news.content
    details = [_clean(content.message, _MOST_TEXT), _details(content.data)]
    if content.type == "NEW_MANGA":
        genres = ", ".join(_texts(content.data.get("genres")))
        details = [f"Genres: {cut(genres, _MOST_TEXT)}" if genres else ""]
    if content.type == "MANGA_UPDATE":
        details += [_change(change) for change in content.changes[:_MOST_ITEMS]]
    lines = [markup.escape(line) for line in details if line]
    items = _items(content.data)
    if len(items) > 1:
        lines += [_item(item, markup) for item in items]
    elif url := _url(content.data):
        lines.append(markup.link(url))
    return subject_of(content), lines


def subject_of(content: Content) -> str:
    """Return what a notification is about in one line."""
    title = _clean(content.title, _MOST_TITLE) or "MangaHub"
    if content.type == "NEW_MANGA":
        return f"New title: {title}"
    if content.type == "MANGA_UPDATE":
        return f"{title}: changed"
    if content.type == "NEW_CHAPTER":
        return f"{title}: {_numbers(content.data)}"
    return title


def _numbers(data: dict[str, Json]) -> str:
    chapters = data.get("chapters")
    several = [n for n in chapters if _is_number(n)] if isinstance(chapters, list) else []
    if len(several) > 1:
        low, high = min(several, key=_as_float), max(several, key=_as_float)
        return f"{len(several)} chapters, {low}–{high}" if low != high else f"chapter {low}"
    number, volume = data.get("chapter"), _clean(data.get("volume"), 20)
    name = f"chapter {number}" if _is_number(number) else "a chapter"
    return f"vol. {volume}, {name}" if volume else name


def _details(data: dict[str, Json]) -> str:
    """Return what is known of a chapter, and how far its reader is behind."""
    groups = ", ".join(_texts(data.get("groups")))
    name = _clean(data.get("chapter_title"), _MOST_TITLE)
    behind = data.get("behind")
    parts = (
        _clean(data.get("language"), 20),
        f"by {cut(groups, _MOST_TITLE)}" if groups else "",
        f"“{name}”" if name else "",
        f"you are {behind} behind" if _is_number(behind) and _as_float(behind) > 1 else "",
    )
    return " · ".join(part for part in parts if part)


def _items(data: dict[str, Json]) -> list[dict[str, Json]]:
    items = data.get("items")
    found = items if isinstance(items, list) else []
    return [item for item in found if isinstance(item, dict)][:_MOST_ITEMS]


def _item(item: dict[str, Json], markup: Markup) -> str:
    details = _details(item)
    words = markup.escape(f"• {_numbers(item)}{f' · {details}' if details else ''}")
    url = _url(item)
    return f"{words} {markup.link(url)}" if url else words


def _change(change: Json) -> str:
    if not isinstance(change, dict) or (change.get("old_value"), change.get("new_value")) == (
        None,
        None,
    ):
        return ""
    old, new = (_clean(change.get(name), 100) or "nothing" for name in ("old_value", "new_value"))
    return f"{_clean(change.get('field'), 50)}: {old} → {new}"


# --- several -------------------------------------------------------------------------------------


def _several(news: Iterable[News], markup: Markup) -> tuple[str, list[str]]:
    contents = [each.content for each in news]
    titles = list(dict.fromkeys(_clean(each.title, 60) or "MangaHub" for each in contents))
    named, more = titles[:_TITLES_IN_SUBJECT], len(titles) - _TITLES_IN_SUBJECT
    listed = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return f"{len(contents)} notifications: {listed}", [_line(each, markup) for each in contents]


def _line(content: Content, markup: Markup) -> str:
    details = _details(content.data)
    if content.type not in ("NEW_MANGA", "NEW_CHAPTER"):
        details = _clean(content.message, _MOST_TEXT)
    words = markup.escape(f"• {subject_of(content)}{f' · {details}' if details else ''}")
    url = _url(content.data)
    return f"{words} {markup.link(url)}" if url else words


def _to_site(message: Message, markup: Markup) -> list[str]:
    if message.site is None:
        return []
    return ["", markup.escape("Your inbox: ") + markup.link(f"{message.site}/me/inbox")]


def _joined(lines: list[str], last: list[str], markup: Markup) -> str:
    """Join as many lines as a message may have, and say how many are left out."""
    room, kept = markup.most, 0
    for line in lines:
        room -= len(line.encode(errors="replace")) + len(markup.newline)
        if room < 0:
            break
        kept += 1
    left = len(lines) - kept
    shown = lines[:kept] + ([markup.escape(f"… and {left} more")] if left else [])
    return markup.newline.join([*shown, *last])


# --- values of a row, which may be anything ------------------------------------------------------


def _clean(value: Json, most: int) -> str:
    """Return a text in one line, without what is not shown or changes what is around it."""
    text = value if isinstance(value, str) else str(value) if _is_number(value) else ""
    spaced = " ".join(text[: most * 4].split())
    kept = (c for c in spaced if c not in _BIDI and unicodedata.category(c) not in ("Cc", "Cs"))
    return cut("".join(kept), most)


def _texts(value: Json) -> list[str]:
    found = value if isinstance(value, list) else []
    return [name for each in found[:_MOST_GROUPS] if (name := _clean(each, 60))]


def _url(data: dict[str, Json]) -> str:
    url = data.get("url")
    is_good = isinstance(url, str) and re.fullmatch(r"https?://[!-;=?-~]+", url)
    return str(url) if is_good and len(str(url)) <= _MOST_URL else ""


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
