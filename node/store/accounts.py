"""Accounts as they stand at the tip, and their history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, Integer, bindparam, func, select

from ..core.types import NO_ACCOUNT, Account
from .backends.statements import Among, Query
from .tables import NONE, account_history, accounts
from .transactions import Confirmed, HistoryPages, Place

_ACCOUNT = select(accounts.c.balance, accounts.c.sequence).where(accounts.c.payload == bindparam("payload"))
_STATES = Among(select(accounts.c.payload, accounts.c.balance, accounts.c.sequence), accounts.c.payload)
_HISTORY = HistoryPages(
    account_history,
    account_history.c.account_id
    == select(accounts.c.account_id).where(accounts.c.payload == bindparam("payload")).scalar_subquery(),
)
_RICHEST = Query(
    select(accounts.c.payload, accounts.c.balance, accounts.c.sequence)
    .where(accounts.c.balance > NONE)
    .order_by(accounts.c.balance.desc(), accounts.c.account_id.desc())
    .limit(bindparam("at_most", type_=Integer))
)
_LAST_ID = Query(select(func.max(accounts.c.account_id)))


def account(conn: Connection, payload: bytes) -> Account:
    """Confirmed balance and sequence; zeros for one never used."""
    row = conn.execute(_ACCOUNT, {"payload": payload}).first()
    return Account(row.balance, row.sequence) if row else NO_ACCOUNT


def states(conn: Connection, payloads: Iterable[bytes]) -> dict[bytes, Account]:
    """The same for many; those never used are left out."""
    rows = _STATES.rows(conn, list(payloads))
    return {payload: Account(balance, sequence) for payload, balance, sequence in rows}


def history(conn: Connection, payload: bytes, before: Place | None, limit: int) -> list[Confirmed]:
    """The transactions that touch an account, newest first, those older than `before`. Raises StoreDamaged."""
    return _HISTORY.page(conn, before, limit, payload=payload)


def all_history(conn: Connection) -> Iterator[tuple[bytes, int, int]]:
    """(payload, height, position) of every entry, in no order; for checks."""
    entries = select(accounts.c.payload, account_history.c.height, account_history.c.position).join_from(
        account_history, accounts, account_history.c.account_id == accounts.c.account_id
    )
    return (tuple(row) for row in conn.execute(entries.execution_options(yield_per=1000)))


def count_history(conn: Connection) -> int:
    """Rows of history, those of no account too."""
    found: int = conn.execute(select(func.count()).select_from(account_history)).scalar_one()
    return found


def everyone(conn: Connection) -> dict[bytes, Account]:
    """Every account that is one; for checks and tests."""
    rows = conn.execute(select(accounts.c.payload, accounts.c.balance, accounts.c.sequence))
    found = {payload: Account(balance, sequence) for payload, balance, sequence in rows}
    return {payload: account for payload, account in found.items() if account != NO_ACCOUNT}


def richest(conn: Connection, limit: int) -> list[tuple[bytes, Account]]:
    """(payload, account) of the largest balances, at most `limit`: the largest first, of equals the newer one."""
    rows = _RICHEST.rows(conn, at_most=limit)
    return [(payload, Account(balance, sequence)) for payload, balance, sequence in rows]


def count_known(conn: Connection) -> int:
    """How many addresses this database has numbered: all that its main chain used, and those of blocks that left it.

    Without the first one, to which genesis pays nothing (protocol.md).
    """
    row = _LAST_ID.one(conn)
    return int(row[0]) - 1 if row and row[0] else 0


def total(conn: Connection) -> int:
    """Sum of all balances, base units."""
    found: int = conn.execute(select(func.coalesce(func.sum(accounts.c.balance), 0))).scalar_one()
    return found
