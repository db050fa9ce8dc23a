"""A block's effect on rows: connect and disconnect at the end of the main chain.

Balances are computed in memory by `node.core.ledger` and written once a block; nothing is written when a rule fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from node.core import codec, ledger
from node.core.coin import Coin
from node.core.types import NO_ACCOUNT, Account, Block, Transfer
from node.store import blocks as block_rows
from node.store.tables import account_history, accounts, transactions

_CHUNK = 500
"""Values in one IN list."""

_NEXT_ID = select(func.coalesce(func.max(accounts.c.account_id), 0) + 1)
_UPDATE = (
    update(accounts)
    .where(accounts.c.account_id == bindparam("number"))
    .values(balance=bindparam("new_balance"), sequence=bindparam("new_sequence"))
)
_INSERT = insert(accounts)
_INSERT_TX = insert(transactions)
_INSERT_HISTORY = insert(account_history)
_DELETE_TX = delete(transactions).where(transactions.c.txid == bindparam("gone"))
_DELETE_HISTORY = delete(account_history).where(
    account_history.c.account_id == bindparam("number"), account_history.c.height == bindparam("at")
)


class Loaded:
    """The accounts that a block touches: state to compute with, and the numbers of their rows."""

    def __init__(self, conn: Connection, payloads: Iterable[bytes]) -> None:
        self.accounts: dict[bytes, Account] = {}
        self.numbers: dict[bytes, int] = {}
        wanted = list(payloads)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = conn.execute(
                select(accounts.c.account_id, accounts.c.payload, accounts.c.balance, accounts.c.sequence).where(
                    accounts.c.payload.in_(chunk)
                )
            )
            for number, payload, balance, sequence in rows:
                self.numbers[payload] = number
                self.accounts[payload] = Account(balance, sequence)
        self._before = dict(self.accounts)

    def save(self, conn: Connection, payloads: Iterable[bytes]) -> None:
        """Write what changed, and give rows to `payloads` that have none."""
        changed = [
            {"number": self.numbers[payload], "new_balance": account.balance, "new_sequence": account.sequence}
            for payload, account in self._after()
            if payload in self.numbers
        ]
        if changed:
            conn.execute(_UPDATE, changed)
        new = [payload for payload in payloads if payload not in self.numbers]
        if new:
            first = conn.execute(_NEXT_ID).scalar_one()
            self.numbers.update((payload, first + i) for i, payload in enumerate(new))
            conn.execute(_INSERT, [self._new_row(payload) for payload in new])

    def _after(self) -> list[tuple[bytes, Account]]:
        """Accounts that differ from what was loaded; one that left the mapping is (0, 0) now."""
        touched = self.accounts.keys() | self._before.keys()
        pairs = [(payload, self.accounts.get(payload, NO_ACCOUNT)) for payload in touched]
        return [(payload, account) for payload, account in pairs if self._before.get(payload) != account]

    def _new_row(self, payload: bytes) -> dict[str, object]:
        account = self.accounts.get(payload, NO_ACCOUNT)
        return {
            "account_id": self.numbers[payload],
            "payload": payload,
            "balance": account.balance,
            "sequence": account.sequence,
        }


def connect(
    conn: Connection,
    coin: Coin,
    block: Block,
    block_hash: bytes,
    height: int,
    signatures: Sequence[bool],
    txids: Sequence[bytes],
) -> None:
    """Connect a stored block behind the tip. Raises the rule's error before a row has changed."""
    payloads = ledger.payloads_of(block)
    loaded = Loaded(conn, payloads)
    ledger.apply_block(loaded.accounts, block, height=height, subsidy=coin.subsidy(height), signatures=signatures)
    _save_connected(conn, loaded, block, block_hash, height, txids, payloads)


def connect_genesis(conn: Connection, coin: Coin) -> None:
    payloads = ledger.payloads_of(coin.genesis)
    loaded = Loaded(conn, payloads)
    ledger.apply_genesis(loaded.accounts, coin.genesis)
    txids = [codec.txid(transaction) for transaction in coin.genesis.transactions]
    _save_connected(conn, loaded, coin.genesis, coin.chain_id, 0, txids, payloads)


def _save_connected(
    conn: Connection,
    loaded: Loaded,
    block: Block,
    block_hash: bytes,
    height: int,
    txids: Sequence[bytes],
    payloads: set[bytes],
) -> None:
    loaded.save(conn, payloads)
    conn.execute(
        _INSERT_TX,
        [{"txid": txid, "height": height, "position": position} for position, txid in enumerate(txids)],
    )
    history = []
    for position, transaction in enumerate(block.transactions):
        numbers = {loaded.numbers[transaction.receiver]}
        if isinstance(transaction, Transfer):
            numbers.add(loaded.numbers[transaction.sender])
        history += [{"account_id": number, "height": height, "position": position} for number in numbers]
    conn.execute(_INSERT_HISTORY, history)
    block_rows.set_main_chain(conn, block_hash, True)


def disconnect(conn: Connection, block: Block, block_hash: bytes, height: int, txids: Sequence[bytes]) -> None:
    """Exact inverse of `connect`, for the tip."""
    payloads = ledger.payloads_of(block)
    loaded = Loaded(conn, payloads)
    ledger.undo_block(loaded.accounts, block)
    loaded.save(conn, ())
    conn.execute(_DELETE_TX, [{"gone": txid} for txid in txids])
    conn.execute(_DELETE_HISTORY, [{"number": loaded.numbers[payload], "at": height} for payload in payloads])
    block_rows.set_main_chain(conn, block_hash, False)
