"""Accounts as they stand at the tip, and their history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, Integer, bindparam, func, select, tuple_

from ..core import codec
from ..core.types import NO_ACCOUNT, Account
from .backends.engines import Among, Query
from .errors import StoreDamaged
from .tables import account_history, accounts, blocks, bodies
from .transactions import Confirmed, Place, cut, part_with

_ACCOUNT = select(accounts.c.balance, accounts.c.sequence).where(accounts.c.payload == bindparam("payload"))
_STATES = Among(select(accounts.c.payload, accounts.c.balance, accounts.c.sequence), accounts.c.payload)
_when = (account_history.c.height, account_history.c.position)
_page = (
    select(*_when, part_with(account_history.c.position).label("first"), blocks.c.joined)
    .add_columns(blocks.c.block_hash, blocks.c.header)
    .select_from(account_history)
    .join(blocks, (blocks.c.height == account_history.c.height) & blocks.c.main_chain)
    .where(
        account_history.c.account_id
        == select(accounts.c.account_id).where(accounts.c.payload == bindparam("payload")).scalar_subquery(),
        tuple_(*_when) < tuple_(bindparam("height", type_=Integer), bindparam("position", type_=Integer)),
    )
    .order_by(*(column.desc() for column in _when))
    .limit(bindparam("at_most", type_=Integer))
)
_PAGE = Query(_page)
_block_and_part = itemgetter(0, 2, 4, 5)
_on_page = _page.subquery()
_wanted = select(_on_page.c.height, _on_page.c.first, _on_page.c.joined).distinct().subquery()
_PARTS = Query(
    select(_wanted.c.height, _wanted.c.first, bodies.c.offsets, bodies.c.body)
    .join_from(_wanted, bodies, (bodies.c.joined == _wanted.c.joined) & (bodies.c.first == _wanted.c.first))
    .order_by(_wanted.c.height.desc(), _wanted.c.first.desc())
)
_RICHEST = Query(
    select(accounts.c.payload, accounts.c.balance, accounts.c.sequence)
    .where(accounts.c.balance > 0)
    .order_by(accounts.c.balance.desc(), accounts.c.account_id.desc())
    .limit(bindparam("at_most", type_=Integer))
)
_LAST_ID = Query(select(func.max(accounts.c.account_id)))
_NEWEST = Place(2**32, 0)
"""Younger than every transaction: heights have 32 bits on the wire."""


def account(conn: Connection, payload: bytes) -> Account:
    """Confirmed balance and sequence; zeros for one never used."""
    row = conn.execute(_ACCOUNT, {"payload": payload}).first()
    return Account(row.balance, row.sequence) if row else NO_ACCOUNT


def states(conn: Connection, payloads: Iterable[bytes]) -> dict[bytes, Account]:
    """The same for many; those never used are left out."""
    rows = _STATES.rows(conn, list(payloads))
    return {payload: Account(balance, sequence) for payload, balance, sequence in rows}


def history(conn: Connection, payload: bytes, before: Place | None, limit: int) -> list[Confirmed]:
    """The transactions that touch an account, newest first, those older than `before`.

    Two statements: where they stand, and each part of a body in which one does, once and one at a time.
    Raises StoreDamaged.
    """
    height, position = before or _NEWEST
    asked = {"payload": payload, "height": height, "position": position, "at_most": limit}
    found = []
    with closing(_PARTS.rows(conn, **asked)) as parts:
        for block_and_part, rows in groupby(list(_PAGE.rows(conn, **asked)), _block_and_part):
            height, first, block_hash, header = block_and_part
            part = next(parts, None)
            if part is None or part[:2] != (height, first):
                raise StoreDamaged(f"the database has no body for the block at height {height}")
            timestamp = codec.timestamp_of(header)
            places = [Place(height, position) for _, position, *_ in rows]
            raws = cut(places, *part[1:])
            found += [Confirmed(place, block_hash, timestamp, raw) for place, raw in zip(places, raws, strict=True)]
    return found


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
