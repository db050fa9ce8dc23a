"""What this process knows of senders in the mempool: the next transfer in a sender's order is judged without a query.

Most transfers are the next ones of their senders. All that policy asks then (`SenderView`) follows from four values,
which are read once for a sender and moved on with every transfer that is added.

It never disagrees with the rows. It is used within write transactions, which no other connection's overlap, and each
one asks first whether anything but `Intake` has changed the file since (`open`): SQLite's `data_version` tells of other
connections' commits, and `total_changes` of this connection's own statements. Where either has moved, or the connection
is another one, everything is forgotten. So a block, a reorg, another process and a failed commit need no word here.
Outside of a write (`get`) it is a guess: what it says was so at the last intake.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection

from ...core.types import Account, Spend
from ..backends.statements import change_mark
from .entries import SenderView

_MOST = 20_000
"""Senders that are known at once: some 8 MB. Beyond, all are forgotten and asked for again."""


class Known(NamedTuple):
    """A sender's state. `pool_cost`: as in `SenderView`."""

    account: Account
    pool_cost: int
    run_end: int | None
    """The sequence behind the sender's unbroken ready run, where it has nothing else in the pool; else None."""

    def takes(self, transfer: Spend) -> bool:
        """Whether a transfer is the next of the run, so that `view` is its view."""
        return self.run_end == transfer.sequence

    def view(self, pool_bytes: int) -> SenderView:
        """The view of a transfer at `run_end`: its slot is free, nothing waits behind it, and it is unknown.

        What is in the pool or confirmed has a lower sequence, and a txid commits to the sequence.
        """
        run_end = self.account.sequence if self.run_end is None else self.run_end
        return SenderView(self.account, self.pool_cost, run_end, None, False, False, False, None, 0, 0, pool_bytes)

    def after(self, cost: int, *, ready: bool = True) -> Known:
        """With one more transfer: the next of the run (`ready`), or one behind a gap. `cost`: amount + fee."""
        run_end = self.run_end + 1 if ready and self.run_end is not None else None
        return Known(self.account, self.pool_cost + cost, run_end)


class SenderIndex:
    """One a process. Only the thread that writes changes it."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        self._seen: Any = None
        """The `change_mark` when the last intake ended."""
        self.pool_bytes = 0
        """The mempool's total, where any sender is known."""

    def open(self, conn: Connection) -> None:
        """Within a write transaction, before use: forget everything unless the rows are as they were left."""
        if self._seen is None or self._seen != change_mark(conn):
            self.forget()

    def close(self, conn: Connection) -> None:
        """In the same transaction: what is known is what the rows say now."""
        self._seen = change_mark(conn)

    def forget(self) -> None:
        """Know nothing."""
        self._seen = None
        self._known = {}

    def get(self, sender: bytes) -> Known | None:
        return self._known.get(sender)

    def put(self, sender: bytes, view: SenderView) -> None:
        """Remember what was read of a sender."""
        if len(self._known) >= _MOST:
            self._known = {}
        run_end = None if view.has_waiting else view.run_end
        self._known[sender] = Known(view.account, view.pool_cost, run_end)
        self.pool_bytes = view.pool_bytes

    def move_on(self, sender: bytes, cost: int, *, ready: bool) -> None:
        """One of its transfers was added: the next of its run (`ready`), or one behind a gap."""
        known = self._known.get(sender)
        if known is not None:
            self._known[sender] = known.after(cost, ready=ready)

    def spend(self, sender: bytes, cost: int) -> None:
        """Its transfers changed in another way, and cost that much more (or less) now: the run is read again."""
        known = self._known.get(sender)
        if known is not None:
            self._known[sender] = known.after(cost, ready=False)
