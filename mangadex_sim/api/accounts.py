"""What needs an account, and lists: the login of the auth host, statuses, follows, custom lists.

By the OpenAPI description 5.13.1 and its page on authentication: a personal client logs in with
name, password, client id and secret, and its access token is good for 15 minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs
from uuid import uuid4

from mangadex_sim.api import endpoints
from mangadex_sim.api.query import Query
from mangadex_sim.catalogue.models import Json, SimulatedError, invalid_query, not_found

TOKEN_PATH = "/realms/mangadex/protocol/openid-connect/token"
TOKEN_S = 900.0


@dataclass
class Account:
    """One account; its client logs in where it is approved.

    Attributes:
        token_s: how long an access token is good.
    """

    username: str
    password: str
    client_id: str
    client_secret: str
    approved: bool = True
    token_s: float = TOKEN_S
    statuses: dict[str, str] = field(default_factory=dict)
    follows: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CustomList:
    """A list of titles; a private one is there for its owner only."""

    id: str
    name: str
    titles: list[str]
    is_public: bool
    owner: str | None


class LoginError(Exception):
    """What the auth host answers in its own form: status, error code, description."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body: Json = {"error": code, "error_description": description}


class Accounts:
    """The accounts, their tokens, and all lists. The caller holds the catalogue's lock."""

    def __init__(self) -> None:
        self.by_name: dict[str, Account] = {}
        self.lists: dict[str, CustomList] = {}
        self._tokens: dict[str, tuple[str, float]] = {}  # → name, and when it ends (monotonic)

    def add(self, account: Account) -> None:
        """Add an account, or replace the one of that name; its tokens end."""
        self.by_name[account.username] = account
        self.end_tokens()

    def end_tokens(self) -> None:
        """Make all tokens invalid."""
        self._tokens.clear()

    def add_list(self, name: str, titles: list[str], is_public: bool, owner: str | None) -> str:
        """Add a custom list; return its id."""
        made = CustomList(str(uuid4()), name, titles, is_public, owner)
        self.lists[made.id] = made
        return made.id

    # --- endpoints -----------------------------------------------------------------------------

    def log_in(self, body: bytes) -> Json:
        """Answer POST of the token endpoint; LoginError for what it rejects."""
        form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        client = self._client_of(form)
        match form.get("grant_type"):
            case "password":
                if (form.get("username"), form.get("password")) != (
                    client.username,
                    client.password,
                ):
                    raise LoginError(401, "invalid_grant", "Invalid user credentials")
            case "refresh_token":
                if self._owner(form.get("refresh_token", "")) is not client:
                    raise LoginError(400, "invalid_grant", "Invalid refresh token")
            case _:
                raise LoginError(400, "unsupported_grant_type", "Unsupported grant_type")
        return self._issue(client)

    def _client_of(self, form: dict[str, str]) -> Account:
        given = (form.get("client_id"), form.get("client_secret"))
        for account in self.by_name.values():
            if (account.client_id, account.client_secret) == given and account.approved:
                return account
        description = "Invalid client or Invalid client credentials"
        raise LoginError(401, "invalid_client", description)

    def _issue(self, account: Account) -> Json:
        access, refresh = uuid4().hex, uuid4().hex
        now_s = time.monotonic()
        self._tokens[access] = (account.username, now_s + account.token_s)
        self._tokens[refresh] = (account.username, now_s + 90 * 86_400)
        return {
            "access_token": access,
            "expires_in": int(account.token_s),
            "refresh_expires_in": 90 * 86_400,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "scope": "groups roles profile email",
        }

    def _owner(self, token: str) -> Account | None:
        name, end_s = self._tokens.get(token, ("", 0.0))
        return self.by_name.get(name) if time.monotonic() < end_s else None

    def signed_in(self, authorization: str) -> Account:
        """Return who a request's token belongs to; a 401 without one."""
        account = self._owner(authorization.removeprefix("Bearer "))
        if account is None:
            raise SimulatedError(401, "unauthorized_http_exception", "User not authenticated")
        return account

    def show_statuses(self, authorization: str, query: str) -> Json:
        """Answer GET /manga/status: the whole library at once."""
        wanted = Query(endpoints.READING_STATUSES, query).text("status")
        statuses = self.signed_in(authorization).statuses
        found = {key: value for key, value in statuses.items() if wanted in (None, "", value)}
        return {"result": "ok", "statuses": found or []}  # an empty map of PHP is a list

    def show_list(self, list_id: str, authorization: str, query: str) -> Json:
        """Answer GET /list/{id}; somebody else's private list is not found."""
        Query(endpoints.NOTHING, query)
        found = self.lists.get(list_id)
        if found is None or not (found.is_public or self._is_owner(found, authorization)):
            raise not_found(f"CustomList with ID {list_id} does not exist")
        titles = [{"id": each, "type": "manga"} for each in found.titles]
        visibility = "public" if found.is_public else "private"
        return {
            "result": "ok",
            "response": "entity",
            "data": {
                "id": found.id,
                "type": "custom_list",
                "attributes": {"name": found.name, "visibility": visibility, "version": 1},
                "relationships": titles,
            },
        }

    def _is_owner(self, found: CustomList, authorization: str) -> bool:
        account = self._owner(authorization.removeprefix("Bearer "))
        return account is not None and account.username == found.owner


def read_mapping(document: object, find: Callable[[int], str | None]) -> Json:
    """Answer POST /legacy/mapping for titles; numbers that are not known are left out.

    Args:
        find: returns the id behind an old number.
    """
    if not isinstance(document, dict) or not set(document) <= {"type", "ids"}:
        raise invalid_query("The body has to be an object with type and ids, and nothing else")
    numbers = document.get("ids")
    if document.get("type") not in ("group", "manga", "chapter", "tag"):
        raise invalid_query("Does not have a value in the enumeration: type")
    if not isinstance(numbers, list) or not all(type(each) is int for each in numbers):
        raise invalid_query("ids: Array value found of a wrong type, but an integer is required")
    known = {number: find(number) for number in dict.fromkeys(numbers)}
    data = [
        {
            "id": str(uuid4()),
            "type": "mapping_id",
            "attributes": {"type": "manga", "legacyId": number, "newId": new_id},
            "relationships": [],
        }
        for number, new_id in known.items()
        if new_id is not None and document["type"] == "manga"
    ]
    return {
        "result": "ok",
        "response": "collection",
        "data": data,
        "limit": len(data),
        "offset": 0,
        "total": len(data),
    }
