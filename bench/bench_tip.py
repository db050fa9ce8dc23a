"""From a new tip to hashing on it: another process of the node commits a block, this worker drops the old template.

make bench, or .venv/bin/python -m bench.bench_tip
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path

from bench.common import SHORT, below, folder, report
from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.store.engine import Store
from moneyer.node.store.mining import parse_mode
from moneyer.worker.engines import registry
from moneyer.worker.miner import Miner
from moneyer.worker.pool import HasherPool
from moneyer.worker.work import WorkSource

ROUNDS = 10 if SHORT else 40
PROCESSES = 2
COIN = Coin("Bench", "BENCH", "bench", 6, 1_700_000_000, 10, 0x1E00FFFF, 10, retarget=False, clock_tolerance=7200)
"""17 million hashes a block: done in a second by the fastest engine, seldom by the one that is measured."""


def extender(pipe: Connection, data: Path) -> None:
    """Another process of the node: solve a block, tell, and commit it when asked; sends when that was done."""
    store = Store.open(Config(data=data), COIN, check_file=False)
    chain = Chain(store)
    engine = registry.make(registry.choose(registry.AUTO, data / "cache"), data / "cache")
    while pipe.recv():
        template = chain.template(bytes(33), int(time.time()), os.urandom(16)).block
        source = WorkSource(template, 0)
        block = None
        while block is None:
            unit = source.take(1 << 26)
            nonce = engine.search(unit.header, unit.target, unit.start, unit.count)
            block = None if nonce is None else source.solve(unit, nonce)
        pipe.send(codec.block_hash(block.header))
        pipe.recv()
        outcome = chain.accept_block(codec.encode_block(block), int(time.time()))
        pipe.send((time.monotonic(), outcome.status))
    store.close()


class Worker:
    """The worker's loop without its process: it sleeps on the doorbell and the hashing processes."""

    def __init__(self, store: Store, pool: HasherPool) -> None:
        self._store = store
        self._pool = pool
        self._miner = Miner(store, pool, parse_mode("continuous"), lambda: bytes(33))
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._stopped = False
        self._seconds = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        seen = -1
        while not self._stopped:
            seen = self._store.wait_for_change(seen, 0.2)
            os.write(self._write, b".")

    def stop(self) -> None:
        self._stopped = True
        time.sleep(0.5)

    def step(self) -> None:
        """Sleep until there is something to do, and do it."""
        if self._seconds > 0:
            wait_for_any([self._read, *self._pool.waitables()], min(self._seconds, 0.05))
            if wait_for_any([self._read], 0):
                os.read(self._read, 4096)
        self._seconds = self._miner.step()

    def hashes_on(self, parent: bytes) -> bool:
        """Whether every process has hashed a slice of a block on `parent`."""
        return all(
            slot.unit is not None and slot.unit.header[4:36] == parent and slot.position > slot.unit.start
            for slot in self._pool.slots
        )


@contextmanager
def another_process(data: Path) -> Iterator[Connection]:
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=extender, args=(theirs, data), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        ours.send(False)
        process.join(5)
        process.kill()


def main() -> None:
    taken: list[float] = []
    with folder() as data:
        store = Store.open(Config(data=data), COIN)
        pool = HasherPool("hashlib", PROCESSES)
        worker = Worker(store, pool)
        try:
            with another_process(data) as pipe:
                while len(taken) < ROUNDS:
                    pipe.send(True)
                    while not pipe.poll():
                        worker.step()
                    parent = pipe.recv()
                    pipe.send(True)
                    hashing, told = None, None
                    while hashing is None or told is None:
                        worker.step()
                        if hashing is None and worker.hashes_on(parent):
                            hashing = time.monotonic()
                        if told is None and pipe.poll():
                            told = pipe.recv()
                            if told[1] != "extended":
                                break  # the worker was first
                    if hashing is not None and told is not None:
                        taken.append((hashing - told[0]) * 1e3)
        finally:
            worker.stop()
            pool.stop()
            store.close()
    report("tip", [below("from a new tip to hashing on it", taken, "ms", 50)])


if __name__ == "__main__":
    main()
