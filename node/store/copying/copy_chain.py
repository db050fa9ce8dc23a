"""The copy of a chain: rows, then counts, tip, sums and proof, before anybody can see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from secrets import token_bytes
from typing import Final

from sqlalchemy import Connection, Table, func, select

from ...core.coin import Coin
from ...core.coinfile import coin_from_toml, coin_to_toml
from ...core.errors import BadCoin
from .. import accounts as account_rows
from .. import blocks as block_rows
from .. import meta as facts
from ..backends.statements import SERVER
from ..errors import StoreDamaged, StoreRefused
from ..opening import check
from ..tables import meta as meta_table
from ..tables import metadata, processes
from .copy_ends import End, Making, Reading, Values

Progress = Callable[[str, int, int], None]
"""What is done now; how much of it, of how much (0: not known)."""

_OWN: Final = (facts.CHANGES, facts.COIN)
"""Keys of `meta` that are a database's own, and made anew."""
_TOLD_ROWS: Final = 2_000
"""Between two calls of the progress."""
_TABLES: Final = [table for table in metadata.sorted_tables if table is not processes]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied. `rows`: of each table; `node_id`: of the copy, 32 hex digits."""

    coin: Coin
    height: int
    tip: bytes
    rows: dict[str, int]
    node_id: str


def copy_chain(
    source: End,
    target: End,
    *,
    coin: Coin | None = None,
    new_identity: bool = False,
    prove: Callable[[Connection, Coin], object] | None = None,
    progress: Progress | None = None,
) -> Copied:
    """Copy all of a database to one that is not there yet, or is empty; the source is only read.

    `coin`: for a source that does not say which it is of; `new_identity`: the copy is another node's, which may run
    beside the first; `prove`: checks all that was copied (`node.chain.verify`), and raises StoreDamaged. Raises
    StoreRefused, BadCoin, and then there is no copy; StoreLost where that is not known.
    """
    told = progress or (lambda _what, _done, _total: None)
    target.check_free()
    with source.reading() as read:
        found = coin_in(read.conn, source, coin)
        told("counting", 0, 0)
        counts = {table.name: _count(read.conn, table) for table in _TABLES}
        last_number = read.last_number()
        try:
            with target.making(found) as made:
                _put_rows(read, made, counts, told)
                _put_own(made.conn, found, new_identity)
                told("making indexes", 0, 0)
                made.finish(last_number)
                told("checking", 0, 0)
                _compare(read.conn, made.conn, counts)
                check.check_rows(made.conn, found)
                if prove is None:
                    _check_kinds(made.conn)
                else:
                    prove(made.conn, found)
                tip, node_id = block_rows.tip(made.conn), facts.node_id(made.conn)
        except StoreDamaged as error:
            raise StoreRefused(f"{source.shown} is damaged: {error.message}. Nothing was copied") from None
    return Copied(found, tip.height, tip.block_hash, counts, node_id)


def coin_in(conn: Connection, end: End, given: Coin | None = None) -> Coin:
    """The coin of a database: what it says itself, else what lies beside it, else what was given.

    Raises StoreRefused, BadCoin.
    """
    chain_id = facts.get(conn, "chain_id")
    if chain_id is None:
        raise StoreRefused(f"{end.shown} has no chain in it")
    text = facts.get(conn, facts.COIN)
    if text is not None:
        try:
            known = [coin_from_toml(text.decode())]
        except (UnicodeDecodeError, BadCoin):
            raise StoreRefused(f"{end.shown} is damaged: the coin that it holds is none") from None
    else:
        known = [each for each in (given, end.local_coin()) if each is not None]
    found = next((each for each in known if each.chain_id == chain_id), None)
    if found is not None and (given is None or given.chain_id == chain_id):
        return found
    if known:
        raise StoreRefused(f"{end.shown} is not of the coin {(given or known[0]).name}, but of another one")
    raise StoreRefused(f"{end.shown} does not say of which coin it is: name the coin's file with --coin FILE")


def _put_rows(read: Reading, made: Making, counts: dict[str, int], told: Progress) -> None:
    whole, before = sum(counts.values()), 0
    for table in _TABLES:
        with closing(read.rows(table)) as rows:
            wanted = (row for row in rows if row[0] not in _OWN) if table is meta_table else rows
            made.put(table, _counted(wanted, before, whole, told))
        before += counts[table.name]
        told("copying rows", before, whole)


def _counted(rows: Iterable[Values], before: int, whole: int, told: Progress) -> Iterator[Values]:
    for number, row in enumerate(rows, 1):
        yield row
        if not number % _TOLD_ROWS:
            told("copying rows", before + number, whole)


def _put_own(conn: Connection, coin: Coin, new_identity: bool) -> None:
    facts.put(conn, facts.COIN, coin_to_toml(coin).encode())
    if conn.dialect.name == SERVER:
        facts.put(conn, facts.CHANGES, bytes(8))
    if new_identity:
        facts.replace(conn, "node_id", token_bytes(facts.NODE_ID_SIZE))


def _count(conn: Connection, table: Table) -> int:
    statement = select(func.count()).select_from(table)
    if table is meta_table:
        statement = statement.where(table.c.key.not_in(_OWN))
    return conn.execute(statement).scalar_one()


def _compare(source: Connection, copy: Connection, counts: dict[str, int]) -> None:
    """Raises StoreDamaged where the two differ: the rows that were read are not all that are there."""
    for table in _TABLES:
        found = _count(copy, table)
        if found != counts[table.name]:
            raise StoreDamaged(f"it has {counts[table.name]} rows of {table.name}, of which {found} could be read")
    theirs, ours = block_rows.tip(source), block_rows.tip(copy)
    if (theirs.height, theirs.block_hash) != (ours.height, ours.block_hash):
        raise StoreDamaged(f"its tip is at height {theirs.height}, and that of its rows at {ours.height}")
    if account_rows.total(source) != account_rows.total(copy):
        raise StoreDamaged("its balances do not sum to what its rows do")


def _check_kinds(conn: Connection) -> None:
    """Pages, constraints, references and kinds of a file; a server has looked at that itself."""
    wrong = check.damage(conn)
    if wrong:
        raise StoreDamaged(wrong)
