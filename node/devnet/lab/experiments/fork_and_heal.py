"""Fork and heal: a network is cut in two, both halves mine, and then it is one again."""

from __future__ import annotations

from ....core import rules
from ..pictures.tree_picture import short, tree_picture
from .block_scenes import is_beside, scene
from .notebook import Experiment, Notebook

WEST, EAST = ("1", "2"), ("3", "4")


def fork_and_heal(book: Notebook) -> None:
    with book.network("line:4") as net:
        book.step("Four nodes in a line: 1 - 2 - 3 - 4. Node 1 mines two blocks.")
        net.mine("1", 2)
        net.wait_one_tip()
        book.nodes(net)
        scenes = [scene(net, "One network, one chain")]

        book.step("The edge between 2 and 3 is cut. Node 1 mines two blocks, node 4 mines three.")
        net.split(WEST, EAST)
        net.mine("1", 2)
        net.mine("4", 3)
        west, east = net.wait_one_tip(nodes=WEST), net.wait_one_tip(nodes=EAST)
        book.nodes(net)
        book.note("Each half agrees with itself and knows nothing of the other. Both chains are valid.")
        scenes.append(scene(net, "Cut: each half goes on by itself"))

        book.step("The edge is healed.")
        net.heal()
        tip = net.wait_one_tip()
        book.nodes(net)
        book.rule("Of two valid chains the one with more work counts.", "8", rules.wins)
        book.note(f"Nodes 1 and 2 took {short(west)} and the block before it off their chain: a reorg of two blocks.")
        book.claim("all nodes follow the half that had more work", tip == east)
        book.claim("they keep the blocks of the other half, on a side branch", is_beside(net["1"], west))
        scenes.append(scene(net, "Healed: the chain with more work counts, for all"))

        book.step(
            "It is cut again; this time each half mines one block, so both have the same work. Then it is healed."
        )
        net.split(WEST, EAST)
        net.mine("1")
        net.mine("4")
        west, east = net.wait_one_tip(nodes=WEST), net.wait_one_tip(nodes=EAST)
        net.heal()
        net.wait_linked()
        book.nodes(net)
        book.rule("Of two chains with equal work the one that the node had first counts.", "8", rules.wins)
        book.note("A node offers its peers only what has more work than theirs: so nothing passes over the edge.")
        kept = [node.tip for node in net]
        book.claim("the tie stays: each half keeps the block that it saw first", kept == [west] * 2 + [east] * 2)
        scenes.append(scene(net, "A tie: each node keeps what it saw first"))

        book.step("Node 2 mines one more block.")
        net.mine("2")
        tip = net.wait_one_tip()
        book.nodes(net)
        book.rule("The tie is over: one chain has more work.", "8", rules.wins)
        book.claim("the next block decides for all nodes", net["4"].block(tip)["prev_hash"] == west)
        scenes.append(scene(net, "The next block ends the tie"))

        book.fact(height=net["4"].height, blocks=len(scenes[-1].blocks), tips=len(set(scenes[-1].tips.values())))
        book.picture("fork-and-heal", tree_picture("A fork, and how it heals", scenes))


EXPERIMENT = Experiment(
    name="fork-and-heal",
    title="Fork and heal",
    about=(
        "A network is cut in two, and each half mines. When the edge is healed, all nodes come to one chain again. "
        "Then the same with a tie: each half keeps its own block, until the next one decides."
    ),
    shows="The chain with the most work counts; of two with equal work, the one that was there first.",
    act=fork_and_heal,
)
