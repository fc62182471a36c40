"""The head of a request, read strictly: what is not plain HTTP/1.x is refused. Pure."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

MAX_HEAD_BYTES = 8_192
END = b"\r\n\r\n"
_LINE = re.compile(rb"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_MAX_FIELDS = 10


class Request(NamedTuple):
    """What was asked for; header names are in lower case, repeated headers joined by commas."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Refused(Exception):
    """The request gets this status and nothing else."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def parse_head(head: bytes) -> Request:
    """Return the request whose head this is, without the empty line at its end.

    Raises:
        Refused: it is malformed, has a body, or is no GET.
    """
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Refused(HTTPStatus.BAD_REQUEST)
    headers = _read_fields(lines)
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if has_body or (line[3] == b"1" and not headers.get("host")) or "," in headers.get("host", ""):
        raise Refused(HTTPStatus.BAD_REQUEST)
    if line[1] != b"GET":
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
    path, _, query = line[2].decode("ascii").partition("?")
    return Request(path, _read_query(query), headers)


def _read_fields(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Refused(HTTPStatus.BAD_REQUEST)
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _read_query(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, max_num_fields=_MAX_FIELDS, errors="strict"))
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
