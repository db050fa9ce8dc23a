"""A reorg of 200 blocks: the last block of a branch that wins, from bytes to committed.

The worst kind: nothing on the branch was checked before, and every transfer of the old chain goes back to the mempool.
"""

from __future__ import annotations

from bench.chains import FAR, Line, Payments, bench_coin, connect, open_store
from bench.common import SHORT, Figure, below, folder, plain, report, seconds
from node.chain import Chain
from node.core.coin import Coin
from node.core.types import Transfer
from node.outcomes import Reorganized
from node.signatures import check_signatures
from node.store import mempool

DEPTH = 200
TRANSFERS = 5 if SHORT else 20
ROUNDS = 1 if SHORT else 5


def reorganizing(coin: Coin, old: list[bytes], new: list[bytes], returned: int) -> float:
    """Seconds that the last block of `new` takes."""
    with folder() as data:
        store = open_store(data, coin)
        chain = Chain(store)
        connect(chain, old)
        for raw in new[:-1]:
            assert chain.accept_block(raw, FAR).status == "side_branch"
        outcomes = []
        took = seconds(lambda: outcomes.append(chain.accept_block(new[-1], FAR)))
        assert isinstance(outcomes[0], Reorganized), outcomes
        assert outcomes[0].disconnected == DEPTH
        with store.read() as conn:
            assert mempool.totals(conn)[0] == returned
        store.close()
    return took


def main() -> None:
    coin = bench_coin(retarget=False)
    old: list[Transfer] = Payments(coin).take(DEPTH * TRANSFERS)
    new = Payments(coin, group=1).take((DEPTH + 1) * TRANSFERS)
    old_raws = Line(coin, "old").raws(DEPTH, old)
    new_raws = Line(coin, "new").raws(DEPTH + 1, new)
    both_raws = Line(coin, "both").raws(DEPTH + 1, [*old, *new[:TRANSFERS]])
    name = f"{DEPTH} blocks of {TRANSFERS} transfers"
    figures: list[Figure] = [
        below(
            f"{name} that all return to the mempool",
            [reorganizing(coin, old_raws, new_raws, len(old)) for _ in range(ROUNDS)],
            "s",
            1,
        ),
        below(
            f"{name} that the branch has too",
            [reorganizing(coin, old_raws, both_raws, 0) for _ in range(ROUNDS)],
            "s",
            1,
        ),
        below(
            f"{DEPTH} empty blocks",
            [reorganizing(coin, Line(coin, "a").raws(DEPTH), Line(coin, "b").raws(DEPTH + 1), 0)],
            "s",
            1,
        ),
        plain("of that, the branch's signatures", [seconds(lambda: check_signatures(coin.chain_id, new))], "s"),
    ]
    report("reorg", figures)


if __name__ == "__main__":
    main()
