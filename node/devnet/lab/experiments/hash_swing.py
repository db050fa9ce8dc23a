"""A swing of hash rate and the retarget: miners come and go, and blocks come at their time again."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Final

from ....core import codec, pow, rules
from ..attack_ground import hand_in
from ..pictures.curve_picture import Panel, Series, curve_picture
from .notebook import Experiment, Notebook
from .past_chain import PastChain, hand_all, past_coin

if TYPE_CHECKING:
    from ...live.live_network import Network

BLOCK_TIME: Final = 60
LIMIT: Final = 0x203FFFFF
"""Four hashes a block at the easiest."""
WINDOW: Final = 30
"""Solve times that the retarget looks back on."""
HASHES: Final = 64
"""That a block takes at first: sixteen times the easiest, so that the difficulty can fall too."""
WARM_UP: Final = 6 * WINDOW
SWINGS: Final = (1.0, 4.0, 0.5, 1.0)
"""The hash rate of each part, times the first one."""
PART: Final = 5 * WINDOW
"""Blocks of each part; in a quick run fewer."""
QUICK_PART: Final = 3 * WINDOW
SIGMAS: Final = 5.0
"""Standard errors that a mean of solve times may be off: they are exponential, so one is 1/sqrt(n) of the mean."""
LAG: Final = 0.25
"""And so much of it, as the retarget follows by a window."""


def hash_swing(book: Notebook) -> None:
    part = QUICK_PART if book.is_quick else PART
    total = WARM_UP + part * len(SWINGS)
    begin = int(time.time()) - 2 * total * BLOCK_TIME
    with (
        past_coin(
            begin, lambda coin: replace(coin, pow_limit=LIMIT, difficulty_window=WINDOW), BLOCK_TIME, retarget=True
        ) as coin_file,
        book.network("line:2", coin=coin_file) as net,
    ):
        chain = PastChain(net["1"].client.coin)
        book.step(
            f"A coin whose blocks should come every {BLOCK_TIME} s. {WARM_UP} blocks bring its difficulty to the "
            "hash rate."
        )
        blocks = mined(chain, [(WARM_UP, 1.0), *((part, factor) for factor in SWINGS)], begin, book.chance)
        book.step(f"The hash rate swings: {', '.join(f'{factor:g} times' for factor in SWINGS)}, {part} blocks each.")
        rows = part_rows(chain, part)
        book.table(("hash rate", "first 10 blocks", "last half", "difficulty then"), rows)
        book.rule(
            "Bits are computed from the last solve times, later ones weighing more (LWMA): no miner chooses them.",
            "5",
            rules.check_bits_in_context,
            code="bad_bits",
        )
        book.note(f"Means in seconds. Right after a swing blocks come too fast or too slowly, for about {WINDOW}.")
        allowed = BLOCK_TIME * (SIGMAS / (part // 2) ** 0.5 + LAG)
        near = all(abs(row[2] - BLOCK_TIME) <= allowed for row in rows)
        book.claim(f"in the second half of each part blocks come every {BLOCK_TIME} s again, within chance", near)
        code = judged(book, net, chain, blocks)
        book.fact(height=net["2"].height, code=code, means=[row[2] for row in rows])
        book.picture("hash-rate-swing", curve(chain, part))


def mined(chain: PastChain, parts: list[tuple[int, float]], begin: int, chance: Random) -> list[bytes]:
    """Blocks that miners of some hash rate find, one after the other. `parts`: (blocks, times the first hash rate)."""
    clock, blocks = float(begin), []
    for count, factor in parts:
        rate = factor * HASHES / BLOCK_TIME
        for _ in range(count):
            clock += chance.expovariate(rate / chain.work)
            blocks.append(chain.add(round(clock)))
    return blocks


def judged(book: Notebook, net: Network, chain: PastChain, blocks: list[bytes]) -> str:
    """What real nodes say of the chain, and of a block with bits that are too easy, whose code it gives."""
    book.step("All blocks are handed to node 1, a real one. Node 2 hears of them from node 1.")
    hand_all(net["1"], blocks)
    net.wait_one_tip()
    book.nodes(net)
    book.claim("both nodes take every block: the bits are what the rule asks", net["2"].height == len(blocks))
    asked = int(net["1"].client.get("/v1/blocks/next")["bits"], 16)
    book.claim("for the next block the node asks for the same bits as the builder", asked == chain.context.bits)

    book.step("A block with the easiest bits of this coin, solved for them, is handed in.")
    cheap = chain.solved(chain.headers[-1].timestamp + BLOCK_TIME, chain.coin.pow_limit)
    answer = hand_in(net["1"].url, codec.encode_block(cheap))
    book.note(f"The node says: {answer.message}")
    book.claim("it is refused by that rule", answer.code == "bad_bits")
    return answer.code


def part_rows(chain: PastChain, part: int) -> list[tuple[str, float, float, float]]:
    """(hash rate, mean solve time of the first ten blocks, of the second half, difficulty there) of each part."""
    rows = []
    for number, factor in enumerate(SWINGS):
        first = WARM_UP + number * part
        half = first + part // 2
        harder = fmean(difficulty(chain, height) for height in range(half + 1, first + part + 1))
        rows.append((f"{factor:g}x", mean_time(chain, first, first + 10), mean_time(chain, half, first + part), harder))
    return rows


def mean_time(chain: PastChain, start: int, end: int) -> float:
    """Mean seconds of the blocks behind the one at height `start`, up to `end`."""
    return (chain.headers[end].timestamp - chain.headers[start].timestamp) / (end - start)


def difficulty(chain: PastChain, height: int) -> float:
    """Hashes that a block stands for, by those at first."""
    return pow.block_work(pow.decode_bits(chain.headers[height].bits)) / HASHES


def curve(chain: PastChain, part: int) -> str:
    """Hash rate, difficulty and solve times (a mean of ten) over height."""
    heights = range(WARM_UP, chain.height + 1)
    swings = [(float(WARM_UP + number * part), factor) for number, factor in enumerate(SWINGS)]
    rates = Series("hash rate", [*swings, (float(chain.height), SWINGS[-1])], is_stepped=True)
    harder = Series("difficulty", [(height, difficulty(chain, height)) for height in heights])
    times = [(height, mean_time(chain, height - 10, height)) for height in heights]
    wanted = [(height, float(BLOCK_TIME)) for height in (heights[0], heights[-1])]
    return curve_picture(
        "A swing of hash rate and the retarget",
        "height",
        [
            Panel("times the first one", [rates, harder]),
            Panel("seconds a block", [Series("mean of ten solve times", times), Series("wanted", wanted)]),
        ],
    )


EXPERIMENT = Experiment(
    name="hash-rate-swing",
    title="A swing of hash rate and the retarget",
    about=(
        "Miners come and go: the hash rate is four times as high, then half, then what it was. The retarget follows; "
        "a chain with virtual times is built by the node's own rules and handed to real nodes, which check its bits."
    ),
    shows="Difficulty follows the hash rate within a window of blocks; bits that are too easy are refused (bad_bits).",
    act=hash_swing,
)
