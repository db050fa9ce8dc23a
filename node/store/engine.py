"""A node's database in one process: `Store`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from node.config import Config
from node.core.coin import Coin
from node.core.coinfile import MAX_COIN_BYTES, coin_from_toml
from node.core.errors import BadCoin
from node.store import check, genesis, schema
from node.store.connect import open_engine
from node.store.doorbell import Doorbell
from node.store.errors import StoreRefused
from node.store.writer import Writer, translate

T = TypeVar("T")

_FALLBACK_SECONDS = 1.0
"""A change whose ring was lost (its process died between commit and ring) is seen after this long."""


def load_coin(config: Config) -> Coin:
    """The coin of a data folder. Raises BadCoin, or StoreRefused where there is none."""
    path = config.coin_file
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_COIN_BYTES + 1)
    except FileNotFoundError:
        raise StoreRefused(
            f"{path} is missing: a data folder needs the coin that it is for; give one with --coin FILE"
        ) from None
    except OSError as error:
        raise StoreRefused(f"{path} cannot be read: {error.strerror}") from None
    try:
        return coin_from_toml(raw.decode())
    except UnicodeDecodeError:
        raise BadCoin(f"coin: {path} is not UTF-8") from None


class Store:
    """Reads are snapshots; writes go through one thread and are durable when they return."""

    def __init__(self, config: Config, coin: Coin) -> None:
        """Use `Store.open`."""
        self.config = config
        self.coin = coin
        self._reader = open_engine(config.database, write=False)
        self._changed = threading.Condition()
        self._bell = Doorbell(config.bells, self._notify)
        self._writer = Writer(open_engine(config.database, write=True), self._announce)
        self._watch_lock = threading.Lock()
        self._watch = self._reader.raw_connection()

    @classmethod
    def open(cls, config: Config, coin: Coin, *, check_file: bool = True) -> Store:
        """Open the folder's database: made, upgraded and checked as needed.

        Raises StoreRefused with a sentence (newer schema, another coin, damaged file); the file is then as it was.
        """
        try:
            config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            schema.prepare(config.database)
            store = cls(config, coin)
        except DBAPIError as error:
            raise StoreRefused(f"{config.database} cannot be opened: {error.orig}") from None
        except OSError as error:
            raise StoreRefused(f"{config.data} cannot be used: {error.strerror}") from None
        try:
            store._prepare(check_file)
        except BaseException:
            store.close()
            raise
        return store

    def _prepare(self, check_file: bool) -> None:
        with self.read() as conn:
            is_new = genesis.check_coin(conn, self.coin, self.config.database)
        if is_new:
            self.write(lambda conn: genesis.write(conn, self.coin))
        elif check_file:
            with self.read() as conn:
                check.check_at_start(conn, self.coin, self.config.database)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: everything read inside belongs together. Raises StoreBusy or StoreFailed."""
        try:
            with self._reader.connect() as conn, conn.begin():
                yield conn
        except DBAPIError as error:
            raise translate(error) from error

    def write(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in the writer thread and return its result once it is durable.

        What the job raises is raised here, and its changes are undone. Raises StoreBusy or StoreFailed (503).
        """
        return self._writer.run(job)

    def data_version(self) -> int:
        """A number that changes when any process, this one included, has committed."""
        with self._watch_lock:
            cursor = self._watch.cursor()
            try:
                (version,) = cursor.execute("PRAGMA data_version").fetchone()
            finally:
                cursor.close()
        return int(version)

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Block until `data_version` differs from `seen`, at most `timeout` seconds; return it."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (version := self.data_version()) == seen:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _FALLBACK_SECONDS))
        return version

    def wake(self) -> None:
        """Make every `wait_for_change` of this process look again (its own timeout still holds)."""
        self._notify()

    def close(self) -> None:
        self._writer.close()
        self._bell.close()
        self._watch.close()
        self._reader.dispose()

    def _announce(self) -> None:
        self._notify()
        self._bell.ring_others()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
