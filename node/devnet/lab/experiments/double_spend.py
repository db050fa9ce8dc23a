"""Double spend on a losing branch: one payment is in each half of a cut network, and only one of them can stay."""

from __future__ import annotations

from ....client.client import Sent
from ....client.errors import Refused
from ....core import ledger, rules
from ...live.net_node import NodeHandle
from ..pictures.tree_picture import tree_picture
from .block_scenes import scene, standing, status_of
from .notebook import Experiment, Notebook

WEST, EAST = ("1", "2"), ("3", "4")


def double_spend(book: Notebook) -> None:
    with book.network("line:4") as net:
        book.step("Four nodes in a line: 1 - 2 - 3 - 4. Node 1 mines a block, so that all agree.")
        net.mine("1")
        net.wait_one_tip()
        had = {name: net["1"].balance(name) for name in ("bob", "carol", "erin")}
        unit = net["1"].client.units("1")

        book.step(
            "The edge between 2 and 3 is cut. In the west Alice pays Bob 30 coins, in the east she pays Carol 30."
        )
        net.split(WEST, EAST)
        sent = net.send("alice", "bob", "30", node="1")
        to_bob, to_carol = sent.txid, net.send("alice", "carol", "30", node="4").txid
        book.note("Dave pays Erin 5 coins in the west: an honest payment.")
        to_erin = net.send("dave", "erin", "5", node="1").txid
        columns = {
            "alice_to_bob": status_of(net, to_bob),
            "alice_to_carol": status_of(net, to_carol),
            "dave_to_erin": status_of(net, to_erin),
        }

        book.step("The west mines one block, the east two.")
        west, east = net.mine("1"), net.mine("4", 2)
        net.wait_one_tip(nodes=WEST)
        net.wait_one_tip(nodes=EAST)
        book.nodes(net, **columns)
        book.claim("in the west Bob has his 30 coins", net["2"].balance("bob") == had["bob"] + 30 * unit)
        notes = {west[0]: "Alice pays Bob", east[0]: "Alice pays Carol"}
        scenes = [scene(net, "Cut: in each half another payment is confirmed", notes)]

        book.step("The edge is healed.")
        net.heal()
        net.wait_one_tip()
        net.wait_for(lambda: standing(net["2"], to_erin) == "ready", what="Dave's payment in the mempool of node 2")
        book.nodes(net, **columns)
        book.rule("The chain with more work counts: the west takes its block off, and Bob's payment.", "8", rules.wins)
        book.claim("Bob has his coins no more, on any node", all(node.balance("bob") == had["bob"] for node in net))
        has_carol = all(node.balance("carol") == had["carol"] + 30 * unit for node in net)
        book.claim("Carol has hers, on every node", has_carol)
        book.claim("Dave's payment contradicts nothing: it waits in the mempool again", True)
        scenes.append(scene(net, "Healed: the payment to Bob is on a branch that nobody follows", notes))

        code = hand_in_again(book, net["1"], sent)

        book.step("Node 2 mines a block.")
        again = net.mine("2")
        net.wait_one_tip()
        book.nodes(net, **columns)
        book.claim("it takes Dave's payment in again", net["4"].balance("erin") == had["erin"] + 5 * unit)
        book.note("One confirmation was not enough for Bob. How many are? `moneyer lab show majority-attack`")
        scenes.append(scene(net, "The next block takes the honest payment in", {**notes, again[0]: "Dave pays Erin"}))

        book.fact(height=net["4"].height, code=code)
        book.picture("double-spend", tree_picture("A double spend on a losing branch", scenes))


def hand_in_again(book: Notebook, node: NodeHandle, sent: Sent) -> str:
    """Bob tries to save his payment. The code by which the node refuses it."""
    book.step("Bob hands his payment in once more: it is signed by Alice, and she still has coins enough.")
    code = ""
    try:
        node.client.submit(sent.transfer)
    except Refused as error:
        code = error.node_code
    book.rule(
        "A sender's payments are numbered, and each number counts once. Alice's payment to Carol has the same one.",
        "7, stage 5",
        ledger.check_sequence,
        code="bad_sequence",
    )
    book.claim("it is refused by that rule", code == "bad_sequence")
    return code


EXPERIMENT = Experiment(
    name="double-spend",
    title="Double spend on a losing branch",
    about=(
        "A network is cut in two. Alice pays Bob in one half and spends the same coins to Carol in the other; both "
        "payments are confirmed. When the edge is healed, one half gives its blocks up, and Bob's coins are gone."
    ),
    shows="A payment is as sure as its branch; a sequence counts once, so that no chain can hold both payments.",
    act=double_spend,
)
