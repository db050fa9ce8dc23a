"""Connecting blocks, from bytes to committed: full ones, empty ones, and what a transfer takes on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.chains import Line, Payments, bench_coin, connect, connect_many, open_store
from bench.common import (
    SHORT,
    Cost,
    Figure,
    at_least,
    below,
    by_processor,
    costs,
    folder,
    held,
    in_turns,
    plain,
    ratios,
    report,
    timed,
)
from moneyer.node.chain.accept import Chain
from moneyer.node.chain.signatures import verify_signatures
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Transfer
from moneyer.node.store.backends.sqlite.driver import driver

BLOCKS = 3 if SHORT else 10
TRANSFERS = 2_000
ROUNDS = 5
EMPTY_ROUNDS = 12 if SHORT else 5
"""Of so short a piece of work three rounds in a row were half as dear again as the least of many, on a machine at rest.
"""
EMPTY = 1_000 if SHORT else 10_000


def connecting(coin: Coin, raws: list[bytes], things: int, way: Callable[[Chain, list[bytes]], None]) -> Cost:
    """Things a second (`things` in all) in a fresh database, and what one takes."""
    with folder() as data:
        store = open_store(data, coin)
        chain = Chain(store)
        cost = costs(things, lambda: way(chain, raws))
        store.close()
    return cost


def verifying(coin: Coin, raws: list[bytes]) -> Cost:
    """Raw signature checks a second, in as many threads: what no node in Python can beat."""
    blocks = [[each for each in codec.decode_block(raw).transactions if isinstance(each, Transfer)] for raw in raws]

    def work() -> None:
        for transfers in blocks:
            assert all(verify_signatures(coin.chain_id, transfers))

    return costs(BLOCKS * TRANSFERS, work)


def disk_bytes(coin: Coin, raws: list[bytes]) -> float:
    """Bytes of the file a transfer, over what the empty chain takes; the write-ahead log emptied into it."""

    def size(data: Path, some: list[bytes]) -> int:
        data.mkdir()
        store = open_store(data, coin)
        connect(Chain(store), some)
        store.close()
        database = driver.connect(str(data / "chain.db"))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return sum(path.stat().st_size for path in data.glob("chain.db*"))

    with folder() as where:
        return (size(where / "full", raws) - size(where / "empty", [])) / (BLOCKS * TRANSFERS)


def main() -> None:
    coin = bench_coin()
    raws = Line(coin).raws(BLOCKS, Payments(coin).take(BLOCKS * TRANSFERS))
    many, single, yardstick = in_turns(
        ROUNDS,
        lambda: connecting(coin, raws, BLOCKS * TRANSFERS, connect_many),
        lambda: connecting(coin, raws, BLOCKS * TRANSFERS, connect),
        lambda: verifying(coin, raws),
    )
    empty = Line(coin).raws(EMPTY)
    few = empty[: EMPTY // 10]
    empty_many, beside = in_turns(
        EMPTY_ROUNDS,
        lambda: timed(connecting(coin, empty, EMPTY, connect_many), EMPTY),
        lambda: verifying(coin, raws),
    )
    empty_single = [timed(connecting(coin, few, len(few), connect), 1000) for _ in range(ROUNDS)]
    figures: list[Figure] = [
        at_least(f"{BLOCKS} blocks of {TRANSFERS:,} transfers, block by block", single, "transfers/s", 6_000),
        at_least("the same as sync does, several to a transaction", many, "transfers/s", 10_000),
        plain("signature checks alone", yardstick, "transfers/s"),
        plain("block by block / signature checks alone", ratios(single, yardstick), "×"),
        plain("as sync does / signature checks alone", ratios(many, yardstick), "×"),
        by_processor("a transfer of a block by itself by a signature check", single, yardstick),
        held("a transfer as sync connects it by a signature check", many, yardstick),
        held("an empty block as sync connects it by a signature check", empty_many, beside),
        below("disk, every index", [disk_bytes(coin, raws)], "bytes/transfer", 401),
        below(f"{EMPTY:,} empty blocks, as sync does", empty_many, "s", 6),
        plain("an empty block by itself, committed", empty_single, "ms"),
    ]
    report("connect", figures)


if __name__ == "__main__":
    main()
