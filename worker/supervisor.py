"""The supervisor, a worker's main process: waits for its node, mines for it, and ends with it.

Where the chain is in a server's database it waits for that, and neither needs a node nor ends with one.

`run` is the whole life; `_Supervisor.mine` is the loop; `Ending` lets a signal end it within 1.6 seconds.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing import active_children
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from time import monotonic

from ..node.core.coin import Coin
from ..node.core.errors import BadCoin, MoneyerError
from ..node.store import mining
from ..node.store.backends.presence import WORKER, Presence
from ..node.store.engine import Store, load_coin
from ..node.store.errors import StoreRefused
from ..node.store.mining import Mode, parse_mode
from ..node.store.opening.made import check_not_moved
from ..node.store.opening.open_database import backend_of
from ..node.system import logs
from ..node.system.lifecycle import watch_parent
from ..node.system.locks import Held, is_held, wait_released
from ..node.wallet.keystore import MINER, open_wallet
from .config import BadWorkerOption, WorkerConfig
from .engines import registry
from .miner import Miner
from .pace import Pacer
from .pool import HasherPool
from .reports import STATUS_SECONDS, Pulse, StatusReport
from .startup import NODE_SECONDS, SERVER_POLL, NodeWait, ServerWait, is_checked, need_descriptors, where

log = logging.getLogger("moneyer.worker")

_DESCRIPTORS = 28
"""File descriptors for pipes, locks, doorbell and database; each hashing process takes four more."""
_POLL = 0.1
"""Seconds between two looks for the node, or tries of its database."""
_CHECK_POLL = 0.02
"""Between two looks whether the node has checked its database: the first block waits for that."""
_SILENT_SECONDS = 3.0
"""Seconds of these before a line says what is waited for."""
_END_SECONDS = 1.6
"""An orderly end that takes longer (the database is stuck, say) is cut short: a write not committed is no write."""
_LISTEN_SECONDS = 0.5
"""Seconds for which one wait for a commit lasts, at most."""


class _Refused(MoneyerError):
    """The worker cannot run; the message says why."""

    code = "worker_refused"


class Ending:
    """Tells the loop that this process is to end, and wakes it: `read_end` becomes readable."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._done = threading.Event()
        # A signal handler must not take a lock that the interrupted code may hold: it writes a byte for a thread.
        self._ask_read, self._ask_write = os.pipe()
        self.read_end, self._write_end = os.pipe()
        for end in (self._ask_write, self.read_end, self._write_end):
            os.set_blocking(end, False)
        threading.Thread(target=self._end, name="end", daemon=True).start()

    @property
    def asked(self) -> bool:
        """Whether the end is asked for."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask this process to end; from a signal handler too."""
        _write_byte(self._ask_write)

    def done(self) -> None:
        """The orderly end is complete: nothing has to be cut short."""
        self._done.set()

    def wait(self, seconds: float) -> bool:
        """Sleep; True as soon as the end is asked for."""
        return self._asked.wait(seconds)

    def wake(self) -> None:
        """Make `read_end` readable."""
        _write_byte(self._write_end)

    def rest(self) -> None:
        """Empty `read_end`."""
        with suppress(BlockingIOError):
            os.read(self.read_end, 4096)

    def _end(self) -> None:
        os.read(self._ask_read, 1)
        self._asked.set()
        self.wake()
        if not self._done.wait(_END_SECONDS):
            with suppress(Exception):  # no reason to stay
                for child in active_children():  # they end by themselves, but for one that is stopped
                    child.kill()
            os._exit(0)


def _write_byte(descriptor: int) -> None:
    with suppress(BlockingIOError):  # the pipe is full, so it is readable already
        os.write(descriptor, b".")


def end_as_asked() -> Ending:
    """Ends this process by SIGTERM and SIGINT, and with its parent. From the main thread."""
    ending = Ending()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.ask())
    watch_parent()
    return ending


