"""51 % attack: whoever has most of the hash rate mines in secret, and takes a confirmed payment back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ....core import rules
from ...graph.graph import EdgeSpec, NetworkGraph, NodeSpec
from ..pictures.curve_picture import Panel, Series, curve_picture
from ..pictures.tree_picture import tree_picture
from .attacked_sim import attacked
from .block_scenes import NOWHERE, scene, standing, status_of
from .notebook import Experiment, Notebook, percent

if TYPE_CHECKING:
    from ...sim.findings import Attack

HONEST, ATTACKER = ("1", "2", "3"), "attacker"
GRAPH: Final = NetworkGraph(
    "majority",
    tuple(NodeSpec(name) for name in (*HONEST, ATTACKER)),
    (EdgeSpec("1", "2"), EdgeSpec("2", "3"), EdgeSpec("3", ATTACKER)),
)
CONFIRMATIONS: Final = 3
"""That Bob waits for."""
SHARES: Final[tuple[float, ...]] = (0.1, 0.2, 0.3, 0.4, 0.45)
DEPTHS: Final[tuple[int, ...]] = (1, 2, 4, 6)
BLOCKS: Final = 30_000
"""Simulated for each share and depth; in a quick run fewer, and the outermost of each only."""
QUICK_BLOCKS: Final = 4_000
SIGMAS: Final = 5.0
"""Standard errors that a simulated chance may be off."""
SLACK: Final = 0.02
"""And so much: the simulated attacker gives up when its chance is below one in a thousand, and links take time."""


def majority(book: Notebook) -> None:
    payment(book)
    chances(book)


def payment(book: Notebook) -> None:
    """The attack itself, on real nodes."""
    with book.network(GRAPH) as net:
        book.step("Three honest nodes in a line, and the attacker's, which is linked with node 3.")
        net.mine("1")
        net.wait_one_tip()
        had = net["1"].balance("bob")
        unit = net["1"].client.units("1")
        book.nodes(net)

        book.step("The attacker closes its link. Then Alice, who is in league with it, pays Bob 30 coins, with node 1.")
        net.cut("3", ATTACKER)
        to_bob = net.send("alice", "bob", "30", node="1").txid
        honest = net.mine("1", CONFIRMATIONS)
        net.wait_one_tip(nodes=HONEST)
        columns = {"alice_to_bob": status_of(net, to_bob)}
        seen = net["2"].client.transaction(to_bob)["confirmations"]
        book.claim(f"Bob waits for {CONFIRMATIONS} confirmations, and has them", seen == CONFIRMATIONS)

        book.step(f"Meanwhile the attacker, with more hash rate than all others, found {CONFIRMATIONS + 1} blocks.")
        to_carol = net.send("alice", "carol", "30", node=ATTACKER).txid
        secret = net.mine(ATTACKER, CONFIRMATIONS + 1)
        columns["alice_to_carol"] = status_of(net, to_carol)
        book.nodes(net, **columns)
        book.note("In its first block Alice pays the same coins to Carol. Nobody has seen it yet.")
        notes = {honest[0]: "Alice pays Bob", secret[0]: "Alice pays Carol"}
        scenes = [scene(net, "In secret: one block more than the honest chain", notes)]

        book.step("Bob hands the goods over. The attacker opens its link.")
        net.heal()
        tip = net.wait_one_tip()
        book.nodes(net, **columns)
        book.rule("The chain with more work counts, whenever it is shown, and whoever made it.", "8", rules.wins)
        book.claim("all nodes follow the attacker's chain", tip == secret[-1])
        book.claim("Bob has nothing, on any node", all(node.balance("bob") == had for node in net))
        gone = all(standing(node, to_bob) in (NOWHERE, "rejected") for node in net)
        book.claim("his payment is in no block, and waits in no mempool: its sequence is used up", gone)
        book.note("The attacker could not take Bob's coins, nor anybody's: it has no key. It took back Alice's own.")
        scenes.append(scene(net, f"Shown: {CONFIRMATIONS} confirmed blocks lose", notes))
        book.fact(height=net["1"].height, confirmations=seen, bob=net["1"].balance("bob") - had, unit=unit)
        book.picture("majority-attack-tree", tree_picture("A majority takes a payment back", scenes))


@dataclass(frozen=True, slots=True)
class Row:
    """One share of the hash rate and one number of confirmations."""

    share: float
    confirmations: int
    attack: Attack
    """What the simulated attacker got."""

    @property
    def is_near(self) -> bool:
        return abs(self.attack.rate - self.attack.expected) <= SIGMAS * self.attack.error + SLACK


def chances(book: Notebook) -> None:
    """How often it succeeds with less than the majority: simulated, beside the closed formula."""
    shares, depths, blocks = SHARES, DEPTHS, BLOCKS
    if book.is_quick:
        shares, depths, blocks = SHARES[1::2], DEPTHS[::3], QUICK_BLOCKS
    book.step("With less than half of the hash rate it is a gamble. Simulated, on a virtual clock:")
    rows = [
        Row(share, depth, attacked(share, blocks, book.seed, confirmations=depth))
        for share in shares
        for depth in depths
    ]
    book.table(
        ("share", "confirmations", "attempts", "successes", "rate", "formula", "Nakamoto"),
        [
            (
                percent(row.share),
                row.confirmations,
                row.attack.attempts,
                row.attack.successes,
                *map(percent, (row.attack.rate, row.attack.expected, row.attack.nakamoto)),
            )
            for row in rows
        ],
    )
    book.note(
        "Formula: the exact count (Rosenfeld 2012; Grunspan and Pérez-Marco 2017), for an attacker who pays when it "
        "has found a first block in secret. Nakamoto: section 11 of the paper of 2008, which puts a Poisson "
        "distribution in place of the exact one. From half of the hash rate on the chance is 100 %."
    )
    book.claim(
        f"each rate is within {SIGMAS:g} standard errors and {percent(SLACK)} of the formula",
        all(row.is_near for row in rows),
    )
    book.fact(
        rows=[
            {"share": row.share, "confirmations": row.confirmations, "rate": row.attack.rate, "n": row.attack.attempts}
            for row in rows
        ]
    )
    book.picture("majority-attack", curve(rows, depths))


def curve(rows: list[Row], depths: tuple[int, ...]) -> str:
    """The chance over the share of the hash rate: a line for each number of confirmations, and what was simulated."""
    from ...sim.closed_forms import double_spend

    steps = [number / 100 for number in range(5, 51)]
    series = []
    for depth in depths:
        name = f"{depth} confirmation{'' if depth == 1 else 's'}"
        dots = [(row.share, row.attack.rate) for row in rows if row.confirmations == depth]
        series.append(Series(f"{name}, formula", [(step, double_spend(step, depth)) for step in steps]))
        series.append(Series(f"{name}, simulated", dots, has_line=False, has_dots=True))
    panel = Panel("chance that the payment is taken back", series, is_percent=True)
    return curve_picture("51 % attack", "the attacker's share of the hash rate", [panel], x_is_percent=True)


EXPERIMENT = Experiment(
    name="majority-attack",
    title="51 % attack",
    about=(
        "An attacker with most of the hash rate mines a chain of its own in secret while Bob waits for confirmations. "
        "Then it shows its chain, which has more work: all nodes follow it, and Bob's payment is gone. With less than "
        "half it is a gamble, whose chance is simulated beside the closed formula."
    ),
    shows="More work counts, whoever did it; each confirmation makes a gamble with less than half of it worse.",
    act=majority,
)
