"""A node's database in one process: `Store`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..config import Config
from ..core.coin import Coin
from ..core.coinfile import MAX_COIN_BYTES, coin_from_toml
from ..core.errors import BadCoin
from .backends.sqlite import driver as sqlite
from .backends.sqlite.doorbell import Doorbell
from .backends.sqlite.driver import DatabaseError, fold_log
from .backends.sqlite.engines import BUSY_SECONDS, Readers, open_engine, reading_a_copy, refusing
from .errors import StoreBusy, StoreFailed, StoreRefused, StoreUnavailable, unavailable
from .opening import check, genesis, made, schema
from .opening.behind import BackgroundCheck
from .opening.check import Look
from .writer import Item, ItemsJob, Writer

T = TypeVar("T")

_AT_ONCE_BYTES = 4_000_000
"""A file up to this size is checked whole before it is used, in less than 0.1 s."""

FALLBACK_SECONDS = 1.0
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

    def __init__(self, config: Config, coin: Coin, busy_seconds: float = BUSY_SECONDS) -> None:
        """Use `Store.open`."""
        self.fallback_seconds = FALLBACK_SECONDS
        """How long a wait for a change sleeps at most before it looks by itself."""
        self.config = config
        self.coin = coin
        self._readers = Readers(config.database, busy_seconds)
        self._closed = False
        self._watch_lock = threading.Lock()
        self._watch = self._readers.engine.raw_connection()
        self._changed = threading.Condition()
        self._rings = 0
        self.on_change: Callable[[], None] | None = None
        """Called after each commit of any process, in any thread: must be quick. For a loop that waits for more."""
        self._bell = Doorbell(config.bells, self._notify)
        self._database = config.database
        self._file = _identity(self._database)
        writer = open_engine(config.database, write=True, busy_seconds=busy_seconds)
        self._writer = Writer(writer, self._announce, self._check_before_write)
        self._check: BackgroundCheck | None = None

    @classmethod
    def open(
        cls,
        config: Config,
        coin: Coin,
        *,
        check_file: bool = True,
        on_damage: Callable[[StoreRefused], None] | None = None,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Store:
        """Open the folder's database: made, upgraded and checked as needed.

        `on_damage`: where given, a large file may be read before it is checked whole, and this is called, in another
        thread, should it be damaged; writes wait until it is known not to be. `busy_seconds`: how long a write waits
        for another process's. Raises StoreRefused with a sentence (newer schema, another coin, damaged file); the file
        is then as it was.
        """
        try:
            with refusing(config.database):
                config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Looked for first: another process that makes this folder now writes it behind its first commit.
                is_marked = config.chain_marker.exists()
                made.check_not_lost(config)
                schema.prepare(config.database)
                what = _how_much(config.database, check_file=check_file, may_wait=on_damage is not None)
                is_new = check.look(config.database, coin, what)
                if is_new and is_marked:
                    raise made.lost(config)
                store = cls(config, coin, busy_seconds)
        except OSError as error:
            raise StoreRefused(f"{config.data} cannot be used: {error.strerror}") from None
        if is_new:
            store._begin()
        elif on_damage is not None and what is Look.NEWEST:
            store._check = BackgroundCheck(config.database, coin, on_damage)
        made.mark(config, coin)
        return store

    def _begin(self) -> None:
        try:
            self.write(lambda conn: genesis.write(conn, self.coin))
        except StoreUnavailable as error:
            self.close()
            raise StoreRefused(error.message) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: everything read inside belongs together. Raises StoreBusy or StoreFailed."""
        try:
            with self._readers.snapshot() as conn:
                yield conn
        except DBAPIError as error:
            raise unavailable(error) from error
        except PoolTimeout as error:
            raise StoreBusy("too many requests read at once: try again") from error

    @contextmanager
    def read_long(self) -> Iterator[Connection]:
        """`read` for what takes more than a second: of a copy where a reader would hold writers up."""
        if sqlite.has_safe_wal:
            with self.read() as conn:
                yield conn
            return
        try:
            with reading_a_copy(self.config.database) as conn:
                yield conn
        except OSError as error:
            raise StoreFailed(f"there is no room to copy the database to ({error.strerror})") from error
        except DatabaseError as error:
            raise unavailable(error) from error

    def write(self, job: Callable[[Connection], T], *, clean: bool = False) -> T:
        """Run `job` where this process writes (`writer`) and return its result once it is durable.

        What the job raises is raised here, and its changes are undone. `clean`: it raises only before it has changed
        anything, so that nothing has to be undone. Raises StoreBusy or StoreFailed (503).
        """
        return self._writer.write(job, clean)

    def submit(self, job: Callable[[Connection], T], *, clean: bool = False, alone: bool = False) -> Future[T]:
        """`write` that does not wait: the future is done once the job's changes are durable, or it failed.

        `alone`: in a transaction of its own, for what changes many rows.
        """
        return self._writer.submit(job, clean, alone)

    def write_item(self, job: ItemsJob[Item, T], item: Item) -> T:
        """`write` for one of many alike: `job` gets those that wait side by side, and answers each.

        It must change nothing for an item that it answers with an error, and raise only what nothing survives.
        """
        return self._writer.write_item(job, item)

    @property
    def is_writing(self) -> bool:
        """Whether the writer's thread lives, so that whoever waits for a write gets an answer."""
        return self._writer.is_alive

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """The readers' and the writer's, for whoever traces statements. Readers that stayed open are let go."""
        self._readers.let_go()
        return self._readers.engine, self._writer.engine

    @property
    def commits(self) -> int:
        """How often this process has committed."""
        return self._writer.commits

    def data_version(self) -> int:
        """A number that changes when any process, this one included, has committed."""
        with self._watch_lock:
            if self._closed:
                raise StoreFailed("the node is stopping")
            cursor = self._watch.cursor()
            try:
                (version,) = cursor.execute("PRAGMA data_version").fetchone()
            except DatabaseError as error:
                raise unavailable(error) from error
            finally:
                cursor.close()
        return int(version)

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Block until `data_version` differs from `seen`, at most `timeout` seconds; return it."""
        deadline = time.monotonic() + timeout
        while True:
            rings = self._rings
            # Not under the lock: whoever commits takes it to tell of the commit.
            version = self.data_version()
            left = deadline - time.monotonic()
            if version != seen or left <= 0:
                return version
            with self._changed:
                if self._rings == rings:
                    self._changed.wait(min(left, self.fallback_seconds))

    def wake(self) -> None:
        """Make every `wait_for_change` of this process look again (its own timeout still holds)."""
        self._notify()

    def close(self) -> None:
        """Finish what is queued and let go of everything; a second time does nothing."""
        with self._watch_lock:
            if self._closed:
                return
            self._closed = True
            self._watch.close()
        if self._check is not None:
            self._check.stop()
        self._writer.close()
        self._bell.close()
        self._readers.close()
        fold_log(self.config.database)

    def check_file(self) -> None:
        """Raises StoreFailed where the file was taken away or replaced.

        SQLite would write on into a file that has no name any more, and nobody would find it again.
        """
        if _identity(self._database) != self._file:
            raise StoreFailed(
                f"{self._database} was moved, deleted or replaced under the node: stop it, and start it again "
                "with the file in its place"
            )

    def wait_whole(self) -> None:
        """Until the file is known to be whole; for ever where it is not. Raises StoreFailed once this is closed."""
        if self._check is not None:
            self._check.wait()

    def _check_before_write(self) -> None:
        self.wait_whole()
        self.check_file()

    def _announce(self) -> None:
        self._notify()
        self._bell.ring_others()

    def _notify(self) -> None:
        with self._changed:
            self._rings += 1
            self._changed.notify_all()
        if self.on_change is not None:
            self.on_change()


def _how_much(database: Path, *, check_file: bool, may_wait: bool) -> Look:
    """How much of a file is looked at before it is used. `may_wait`: what takes longer may be done behind that."""
    if not check_file:
        return Look.OWNER
    # With a rollback journal, whoever reads for long holds writers up.
    is_long = database.stat().st_size > _AT_ONCE_BYTES and sqlite.has_safe_wal
    return Look.NEWEST if may_wait and is_long else Look.WHOLE


def _identity(database: Path) -> tuple[int, int] | None:
    """What tells this file from another of its name; None where there is none."""
    try:
        seen = database.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino
