"""A slow link and stale blocks: two nodes mine, and learn late of each other's blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from ....core import rules
from ....core.pow import block_work, decode_bits
from ...live.errors import NotInTime
from ...sim.scenario import Scenario
from ...sim.simulate import simulate
from ..pictures.curve_picture import Panel, Series, curve_picture
from ..pictures.tree_picture import tree_picture
from .block_scenes import scene
from .notebook import Experiment, Notebook, percent

if TYPE_CHECKING:
    from ...live.live_network import Network

INTERVAL: Final = 0.3
"""Seconds between two blocks, on average: some times what a node takes itself, 0.02 to 0.05 s."""
RATIOS: Final = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
"""The link's delay, in such intervals."""
BLOCKS: Final = 100
"""Found for each of them; in a quick run fewer, and the ends only."""
QUICK_BLOCKS: Final = 30
SHOWN: Final = 0.5
"""The largest delay, in intervals, of which the block tree is drawn."""
DEPTH: Final = 40
"""Heights of it."""
WARM_UP: Final = 4
"""Blocks that do not count: the worker reads the hash rates once a second."""
SIMULATED: Final = 20_000
QUICK_SIMULATED: Final = 4_000
_TIES: Final = 5
_TIE_SECONDS: Final = 5.0
"""Much longer than a block takes to the other node, once the link has no delay."""
SIGMAS: Final = 5.0
"""Standard errors that a measured share may be off."""
SLACK: Final = 0.08
"""And so much for the time that nodes take themselves, on a busy machine."""


def slow_link(book: Notebook) -> None:
    ratios: Sequence[float] = RATIOS
    blocks, simulated = BLOCKS, SIMULATED
    if book.is_quick:
        ratios, blocks, simulated = RATIOS[::5], QUICK_BLOCKS, QUICK_SIMULATED
    with book.network("line:2") as net:
        book.step(f"Two nodes of equal hash rate find a block every {INTERVAL} s together. Their link gets slower.")
        hashes = block_work(decode_bits(net["1"].client.coin.pow_limit)) / INTERVAL
        for name in net.nodes:
            net.hashrate(name, hashes / len(net))
        rows: list[Row] = []
        for ratio in ratios:
            net.delay("1", "2", ratio * INTERVAL * 1000)
            found, stale = race(net, blocks)
            rows.append(Row(ratio, found, stale, simulated_share(ratio, simulated, book.seed)))
            if ratio <= SHOWN:
                tree = scene(
                    net, f"The newest blocks of both nodes, with a delay of {ratio * INTERVAL:g} s", depth=DEPTH
                )
            net.delay("1", "2", 0)
            end_tie(net)
        book.table(
            ("delay", "blocks", "stale", "share", "simulated", "formula"),
            [
                (f"{row.delay:.3f} s", row.found, row.stale, *map(percent, (row.share, row.simulated, row.formula)))
                for row in rows
            ],
        )
        book.rule("Of two blocks that were found while neither node knew of the other's, one loses.", "8", rules.wins)
        book.note(
            f"Simulated: the same network on a virtual clock, {simulated:,} blocks. Formula: r / (2 + 2r), for two "
            "equal miners and a delay of r intervals (Sompolinsky and Zohar, 2015, on a network of two nodes)."
        )
        book.note(
            "The formula has a block there after one trip. A node sends a peer one block after the other and waits for "
            "the answers, so a block that follows another one at once takes up to three; the simulation does the same."
        )
        book.claim("the slower the link, the more blocks are stale", rows[-1].share > rows[0].share)
        book.claim(
            f"each share is as simulated, within {SIGMAS:g} standard errors and {SLACK * 100:g} points",
            all(row.is_as_simulated for row in rows),
        )
        book.fact(rows=[asdict(row) for row in rows])
        book.picture("slow-link", curve(rows))
        book.picture("slow-link-tree", tree_picture("Blocks over a slow link", [tree]))


@dataclass(frozen=True, slots=True)
class Row:
    """What one delay of the link led to."""

    ratio: float
    """The delay in intervals."""
    found: int
    stale: int
    simulated: float
    """The share of stale blocks in a simulation."""

    @property
    def delay(self) -> float:
        """Seconds, one way."""
        return self.ratio * INTERVAL

    @property
    def share(self) -> float:
        return self.stale / self.found

    @property
    def formula(self) -> float:
        return two_miners(self.ratio)

    @property
    def is_as_simulated(self) -> bool:
        """Whether the share differs from the simulated one by no more than chance and a busy machine explain."""
        high = self.simulated + SLACK
        error = math.sqrt(high * (1 - high) / self.found)
        return abs(self.share - self.simulated) <= SIGMAS * error + SLACK


def race(net: Network, blocks: int) -> tuple[int, int]:
    """Both nodes mine until the chain is so much longer. How many blocks were found, and how many of them are stale."""
    patience = 60 + 5 * blocks * INTERVAL
    before = net["1"].height
    for node in net:
        node.set_mode("continuous")
    net.wait_height(before + WARM_UP, patience)
    first = net["1"].height
    net.wait_height(first + blocks, patience)
    for node in net:
        node.set_mode("demand")
    found = [block.height for block in scene(net, "").blocks if block.height > first]
    return len(found), len(found) - (max(found) - first)


def end_tie(net: Network) -> None:
    """Mine on the first node until both have one tip: a miner may find its last block late, and as high as that one."""
    for _ in range(_TIES):
        net.mine("1")
        try:
            net.wait_one_tip(_TIE_SECONDS)
            return
        except NotInTime:
            continue
    net.wait_one_tip()


def simulated_share(ratio: float, blocks: int, seed: int) -> float:
    """The share of stale blocks among two nodes on a virtual clock."""
    scenario = Scenario(
        nodes=2, graph="line", block_time=1, latency=f"constant:{ratio * 1000:g}ms", blocks=blocks, seed=seed
    )
    return simulate(scenario).stale_rate


def two_miners(ratio: float) -> float:
    """The share of stale blocks of two equal miners whose link takes so many intervals.

    The chain grows by (p^2 e^(2pd) - q^2 e^(2qd)) / (p e^(2pd) - q e^(2qd)) for miners of rates p and q and a delay d:
    Sompolinsky and Zohar, "Secure high-rate transaction processing in Bitcoin" (2015). Its limit for p = q, divided by
    p + q, is the share of blocks that are on the chain; the others are stale.
    """
    return ratio / (2 + 2 * ratio)


def curve(rows: list[Row]) -> str:
    """Measured, simulated and computed shares over the delay."""
    most = max(row.ratio for row in rows)
    steps = [most * number / 40 for number in range(41)]
    series = [
        Series("real nodes", [(row.ratio, row.share) for row in rows], has_line=False, has_dots=True),
        Series("simulated", [(row.ratio, row.simulated) for row in rows], has_line=False, has_dots=True),
        Series("formula", [(step, two_miners(step)) for step in steps]),
    ]
    panel = Panel("share of blocks that are stale", series, is_percent=True)
    return curve_picture("A slow link and stale blocks", "delay of the link, in intervals between blocks", [panel])


EXPERIMENT = Experiment(
    name="slow-link",
    title="A slow link and stale blocks",
    about=(
        "Two nodes mine at equal hash rates. The slower the link between them, the more often both find a block for "
        "the same height, and one of the two is stale: work for nothing."
    ),
    shows="The share of stale blocks over the delay, on real nodes, simulated, and by the published formula.",
    act=slow_link,
)
