"""Transfers on their way into the mempool, several to one statement."""

from __future__ import annotations

from types import TracebackType

from sqlalchemy import Connection

from node.core import codec
from node.core.types import Transfer
from node.store import mempool


class Intake:
    """New rows of the mempool within one write transaction, inserted when somebody would miss them.

    A context manager: at its end all of them are inserted, unless it ends by an error.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._new: list[tuple[bytes, Transfer, bool]] = []
        self._senders: set[bytes] = set()
        self.size = 0
        """Bytes on the wire of what is not inserted yet: the mempool's totals lack them."""

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.insert()

    def add(self, txid: bytes, transfer: Transfer, *, ready: bool) -> None:
        """A transfer whose place in the mempool is free, and that no other row waits for."""
        self._new.append((txid, transfer, ready))
        self._senders.add(transfer.sender)
        self.size += codec.transaction_size(transfer)

    def conn_for(self, sender: bytes) -> Connection:
        """The connection, on which queries about `sender` see everything that was added."""
        return self.insert() if sender in self._senders else self._conn

    def insert(self) -> Connection:
        """Insert what was added; the connection, on which every query sees it."""
        if self._new:
            mempool.add_many(self._conn, self._new)
            self._new.clear()
            self._senders.clear()
            self.size = 0
        return self._conn
