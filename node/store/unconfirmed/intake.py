"""Transfers on their way into the mempool, several to one statement."""

from __future__ import annotations

from types import TracebackType

from sqlalchemy import Connection

from ...core import codec
from ...core.types import Spend
from . import entries
from .entries import SenderView
from .senders import SenderIndex


class Intake:
    """New rows of the mempool within one write transaction, inserted together when a query needs to see them.

    A context manager: at its end all of them are inserted, unless it ends by an error. `index`: kept from intake to
    intake. Nothing may be undone behind the end of an intake but by the whole transaction: a job with a savepoint has
    an index of its own.
    """

    def __init__(self, conn: Connection, index: SenderIndex) -> None:
        self._conn = conn
        self._index = index
        self._new: list[tuple[codec.Outline, bool, bool]] = []
        self._senders: set[bytes] = set()
        self.size = 0
        """Bytes on the wire of what is not inserted yet: the mempool's totals lack them."""

    def __enter__(self) -> Intake:
        self._index.open(self._conn)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.insert()
            self._index.close(self._conn)
        else:
            self._index.forget()

    def add(self, txid: bytes, transfer: Spend, *, ready: bool, head: bool) -> None:
        """Queue a transfer for `insert`: its (sender, sequence) is free, and it makes no waiting transfer ready.

        `head`: its sequence is the sender's confirmed one.
        """
        self._new.append((codec.outline(transfer, txid), ready, head))
        self._senders.add(transfer.sender)
        self._index.move_on(transfer.sender, transfer.cost, ready=ready)
        self.size += codec.transaction_size(transfer)

    def view(self, txid: bytes, transfer: Spend) -> SenderView:
        """What policy needs to know of a transfer's sender, with everything that was added."""
        sender = transfer.sender
        known = self._index.get(sender)
        if known is not None and known.takes(transfer):
            return known.view(self._index.pool_bytes)
        conn = self.seeing(sender)
        pool_cost = None if known is None else known.pool_cost
        view = entries.view(conn, sender, transfer.sequence, txid, pool_cost=pool_cost)
        self._index.put(sender, view)
        return view

    def seeing(self, sender: bytes) -> Connection:
        """The connection, on which a query sees everything of this sender that was added."""
        return self.insert() if sender in self._senders else self._conn

    def spend(self, sender: bytes, cost: int) -> None:
        """What `sender` has in the pool was changed by statements, and costs that much more (or less).

        `cost`: amount + fee, base units, of what was inserted less what was taken out.
        """
        self._index.spend(sender, cost)

    def insert(self) -> Connection:
        """Insert what was added; the connection, on which every query sees it."""
        if self._new:
            entries.insert_many(self._conn, self._new)
            self._index.pool_bytes += self.size
            self._new.clear()
            self._senders.clear()
            self.size = 0
        return self._conn

    def recount(self) -> None:
        """Read the pool's size again: statements have changed it."""
        self._index.pool_bytes = entries.totals(self._conn)[1]