def run(worker: WorkerConfig) -> int:
    """Mine until SIGTERM, or until the node or the parent process is gone. Gives the exit status.

    0: ended as asked, or with its node. 1: refused, with a sentence on stderr.
    """
    if not logging.getLogger().handlers and not log.handlers:
        logs.configure(worker.log_level, worker.log_json)
    try:
        need_descriptors(_DESCRIPTORS + 4 * worker.processes, "the worker", _Refused)
    except _Refused as error:
        log.error("%s", error.message)
        return 1
    ending = end_as_asked()
    try:
        _serve(worker, ending)
    except MoneyerError as error:
        if not ending.asked:
            log.error("%s", error.message)
            return 1
    finally:
        ending.done()
    return 0


def _serve(worker: WorkerConfig, ending: Ending) -> None:
    worker.check()
    engine, speed = choose_engine(worker.engine, worker.code_cache)
    if worker.database_url is not None:
        opened = _open_server(worker, ending)
        if opened is not None:
            coin, store = opened
            _mine(worker, coin, store, store.backend.hold(WORKER), ending, engine, speed)
        return
    check_not_moved(worker.config, "worker")
    if not _node_is_up(worker, ending):
        return
    threading.Thread(target=_end_with_node, args=(worker, ending), name="watch-node", daemon=True).start()
    try:
        presence = backend_of(worker.config).hold(WORKER)
    except Held:
        raise _Refused(f"{worker.data} has a worker already: a node has one (more hashing: --processes)") from None
    try:
        with suppress(OSError):
            presence.say(b"")  # what the last worker said of itself is not true of this one, which may wait for long
        if not _node_is_checked(worker, ending):
            presence.release()
            return
        coin, store = _open(worker, ending)
    except BaseException:
        presence.release()
        raise
    _mine(worker, coin, store, presence, ending, engine, speed)


def _mine(
    worker: WorkerConfig, coin: Coin, store: Store, presence: Presence, ending: Ending, engine: str, speed: float
) -> None:
    """Until the end is asked for. Closes the store and ends the presence."""
    try:
        try:
            pool = HasherPool(engine, worker.processes, worker.code_cache, nice=worker.nice)
            receiver, can_hash = receiver_of(worker, coin), speed * worker.processes
            miner = Miner(store, pool, first_mode(worker, store), receiver, can_hash=can_hash)
            _Supervisor(worker, store, pool, miner, presence, ending).mine()
        finally:
            store.close()
    finally:
        presence.release()


@cache
def choose_engine(name: str, code_cache: Path) -> tuple[str, float]:
    """The engine to take, and the hashes a second that it reaches in one process. Raises MoneyerError.

    Measured once in a process: workers that are forked from it afterwards need not measure against each other.
    """
    try:
        return registry.choose_measured(name, code_cache)
    except registry.EngineFailed as error:
        raise _Refused(str(error)) from None


def _node_is_up(worker: WorkerConfig, ending: Ending) -> bool:
    """Wait for the node of the data folder; False when this process shall end first. Raises _Refused."""
    wait = NodeWait(worker.data, lambda: is_held(worker.config.node_lock), log, _Refused)
    while not wait.is_over():
        if ending.wait(_POLL):
            return False
    return True


def _node_is_checked(worker: WorkerConfig, ending: Ending) -> bool:
    """Wait until the node knows its database to be whole; False when this process shall end first, as the node may."""
    began, told = monotonic(), False
    while not is_checked(worker.config):
        if ending.wait(_CHECK_POLL):
            return False
        if not told and monotonic() - began > _SILENT_SECONDS:
            told = True
            log.info("waiting for the node of %s to check its database", worker.data)
    return True


def _end_with_node(worker: WorkerConfig, ending: Ending) -> None:
    try:
        wait_released(worker.config.node_lock)
        log.info("the node has ended, and so does its worker")
    finally:  # a lock file that is gone is as good as a free one
        ending.ask()


