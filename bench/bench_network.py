"""What is done to a network that runs: split, mined on both sides and healed; kept and restored; lent to tests.

Real nodes in processes of their own (`moneyer.Network`). The first network of a kind is started with a new interpreter,
as a session of pytest does.
"""

from __future__ import annotations

from bench.common import SHORT, below, folder, report, seconds
from moneyer import Network
from moneyer.node.devnet.live.net_pool import NetPool

ROUNDS = 2 if SHORT else 5
BLOCKS = 100 if SHORT else 1_000
"""Of the network that is kept and restored."""


def heal(net: Network) -> float:
    """Seconds from the word to heal until one tip, after blocks on both sides of a split."""
    net.split(["1", "2", "3"])
    net.mine("2", 2)
    net.mine("5", 3)

    def come_together() -> None:
        net.heal()
        net.wait_one_tip()

    return seconds(come_together)


def lend(pool: NetPool, **options: object) -> float:
    """Seconds until a network is lent that answers at every node and is linked."""
    with pool.lend() as (_, borrow):
        return seconds(lambda: borrow("complete:3", **options))


def kept(net: Network) -> tuple[list[float], list[float]]:
    """Seconds of a snapshot and of a restore, a round each."""
    taken, restored = [], []
    for _ in range(ROUNDS):
        taken.append(seconds(lambda: net.snapshot("bench")))
        net.mine("1", 2)
        net.wait_one_tip()
        restored.append(seconds(lambda: net.restore("bench")))
    return taken, restored


def main() -> None:
    with folder() as data, Network("ring:6", data=data / "ring") as net:
        healed = [heal(net) for _ in range(ROUNDS)]
        net.mine("1", BLOCKS - net["1"].height)
        net.wait_one_tip(120)
        taken, restored = kept(net)
    pool = NetPool()
    try:
        later = []
        first = [lend(pool)]
        for _ in range(ROUNDS):
            later.append(lend(pool))
        pool.close()
        first += [_first() for _ in range(ROUNDS - 1)]
    finally:
        pool.close()
    report(
        "bench_network",
        [
            below("ring of 6: one tip after healing a split that was mined on both sides", healed, "s", 3),
            below(f"snapshot of 6 nodes at {BLOCKS:,} blocks", taken, "s", 3),
            below("restore of all", restored, "s", 5),
            below("fixture: the first network of 3 nodes", first, "s", 2),
            below("fixture: the next test", later, "s", 0.2),
        ],
    )


def _first() -> float:
    pool = NetPool()
    try:
        return lend(pool)
    finally:
        pool.close()


if __name__ == "__main__":
    main()
