"""What may be ordered about accounts and lists: JSON in, JSON out."""

from __future__ import annotations

from mangadex_sim.api.accounts import TOKEN_S, Account, Accounts
from mangadex_sim.api.endpoints import READING
from mangadex_sim.catalogue.models import Json
from mangadex_sim.orders.order_fields import as_list, read_number, refuse_unknown

_ACCOUNT = (
    *("username", "password", "client_id", "client_secret"),
    *("approved", "token_s", "statuses", "follows"),
)
_LIST = ("name", "titles", "public", "owner")


class AccountOrders:
    """Carries out orders on accounts. The caller holds the catalogue's lock."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def add(self, order: Json) -> Json:
        """Add an account, or replace the one of that name."""
        refuse_unknown(order, _ACCOUNT)
        statuses = dict(order.get("statuses") or {})
        if wrong := set(statuses.values()) - set(READING):
            raise ValueError(f"no status: {sorted(wrong)}; there are {', '.join(READING)}")
        self._accounts.add(
            Account(
                username=str(order["username"]),
                password=str(order["password"]),
                client_id=str(order["client_id"]),
                client_secret=str(order["client_secret"]),
                approved=bool(order.get("approved", True)),
                token_s=read_number(order, "token_s", TOKEN_S, 0, 86_400),
                statuses=statuses,
                follows=[str(each) for each in as_list(order.get("follows") or [])],
            )
        )
        return {}

    def end_tokens(self, order: Json) -> Json:
        """Make all tokens invalid."""
        refuse_unknown(order, ())
        self._accounts.end_tokens()
        return {}

    def add_list(self, order: Json) -> Json:
        """Add a custom list."""
        refuse_unknown(order, _LIST)
        made = self._accounts.add_list(
            str(order.get("name", "A list")),
            [str(each) for each in as_list(order.get("titles") or [])],
            bool(order.get("public", True)),
            order.get("owner"),
        )
        return {"id": made}
