"""Eclipse: all connections of one node lead to an attacker, who then decides what it gets to know."""

from __future__ import annotations

from typing import Final

from ....core import rules
from ...graph.graph import EdgeSpec, NetworkGraph, NodeSpec
from ..pictures.tree_picture import tree_picture
from .block_scenes import NOWHERE, scene, standing, status_of
from .notebook import Experiment, Notebook

HONEST, EVIL = ("1", "2"), ("evil-1", "evil-2")
GRAPH: Final = NetworkGraph(
    "victim",
    tuple(NodeSpec(name) for name in (*HONEST, *EVIL, "victim")),
    (
        EdgeSpec("1", "2"),
        EdgeSpec("1", "evil-1"),
        EdgeSpec("2", "evil-2"),
        EdgeSpec("evil-1", "victim"),
        EdgeSpec("evil-2", "victim"),
        EdgeSpec("1", "victim"),
    ),
)


def eclipse(book: Notebook) -> None:
    with book.network(GRAPH) as net:
        book.step(
            "Two honest nodes, two of an attacker, and a victim, which is linked with node 1 and with both evil ones."
        )
        net.mine("1", 2)
        net.wait_one_tip()
        book.nodes(net)

        book.step("The victim loses its only honest link. Then the attacker lets nothing of the others pass any more.")
        net.cut("1", "victim")
        net.cut("1", "evil-1")
        net.cut("2", "evil-2")
        net.wait_for(lambda: len(net["victim"].peers) == len(EVIL), what="the end of the honest link")
        peers = net["victim"].peers
        book.note(f"The victim has {len(peers)} peers: all is well, it seems. Both are one person's.")
        attackers = sorted(net[name].url for name in EVIL)
        book.claim("every link of the victim leads to the attacker", sorted(peers) == attackers)

        book.step("Alice pays Carol 30 coins in the honest network, and Bob, a shop that asks the victim, by evil-1.")
        to_carol = net.send("alice", "carol", "30", node="1").txid
        to_bob = net.send("alice", "bob", "30", node="evil-1").txid
        columns = {"alice_to_carol": status_of(net, to_carol), "alice_to_bob": status_of(net, to_bob)}
        honest, evil = net.mine("1", 4), net.mine("evil-1", 2)
        net.wait_one_tip(nodes=HONEST)
        net.wait_one_tip(nodes=(*EVIL, "victim"))
        book.nodes(net, **columns)
        book.rule(
            "Each of its blocks is valid, and of the chains that it knows it follows the one with most work.",
            "8",
            rules.wins,
        )
        seen = net["victim"].client.transaction(to_bob)["confirmations"]
        book.claim(f"the victim believes in the payment to Bob: {seen} confirmations", seen == 2)
        book.claim("it has never heard of the other chain", standing(net["victim"], to_carol) == NOWHERE)
        book.note(
            "No rule can help a node that is told only half. What it could notice is the clock: an attacker with a "
            "tenth of the hash rate needs ten times as long for a block."
        )
        notes = {honest[0]: "Alice pays Carol", evil[0]: "Alice pays Bob"}
        scenes = [scene(net, "Eclipsed: the victim knows one chain, the attacker's", notes)]

        book.step("One honest link is enough: the edge between node 1 and the victim is healed.")
        net.heal("1", "victim")
        net.wait_one_tip()
        book.nodes(net, **columns)
        book.rule("Of the two chains that it knows now, the one with more work counts.", "8", rules.wins)
        book.claim("the victim follows the honest chain", net["victim"].tip == honest[-1])
        book.note("It passes the chain on: even the attacker's nodes follow it, since they keep to the rules.")
        book.claim("the payment to Bob is on no chain that counts", standing(net["victim"], to_bob) == NOWHERE)
        scenes.append(scene(net, "One honest link: the victim follows the chain with more work", notes))

        book.fact(height=net["victim"].height, confirmations=seen)
        book.picture("eclipse", tree_picture("A node in eclipse", scenes))


EXPERIMENT = Experiment(
    name="eclipse",
    title="Eclipse of one node",
    about=(
        "All connections of one node lead to an attacker, who shows it his own chain only. A shop that asks "
        "this node sees a payment with two confirmations, while all others know that the coins went elsewhere."
    ),
    shows="A node can only choose among the chains that it is told of; a single honest link ends it.",
    act=eclipse,
)