def _open_server(worker: WorkerConfig, ending: Ending) -> tuple[Coin, Store] | None:
    """The coin and the database of a server; None when this process shall end first.

    A server that does not answer, or has no chain yet, is waited for: no node has to run beside.
    """
    wait = ServerWait(log)
    backend_of(worker.config)  # a URL that is none is refused at once
    while not ending.asked:
        try:
            coin = load_coin(worker.config)
            receiver_of(worker, coin)  # an address that is none, too
            return coin, Store.open(worker.config, coin, check_file=False)
        except StoreRefused as error:
            wait.failed(error)
        ending.wait(SERVER_POLL)
    return None


def _open(worker: WorkerConfig, ending: Ending) -> tuple[Coin, Store]:
    """The node's coin and database. A node that is just starting may still be making them."""
    deadline = monotonic() + NODE_SECONDS
    while True:
        try:
            coin = load_coin(worker.config)
            return coin, Store.open(worker.config, coin, check_file=False)
        except (StoreRefused, BadCoin):
            if monotonic() > deadline or ending.wait(_POLL):
                raise


def first_mode(worker: WorkerConfig, store: Store) -> Mode:
    """The mode to begin with: an option is stored, so that the node tells it too; else the mode that was set last."""
    if worker.mode is not None:
        wanted = parse_mode(worker.mode)
        store.write(lambda conn: mining.set_mode(conn, wanted))
        return wanted
    with store.read() as conn:
        return mining.mode(conn) or mining.DEFAULT


def receiver_of(worker: WorkerConfig, coin: Coin) -> Callable[[], bytes]:
    """A function that gives the payload that rewards go to. Raises BadAddress for an address that is none."""
    if worker.address is not None:
        payload = coin.payload(worker.address)
        return lambda: payload
    known: list[bytes] = []

    def of_wallet() -> bytes:
        if not known:
            miner = open_wallet(worker.config.wallet_file).payload_of(MINER)
            if miner is None:
                raise BadWorkerOption(f"the wallet has no account {MINER}: say with --address who gets the rewards")
            known.append(miner)
        return known[0]

    return of_wallet


class _Supervisor:
    """The loop: a step of the miner, then sleep until the doorbell, a hashing process or a signal wakes it."""

    def __init__(
        self, worker: WorkerConfig, store: Store, pool: HasherPool, miner: Miner, presence: Presence, ending: Ending
    ) -> None:
        self._worker = worker
        self._store = store
        self._pool = pool
        self._miner = miner
        self._ending = ending
        self._report = StatusReport(presence)
        self._pacer = Pacer(worker.limit, worker.on_battery)
        self._pulse = Pulse()

    def mine(self) -> None:
        listener = threading.Thread(target=self._listen, name="listen", daemon=True)
        listener.start()
        log.info(
            "mining for %s: mode %s, engine %s, hashing processes: %d",
            where(self._worker.config),
            self._miner.mode,
            self._pool.engine,
            self._worker.processes,
        )
        try:
            while not self._ending.asked:
                self._miner.set_share(self._pacer.share())
                seconds = self._miner.step()
                if self._miner.searching:
                    self._pulse.say(self._miner.hashrate, self._miner.offers.blocks, self._miner.offers.stale)
                said = self._report.say(self._miner.status(self._worker.processes))
                if not said or self._miner.searching:
                    seconds = min(seconds, STATUS_SECONDS)
                if seconds > 0:
                    wait_for_any([self._ending.read_end, *self._pool.waitables()], seconds)
                    self._ending.rest()
        finally:
            self._miner.offers.summary.flush(now=True)
            self._pool.stop()
            self._ending.ask()
            self._store.wake()
            listener.join(_END_SECONDS / 2)

    def _listen(self) -> None:
        """Wake the loop at each commit of any process of the node."""
        seen = -1
        while not self._ending.asked:
            try:
                version = self._store.wait_for_change(seen, _LISTEN_SECONDS)
            except Exception as error:  # the loop meets the same trouble, and says what it is
                log.debug("waiting for a change: %s", error)
                self._ending.wait(_POLL)
                continue
            if version != seen:
                seen = version
                self._ending.wake()
