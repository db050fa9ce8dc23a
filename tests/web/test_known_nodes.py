"""Nodes are gathered by their tips: the most work first, a colour and a letter a tip, on each page the same."""

from __future__ import annotations

from moneyer.node.api.shapes.explore import Network, NetworkLink, NetworkNode
from moneyer.node.system.text import lettered
from moneyer.node.web.network.known_nodes import COLOURS, LONGEST_LABEL, gathered, labels_of


def node(name: str, tip: str | None = "aa", height: int | None = 5, *, state: str = "connected") -> NetworkNode:
    return NetworkNode(
        id=name,
        url=f"http://{name}:5001",
        is_self=state == "self",
        state=state,
        height=height,
        lag=0,
        tip=tip,
        work=None if height is None else f"{height:064x}",
        agent=None,
        latency_ms=None,
        last_seen=None,
    )


def network(*nodes: NetworkNode, links: tuple[tuple[str, str], ...] = ()) -> Network:
    return Network(list(nodes), [NetworkLink(*link, mutual=True) for link in links], 5, False)


def test_the_tip_with_the_most_work_comes_first_and_holds_its_nodes() -> None:
    found = gathered(network(node("me", "aa", 5, state="self"), node("b", "bb", 7), node("c", "aa", 5)))
    assert [(tip.hash, tip.letter, tip.colour, tip.height) for tip in found.tips] == [
        ("bb", "A", 0, 7),
        ("aa", "B", 1, 5),
    ]
    assert [each.name for each in found.tips[1].nodes] == ["this node", "c:5001"]
    assert [(each.letter, each.colour) for each in found.nodes] == [("B", 1), ("A", 0), ("B", 1)]


def test_a_node_without_a_tip_stands_at_none() -> None:
    found = gathered(network(node("me", state="self"), node("b", None, None, state="down")))
    assert len(found.tips) == 1
    assert (found.nodes[1].letter, found.nodes[1].colour, found.nodes[1].state) == ("", None, "does not answer")


def test_hearsay_stands_behind_what_nodes_say_of_themselves_however_much_work_it_claims() -> None:
    own, peer = node("me", "aa", 5, state="self"), node("b", "bb", 4)
    lies = [node(f"n{number}", f"{number:02d}", 1_000 + number, state="told") for number in range(50)]
    lie = node("liar", "aa", 2**32 - 1, state="told")
    found = gathered(network(own, peer, *lies, lie))
    assert [(tip.hash, tip.letter, tip.height) for tip in found.tips[:3]] == [
        ("aa", "A", 5),
        ("bb", "B", 4),
        ("49", "C", 1_049),
    ]


def test_links_are_seen_from_both_ends() -> None:
    found = gathered(network(node("me", state="self"), node("b"), node("c"), links=(("me", "b"), ("c", "me"))))
    assert [each.neighbours for each in found.nodes] == [("b", "c"), ("me",), ("me",)]


def test_there_are_letters_for_any_number_of_tips_and_colours_come_again() -> None:
    assert [lettered(number) for number in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AB",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]
    found = gathered(network(*(node(f"n{number}", f"{number:02x}", 100 - number) for number in range(COLOURS + 1))))
    assert found.tips[COLOURS].colour == found.tips[0].colour
    assert len({tip.letter for tip in found.tips}) == COLOURS + 1


def test_a_label_is_short_and_shows_what_is_invisible() -> None:
    (tip,) = gathered(network(node("a\u202eb" + "c" * 100))).tips
    (label,) = labels_of(tip)
    assert "\u202e" not in label.text
    assert len(label.text) <= LONGEST_LABEL
