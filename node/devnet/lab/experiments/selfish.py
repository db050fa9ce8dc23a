"""Selfish mining: a miner who holds its blocks back, and shows them when that makes others' work worthless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ....core import rules
from ...graph.graph import EdgeSpec, NetworkGraph, NodeSpec
from ..pictures.curve_picture import Panel, Series, curve_picture
from ..pictures.tree_picture import tree_picture
from .attacked_sim import attacked
from .block_scenes import scene
from .notebook import Experiment, Notebook, percent

if TYPE_CHECKING:
    from ...live.live_network import Network
    from ...sim.findings import Attack

HONEST, SELFISH = ("1", "2"), "selfish"
GRAPH: Final = NetworkGraph(
    "selfish",
    tuple(NodeSpec(name) for name in (*HONEST, SELFISH)),
    (EdgeSpec("1", "2"), EdgeSpec("1", SELFISH)),
)
SHARE: Final = 0.45
"""Of the hash rate, that the selfish miner of the real network has."""
FINDS: Final = 30
"""Blocks that are found there; in a quick run fewer."""
QUICK_FINDS: Final = 12
SHARES: Final = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
BLOCKS: Final = 20_000
"""Simulated for each share; in a quick run fewer, and some of the shares only."""
QUICK_BLOCKS: Final = 6_000
SIGMAS: Final = 5.0
"""Standard errors that a simulated share may be off."""
SLACK: Final = 0.02
"""And so much, as in a race of two equal branches who hears which first is not always the same."""


def selfish(book: Notebook) -> None:
    race(book)
    curve_of_shares(book)


@dataclass
class SelfishPlay:
    """The game on real nodes: whose turn it is to find a block is drawn; the strategy is Eyal and Sirer's algorithm 1.

    While it has blocks in secret its only edge is cut. Nodes offer each other only what has more work, so a branch
    that is as long as the public one convinces nobody: a block is shown with the whole branch, or not at all.
    """

    net: Network
    lead: int = 0
    """Blocks by which the secret branch is longer than the public one; -1 while it is no longer followed."""
    is_racing: bool = False
    """Whether both branches are of one length, after the honest miners caught up with a single secret block."""

    def selfish_finds(self) -> str:
        """What the selfish miner does with a block that it found."""
        if self.lead == 0 and not self.is_racing:
            self.net.cut("1", SELFISH)
        self.net.mine(SELFISH)
        if self.is_racing:
            return self.show("finds a block in a race of two equal branches, and shows both of its blocks")
        self.lead += 1
        return f"finds a block and keeps it: {self.lead} in secret"

    def honest_find(self) -> str:
        """What it does when the others found one."""
        self.net.mine("2")
        self.net.wait_one_tip(nodes=HONEST)
        if self.is_racing:
            return self.show("has lost the race: its block is stale, and it follows the others")
        if self.lead == 0:
            self.net.wait_one_tip()
            return "hears of a block of the others, and follows it"
        self.lead -= 1
        if self.lead == 0:
            self.is_racing = True
            return "sees the others catch up with its one secret block: a race"
        if self.lead == 1:
            self.lead = 0
            return self.show("sees the others come near, and shows its whole branch: their blocks are stale")
        return f"sees the others come nearer, and waits: {self.lead} ahead"

    def show(self, done: str) -> str:
        """Link again: the longer branch counts for both sides."""
        self.lead, self.is_racing = 0, False
        self.net.heal()
        self.net.wait_one_tip()
        return done


def race(book: Notebook) -> None:
    """The strategy on real nodes, for some tens of blocks."""
    finds = QUICK_FINDS if book.is_quick else FINDS
    with book.network(GRAPH) as net:
        book.step(
            f"Two honest nodes and a selfish one with {percent(SHARE)} of the hash rate. Who finds the next block is "
            f"drawn, {finds} times."
        )
        net.mine("1")
        start = net.wait_one_tip()
        first = net["1"].block(start)["height"]
        play, own, rows = SelfishPlay(net), 0, []
        for number in range(1, finds + 1):
            if book.chance.random() < SHARE:
                own += 1
                rows.append((number, "selfish", f"it {play.selfish_finds()}"))
            else:
                rows.append((number, "honest", f"it {play.honest_find()}"))
        if play.lead or play.is_racing:
            if play.is_racing:  # a branch of equal length convinces nobody: one more block decides
                net.mine("2")
                net.wait_one_tip(nodes=HONEST)
            rows.append((finds + 1, "", f"it {play.show('shows what it still has in secret: the game is over')}"))
        book.table(("block", "found by", "the selfish miner"), rows)
        book.rule("The chain with more work counts. Nothing says when a block has to be shown.", "8", rules.wins)
        tree = scene(net, "What it held back lies beside what it made stale")
        main = [node for node in tree.blocks if node.height > first]
        height = net["1"].height
        mined = [net["1"].block(at) for at in range(first + 1, height + 1)]
        theirs = sum(block["miner"] == net[SELFISH].address("miner") for block in mined)
        stale = len(main) - len(mined)
        book.note(
            f"It found {own} of {finds} blocks and has {theirs} of the {len(mined)} that count; {stale} are stale."
        )
        book.claim("all nodes end on one chain", len({node.tip for node in net}) == 1)
        book.claim("every block is on the chain or beside it", len(main) == stale + len(mined))
        book.fact(found=own, kept=theirs, counted=len(mined), stale=stale)
        book.picture("selfish-mining-tree", tree_picture("Selfish mining on three nodes", [tree]))


@dataclass(frozen=True, slots=True)
class Row:
    """One share of the hash rate, and what the simulated miner got of the chain."""

    attack: Attack
    formula: float

    @property
    def is_near(self) -> bool:
        return abs(self.attack.main_share - self.formula) <= SIGMAS * self.attack.error + SLACK


def curve_of_shares(book: Notebook) -> None:
    """The share of the rewards over the share of the hash rate, on a virtual clock."""
    from ...sim.closed_forms import selfish_revenue

    shares, blocks = (SHARES[::3], QUICK_BLOCKS) if book.is_quick else (SHARES, BLOCKS)
    book.step("From which share of the hash rate on does it pay? Simulated, on a virtual clock:")
    rows = []
    for share in shares:
        attack = attacked(share, blocks, book.seed, strategy="selfish")
        rows.append(Row(attack, selfish_revenue(share, attack.followers or 0.0)))
    book.table(
        ("hash rate", "of the chain", "formula", "followers", "pays"),
        [
            (
                percent(row.attack.share),
                percent(row.attack.main_share),
                percent(row.formula),
                percent(row.attack.followers or 0.0),
                "yes" if row.attack.main_share > row.attack.share else "no",
            )
            for row in rows
        ],
    )
    book.note(
        "Formula: Eyal and Sirer, Majority is not enough (2014), equation 8. Followers: in how many of the races of "
        "two equal branches the honest go on with the selfish one. None do here, as nodes keep what they saw first: "
        "then it pays from a third of the hash rate on."
    )
    book.claim(
        f"each share is within {SIGMAS:g} standard errors and {percent(SLACK)} of the formula",
        all(row.is_near for row in rows),
    )
    book.claim("a tenth of the hash rate earns less by it", rows[0].attack.main_share < SHARES[0])
    book.claim("45 % earn more by it", rows[-1].attack.main_share > SHARES[-1])
    book.fact(rows=[{"share": row.attack.share, "main_share": row.attack.main_share} for row in rows])
    book.picture("selfish-mining", curve(rows))


def curve(rows: list[Row]) -> str:
    """What it gets over what it has, beside the formula and honest mining."""
    from ...sim.closed_forms import selfish_revenue

    steps = [number / 100 for number in range(5, 50)]
    panel = Panel(
        "share of the blocks that count",
        [
            Series(
                "simulated",
                [(row.attack.share, row.attack.main_share) for row in rows],
                has_line=False,
                has_dots=True,
            ),
            Series("formula, no honest miner follows", [(step, selfish_revenue(step, 0.0)) for step in steps]),
            Series("honest mining", [(step, step) for step in steps]),
        ],
        is_percent=True,
    )
    return curve_picture("Selfish mining", "share of the hash rate", [panel], x_is_percent=True)


EXPERIMENT = Experiment(
    name="selfish-mining",
    title="Selfish mining",
    about=(
        "A miner keeps the blocks that it finds to itself, and shows them when the others come near: then their work "
        "was for nothing. Played block by block on real nodes, and simulated for many shares of the hash rate."
    ),
    shows="From a third of the hash rate on, holding blocks back earns more than honest mining.",
    act=selfish,
)
