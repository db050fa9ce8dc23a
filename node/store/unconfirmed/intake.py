"""Transfers on their way into the mempool, several to one statement."""

from __future__ import annotations

from types import TracebackType

from sqlalchemy import Connection

from ...core import codec
from ...core.types import Transfer
from . import entries
from .entries import SenderView


class Intake:
    """New rows of the mempool within one write transaction, inserted together when a query needs to see them.

    A context manager: at its end all of them are inserted, unless it ends by an error.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._new: list[tuple[codec.Outline, bool]] = []
        self._senders: set[bytes] = set()
        self._costs: dict[bytes, int] = {}
        self.size = 0
        """Bytes on the wire of what is not inserted yet: the mempool's totals lack them."""

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.insert()

    def add(self, txid: bytes, transfer: Transfer, *, ready: bool) -> None:
        """Queue a transfer for `insert`: its (sender, sequence) is free, and it makes no waiting transfer ready."""
        self._new.append((codec.outline(transfer, txid), ready))
        self._senders.add(transfer.sender)
        self.size += codec.transaction_size(transfer)

    def view(self, txid: bytes, transfer: Transfer) -> SenderView:
        """What policy needs to know of a transfer's sender, with everything that was added."""
        sender = transfer.sender
        conn = self.insert() if sender in self._senders else self._conn
        view = entries.view(conn, sender, transfer.sequence, txid, pool_cost=self._costs.get(sender))
        self._costs[sender] = view.pool_cost
        return view

    def spend(self, sender: bytes, cost: int) -> None:
        """What `sender` has in the pool costs that much more (or less), so that it isn't summed anew.

        `cost`: amount + fee, base units, of what was added, inserted or taken out.
        """
        if sender in self._costs:
            self._costs[sender] += cost

    def insert(self) -> Connection:
        """Insert what was added; the connection, on which every query sees it."""
        if self._new:
            entries.add_many(self._conn, self._new)
            self._new.clear()
            self._senders.clear()
            self.size = 0
        return self._conn
