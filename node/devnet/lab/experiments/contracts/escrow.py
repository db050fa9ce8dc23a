"""Escrow: a buyer pays before the goods are there, and two of buyer, seller and arbiter say who gets the money."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .....contracts.language import print_policy
from .....contracts.ready_made import escrow as escrow_policy
from .....core import ledger, policy
from ...pictures.tree_picture import tree_picture
from ..block_scenes import scene
from ..notebook import Experiment, Notebook
from .contract_ground import Contract, refusal, xonly

if TYPE_CHECKING:
    from ....live.live_network import Network

BUYER, SELLER, ARBITER = range(3)
"""The policy's leaves."""
FIRST: Final = ("alice", "bob", "carol")
SECOND: Final = ("dave", "erin", "carol")
PEOPLE: Final = ("alice", "bob", "carol", "dave", "erin")


def escrow(book: Notebook) -> None:
    with book.network("line:2") as net:
        unit = 10 ** net["1"].client.coin.decimals
        had = {who: net["1"].balance(who) for who in PEOPLE}
        first, second = contract(net, FIRST), contract(net, SECOND)
        notes: dict[str, str] = {}

        def as_before(who: str) -> bool:
            return all(node.balance(who) == had[who] for node in net)

        book.step(f"Alice buys from Bob, and Carol is the arbiter. Their contract: {text(FIRST)}. Alice pays 30 in.")
        net.send("alice", first.address, "30")
        notes[mined(net)] = "Alice pays in"
        balances(book, net, first, FIRST)
        book.note("Alice has paid, Bob does not have it yet. The address shows neither who they are nor the policy.")
        book.claim("the contract holds 30 coins", first.held == 30 * unit)

        codes = bob_tries(book, net, first)

        book.step("The goods are there. Alice signs too: the same payment to Bob, on which both agree.")
        net["1"].client.submit(first.spend("bob", {BUYER: "alice", SELLER: "bob"}))
        notes[mined(net)] = "Alice and Bob: to Bob"
        balances(book, net, first, FIRST)
        book.note("Nobody had to ask Carol. The spend shows the policy: whose keys it names can be read from now on.")
        got = [node.balance("bob") - had["bob"] for node in net]
        book.claim("Bob has the 30 coins, on both nodes", got == [30 * unit] * 2)

        book.step(
            f"Dave buys from Erin, with the same arbiter: {text(SECOND)}. Dave pays 20 in; nothing is sent to him."
        )
        net.send("dave", second.address, "20")
        notes[mined(net)] = "Dave pays in"
        balances(book, net, second, SECOND)
        codes.append(refusal(net["1"], second.spend("carol", {ARBITER: "carol"}))[0])
        book.claim("the arbiter alone can take nothing", codes[-1] == "bad_witness")

        book.step("Erin does not answer. Carol looks into it and sides with the buyer: she and Dave sign.")
        net["1"].client.submit(second.spend("dave", {BUYER: "dave", ARBITER: "carol"}))
        notes[mined(net)] = "Dave and Carol: back to Dave"
        balances(book, net, second, SECOND)
        book.claim("Dave has his coins back, and nobody else has them", all(map(as_before, SECOND)))
        book.note(
            "The same two signatures could have paid Carol herself. A policy says who, never how much or where to."
        )

        book.fact(height=net["2"].height, codes=codes, held=[first.held, second.held])
        book.picture("escrow", tree_picture("Two escrows", [scene(net, "One is released, one goes back", notes)]))


def contract(net: Network, people: tuple[str, str, str]) -> Contract:
    """`2 of (buyer, seller, arbiter)`, at node 1."""
    return Contract(net["1"], escrow_policy(*map(xonly, people)))


def text(people: Iterable[str]) -> str:
    """The contract, as a person writes it."""
    buyer, seller, arbiter = people
    names = {xonly(name): name for name in (buyer, seller, arbiter)}
    return f"`{print_policy(escrow_policy(*names), names.get)}`"


def mined(net: Network) -> str:
    """The hash of one more block, which both nodes have."""
    (block_hash,) = net.mine("1")
    net.wait_one_tip()
    return block_hash


def balances(book: Notebook, net: Network, paid: Contract, people: Iterable[str]) -> None:
    """Who has what now, as the other node says."""
    coin = net["2"].client.coin
    rows = [("the contract", paid.address), *((who.capitalize(), who) for who in people)]
    book.table(("who", "has"), [(name, coin.in_coins(net["2"].balance(address))) for name, address in rows])


def bob_tries(book: Notebook, net: Network, paid: Contract) -> list[str]:
    """Bob tries to take it without anybody else. The codes by which the node refuses him."""
    book.step("Bob wants the money before he sends anything. He signs a payment to himself, alone.")
    alone, said = refusal(net["1"], paid.spend("bob", {SELLER: "bob"}))
    book.note(f"The node says: {said}.")
    book.rule(
        "The leaves that a spend names meet the policy, and are exactly enough for it: one of three is too few.",
        "10",
        policy.check_exactly_enough,
        code="bad_witness",
    )
    book.claim("Bob alone is refused by that rule", alone == "bad_witness")
    forged, said = refusal(net["1"], paid.spend("bob", {BUYER: "bob", SELLER: "bob"}))
    book.note(f"Then he names Alice's key as well, and signs for her. The node says: {said}.")
    book.rule("Each named key has signed this very payment.", "10", ledger.bad_signature, code="bad_signature")
    book.claim("Bob's signature is not Alice's", forged == "bad_signature")
    return [alone, forged]


EXPERIMENT = Experiment(
    name="escrow",
    title="Escrow: two of three",
    about=(
        "A buyer pays into a contract of buyer, seller and arbiter. The seller alone can't take it; buyer and seller "
        "together release it. In a second one they disagree, and the arbiter sides with the buyer."
    ),
    shows="Money that no one of three can move, and any two can: the policy names who, and exactly enough must sign.",
    act=escrow,
)
