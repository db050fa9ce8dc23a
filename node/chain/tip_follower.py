"""Follows the main chain's tip for one thread: waits for commits, and tells how the tip moved from look to look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from ..store import blocks
from ..store.blocks import BlockRow
from ..store.engine import Store


@dataclass(frozen=True, slots=True)
class TipMove:
    """The main chain's end went from `old` to `new`; they share the blocks up to `fork_height`."""

    old: BlockRow
    new: BlockRow
    fork_height: int
    is_restored: bool = False
    """Whether the node went back to a snapshot in which the old tip is unknown: what they share is then not known, and
    `fork_height` the lower one's height."""

    @property
    def connected(self) -> int:
        """Blocks that joined the main chain."""
        return self.new.height - self.fork_height

    @property
    def disconnected(self) -> int:
        """Blocks that left the main chain: 0 unless this was a reorg."""
        return self.old.height - self.fork_height


class TipFollower:
    """`tip`: as of the last look; any thread may read it. `wait` and `look` are for one thread at a time.

    The relay and the feed of events follow the tip with one each: they read more in the same snapshot (new transfers,
    peers), and neither may wait for the other. Each may miss moves that cancel out between two looks.
    """

    def __init__(self, store: Store) -> None:
        """Raises StoreUnavailable, as do `wait` and `look`."""
        self._store = store
        self._seen = -1
        """The database's `data_version` before the last look."""
        with store.read() as conn:
            self.tip = blocks.tip(conn)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for a commit of any process since the last look; whether there was one.

        Before the first look there always was one.
        """
        return self._store.wait_for_change(self._seen, seconds) != self._seen

    @contextmanager
    def look(self) -> Iterator[tuple[Connection, TipMove | None]]:
        """One snapshot of the database, and how the tip moved since the last look; None where it did not.

        A look counts only if the block under `with` ends well: after an error the next look tells the same again.
        """
        version = self._store.data_version()  # first: a commit during the look is news for the next one
        with self._store.read() as conn:
            move = _move(conn, self.tip)
            yield conn, move
        if move is not None:
            self.tip = move.new
        self._seen = version


def _move(conn: Connection, old: BlockRow) -> TipMove | None:
    new = blocks.tip(conn)
    if new.block_hash == old.block_hash:
        return None
    if new.header.prev_hash == old.block_hash:
        return TipMove(old, new, old.height)
    now = blocks.by_hash(conn, old.block_hash)
    if now is None:  # what was on the main chain is never dropped but by going back to a snapshot
        return TipMove(old, new, min(old.height, new.height), is_restored=True)
    return TipMove(old, new, blocks.fork_height(conn, now))
