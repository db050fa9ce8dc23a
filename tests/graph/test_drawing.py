"""A network's picture: where nodes stand, what is seen of their tips, cuts and delays, as SVG and as PNG."""

from __future__ import annotations

import math
import sys
from itertools import combinations
from xml.etree import ElementTree

import pytest

from moneyer.node.devnet.graph.drawing import COLOURS, QUIET, RED, NodeState, NoPlots, draw, draw_png
from moneyer.node.devnet.graph.graph import EdgeSpec, NetworkGraph, NodeSpec
from moneyer.node.devnet.graph.graph_reading import read_graph
from moneyer.node.devnet.graph.placing import places

SVG = "{http://www.w3.org/2000/svg}"
THREE = NetworkGraph(
    "<three>",
    (NodeSpec("alice"), NodeSpec("b", miner=False), NodeSpec("<&>")),
    (EdgeSpec("alice", "b", 300, 0.1, 10_000), EdgeSpec("b", "<&>", 0.5)),
)
SHAPES = ["ring:9", "star:9", "line:9", "complete:9", "tree:15", "grid:3x4", "random:20:4", "smallworld:20:4", "line:1"]


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def all_of(svg: str, tag: str, **wanted: str) -> list[dict[str, str]]:
    found = [each.attrib for each in ElementTree.fromstring(svg).iter(f"{SVG}{tag}")]
    return [each for each in found if all(each.get(key.replace("_", "-")) == value for key, value in wanted.items())]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_node_lies_on_another_and_the_places_are_the_same_each_time(shape: str) -> None:
    graph = read_graph(shape)
    at = places(graph)
    assert list(at) == list(graph.names)
    assert all(math.dist(at[a], at[b]) > 0.35 for a, b in combinations(at, 2))
    assert places(read_graph(shape)) == at


def test_shapes_are_drawn_as_they_are_called() -> None:
    ring = places(read_graph("ring:6"))
    assert {round(math.dist(ring[a], ring[b]), 6) for a, b in ("14", "25", "36")} == {2.0}
    star = places(read_graph("star:5"))
    assert {round(math.dist(star["1"], star[name]), 6) for name in "2345"} == {1.0}
    assert {y for _, y in places(read_graph("line:4")).values()} == {0.0}
    grid = places(read_graph("grid:2x3"))
    assert (grid["1"], grid["3"], grid["4"]) == ((0, 0), (2, 0), (0, 1))
    tree = places(read_graph("tree:7"))
    assert [tree[name][1] for name in "1234567"] == [0, 1, 1, 2, 2, 2, 2]
    assert tree["1"][0] == (tree["4"][0] + tree["7"][0]) / 2


def test_a_ring_of_a_file_is_a_ring_whatever_the_order_of_its_edges() -> None:
    nodes = tuple(NodeSpec(name) for name in "abcd")
    edges = (EdgeSpec("a", "c"), EdgeSpec("b", "c"), EdgeSpec("b", "d"), EdgeSpec("a", "d"))
    at = places(NetworkGraph("x.json", nodes, edges))
    assert {round(math.dist(at[edge.a], at[edge.b]), 6) for edge in edges} == {1.0}


def test_parts_stand_beside_each_other() -> None:
    names = [str(number) for number in range(40)]
    graph = NetworkGraph("x.json", tuple(NodeSpec(name) for name in names), (EdgeSpec("0", "1"), EdgeSpec("5", "6")))
    at = places(graph)
    assert all(math.dist(at[a], at[b]) > 0.9 for a, b in combinations(at, 2))
    assert max(x for x, _ in at.values()) < 20


def test_what_is_known_of_nodes_and_edges_is_seen() -> None:
    states = {
        "alice": NodeState("up", 1234, "aa"),
        "b": NodeState("up", 3, "bb"),
        "<&>": NodeState("killed", 1234, "aa"),
    }
    svg = draw(THREE, states, [("<&>", "b")])
    seen = texts(svg)
    assert {"alice", "A · 1,234", "b", "B · 3", "<&>", "killed"} <= {*seen}
    assert {"tip A: block 1,234, 1 node", "tip B: block 3, 1 node", "does not run", "mines"} <= {*seen}
    assert {"300 ms", "10 % lost", "10 kB/s", "cut", "connection that is cut"} <= {*seen}
    assert "0.5 ms" not in seen  # of an edge that is cut
    assert len(all_of(svg, "circle", fill=COLOURS[0])) == 2  # and its row of the legend
    assert len(all_of(svg, "circle", stroke=QUIET, stroke_dasharray="6 5")) == 2
    assert len(all_of(svg, "line", stroke=RED, stroke_dasharray="6 5")) == 2
    assert len(all_of(svg, "path")) == 3  # two miners, and their row
    assert [each.text for each in ElementTree.fromstring(svg).iter(f"{SVG}title")] == ["<three>"]


def test_without_states_the_graph_alone_is_drawn() -> None:
    seen = texts(draw(THREE))
    assert {"alice", "b", "<&>", "0.5 ms", "mines"} <= {*seen}
    assert not [text for text in seen if "tip" in text or "run" in text]


def test_more_tips_than_colours_are_counted() -> None:
    graph = read_graph("ring:12")
    states = {name: NodeState("up", int(name), f"{name:>02}") for name in graph.names}
    seen = texts(draw(graph, states))
    assert "and 4 more tips" in seen
    assert "L · 1" in seen


def test_a_png_has_the_size_of_the_svg() -> None:
    content = draw_png(THREE, {"alice": NodeState("up", 1, "aa")}, [("alice", "b")])
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    size = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    drawn = ElementTree.fromstring(draw(THREE, {"alice": NodeState("up", 1, "aa")}, [("alice", "b")]))
    assert size == (int(drawn.attrib["width"]), int(drawn.attrib["height"]))


def test_without_matplotlib_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NoPlots, match=r"pip install 'moneyer\[plots\]'"):
        draw_png(THREE)
