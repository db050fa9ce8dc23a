"""Hash rates: each engine against the plain loop that anyone would write first, and blocks a second of an easy job.

make bench, or .venv/bin/python -m bench.bench_mine
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256

from bench.common import SHORT, Cost, Figure, at_least, costs, folder, in_turns, plain, ratios, report
from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.store import mining
from moneyer.node.store.engine import Store
from moneyer.node.store.mining import parse_mode
from moneyer.worker.engines.registry import ENGINES, Engine, EngineFailed, make
from moneyer.worker.miner import Miner
from moneyer.worker.pool import HasherPool

NONCES = 1 << 16 if SHORT else 1 << 18
ROUNDS = 5 if SHORT else 11
BLOCKS = 100 if SHORT else 500
_NEVER = 1 << 200  # a target that no nonce tried here meets, and that is compared as a real one is
_HEADER = bytes(range(80))


def plain_loop() -> Cost:
    """Million hashes a second; for each hash, its processor time."""

    def loop() -> None:
        for nonce in range(NONCES):
            digest = sha256(sha256(_HEADER[:76] + nonce.to_bytes(4, "little")).digest()).digest()
            if int.from_bytes(digest, "little") <= _NEVER:
                raise AssertionError

    return _millions(loop)


def engine_rate(engine: Engine) -> Cost:
    """The same of an engine."""
    return _millions(lambda: engine.search(_HEADER, _NEVER, 0, NONCES))


def _millions(work: Callable[[], object]) -> Cost:
    cost = costs(NONCES, work)
    return cost._replace(rate=cost.rate / 1e6)


def engine_figures() -> list[Figure]:
    figures: list[Figure] = []
    for name in ENGINES:
        try:
            engine = make(name)
        except EngineFailed as error:
            print(f"{name}: {error}")
            continue
        rates, loops = in_turns(ROUNDS, lambda engine=engine: engine_rate(engine), plain_loop)  # type: ignore[misc]
        if not figures:
            figures.append(plain("plain sha256d loop", loops, "million hashes/s"))
        figures.append(at_least(f"engine {name}, one core", rates, "million hashes/s", 0.7))
        figures.append(plain(f"engine {name} / plain loop", ratios(rates, loops), "×"))
    return figures


def easy_job() -> Cost:
    """Blocks a second of a job on the easiest development coin: template, search, durable commit."""
    coin = Coin("Bench", "BENCH", "bench", 6, 1_700_000_000, 10, 0x207FFFFF, 10, retarget=False, clock_tolerance=7200)
    with folder() as data:
        store = Store.open(Config(data=data), coin)
        try:
            job_id = store.write(lambda conn: mining.create(conn, BLOCKS, None, int(time.time()))).job_id
            miner = Miner(store, HasherPool("hashlib", 1), parse_mode("demand"), lambda: bytes([0]) + _HEADER[:32])

            def work() -> None:
                while miner.offers.blocks < BLOCKS:
                    miner.step()

            cost = costs(BLOCKS, work)
            with store.read() as conn:
                job = mining.get(conn, job_id)
            if job is None or job.state != mining.DONE:
                raise AssertionError(f"the job did not end: {job}")
            return cost
        finally:
            store.close()


def main() -> None:
    figures = engine_figures()
    figures.append(at_least("a job at pow_limit 207fffff", [easy_job() for _ in range(3)], "blocks/s", 100))
    report("mine", figures)


if __name__ == "__main__":
    main()
