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
from .backends.backend import BUSY_SECONDS, Backend
from .backends.presence import Living
from .errors import StoreBusy, StoreFailed, StoreRefused, StoreUnavailable, unavailable
from .opening import genesis
from .opening.behind import BackgroundCheck
from .opening.open_database import backend_of, find_coin, opening_of
from .writer import Item, ItemsJob, Writer

T = TypeVar("T")

FALLBACK_SECONDS = 1.0
"""A change whose ring was lost (its process died between commit and ring) is seen after this long."""


def load_coin(config: Config) -> Coin:
    """The coin of a data folder, or that of a server's database where the folder has none.

    Raises BadCoin, or StoreRefused where there is none.
    """
    path = config.coin_file
    if config.database_url is not None and not path.exists():
        found = find_coin(config)
        if found is None:
            raise StoreRefused(f"{backend_of(config).shown} holds no chain yet: start a node on it, with --coin FILE")
        return found
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

    def __init__(self, config: Config, coin: Coin, backend: Backend, busy_seconds: float = BUSY_SECONDS) -> None:
        """Use `Store.open`."""
        self.fallback_seconds = FALLBACK_SECONDS
        """How long a wait for a change sleeps at most before it looks by itself."""
        self.config = config
        self.coin = coin
        self.backend = backend
        self._readers = backend.open_readers(busy_seconds)
        self._closed = False
        self._close_lock = threading.Lock()
        self._changed = threading.Condition()
        self._rings = 0
        self.on_change: Callable[[], None] | None = None
        """Called after each commit of any process, in any thread: must be quick. For a loop that waits for more."""
        self._watch = backend.open_watch(self._notify, self._readers)
        writer = backend.open_writer(busy_seconds)
        self._writer = Writer(writer, self._announce, self._check_before_write, backend.has_committed)
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
        for another process's. Raises StoreRefused with a sentence (newer schema, another coin, damaged file); the
        database is then as it was.
        """
        try:
            if config.has_folder:
                config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            opening = opening_of(config, coin)
            opened = opening.prepare(check_file=check_file, may_wait=on_damage is not None)
            with opening.refusing():
                store = cls(config, coin, backend_of(config), busy_seconds)
        except OSError as error:
            raise StoreRefused(f"{config.data} cannot be used: {error.strerror}") from None
        if opened.is_new:
            store._begin()
        elif on_damage is not None and opened.check_behind is not None:
            store._check = BackgroundCheck(opened.check_behind, on_damage)
        opening.mark()
        return store

    @property
    def _named(self) -> Path | str:
        """As `opening` names the database."""
        return self.config.database if self.config.database_url is None else self.backend.shown

    def _begin(self) -> None:
        try:
            self.write(lambda conn: genesis.write(conn, self.coin, self._named))
        except (StoreUnavailable, StoreRefused) as error:
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
        try:
            with self.backend.reading_long(self._readers) as conn:
                yield conn
        except OSError as error:
            raise StoreFailed(f"there is no room to copy the database to ({error.strerror})") from error
        except DBAPIError as error:
            raise unavailable(error) from error
        except PoolTimeout as error:
            raise StoreBusy("too many requests read at once: try again") from error

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

    @property
    def commit_seconds(self) -> float:
        """How long those and what failed took, waits for the right to write included."""
        return self._writer.seconds

    @property
    def failed_writes(self) -> int:
        """How many of this process's writes did not come about because of the database."""
        return self._writer.failed

    def data_version(self) -> int:
        """A number that changes when any process, this one included, has committed."""
        if self._closed:
            raise StoreFailed("the node is stopping")
        try:
            return self._watch.version()
        except DBAPIError as error:
            raise unavailable(error) from error

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
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        if self._check is not None:
            self._check.stop()
        self._writer.close()
        self._watch.close()
        self._readers.close()
        self.backend.let_go()

    def living(self, kind: str) -> list[Living]:
        """The processes of a kind that live now (`backends.presence`), on whatever machine.

        Raises StoreUnavailable, or OSError where the system refuses to tell.
        """
        try:
            return self.backend.living(self._readers, kind)
        except DBAPIError as error:
            raise unavailable(error) from error
        except PoolTimeout as error:
            raise StoreBusy("too many requests read at once: try again") from error

    def check_file(self) -> None:
        """Raises StoreFailed where the database was taken away or replaced."""
        self.backend.check_in_place()

    def wait_whole(self) -> None:
        """Until the file is known to be whole; for ever where it is not. Raises StoreFailed once this is closed."""
        if self._check is not None:
            self._check.wait()

    def _check_before_write(self) -> None:
        self.wait_whole()
        self.backend.check_in_place()

    def _announce(self) -> None:
        self._notify()
        self._watch.ring_others()

    def _notify(self) -> None:
        with self._changed:
            self._rings += 1
            self._changed.notify_all()
        if self.on_change is not None:
            self.on_change()
