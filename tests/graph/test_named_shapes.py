"""Named shapes: what each looks like, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from moneyer.node.devnet.graph.graph import MOST_NODES, BadGraph, EdgeSpec, NetworkGraph, NodeSpec, check_connected
from moneyer.node.devnet.graph.graph_reading import read_graph
from moneyer.node.devnet.graph.named_shapes import KINDS


def edges_of(text: str) -> str:
    return " ".join(f"{edge.a}-{edge.b}" for edge in read_graph(text).edges)


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("ring:4", "1-2 1-4 2-3 3-4"),
        ("star:4", "1-2 1-3 1-4"),
        ("line:4", "1-2 2-3 3-4"),
        ("line:1", ""),
        ("complete:4", "1-2 1-3 1-4 2-3 2-4 3-4"),
        ("tree:7", "1-2 1-3 2-4 2-5 3-6 3-7"),
        ("grid:2x3", "1-2 1-4 2-3 2-5 3-6 4-5 5-6"),
        (" GRID:2×3 ", "1-2 1-4 2-3 2-5 3-6 4-5 5-6"),
    ],
)
def test_a_shape_has_the_edges_that_its_name_says(text: str, edges: str) -> None:
    assert edges_of(text) == edges


def test_the_nodes_of_a_shape_are_numbers_that_all_mine() -> None:
    assert read_graph("line:3").nodes == (NodeSpec("1"), NodeSpec("2"), NodeSpec("3"))


@pytest.mark.parametrize("text", ["random:20:4", "random:7:6", "smallworld:20:4", "random:2:1"])
def test_random_shapes_hang_together_and_are_the_same_for_the_same_seed(text: str) -> None:
    graph = read_graph(text)
    count, degree = (int(part) for part in text.split(":")[1:])
    assert len(graph.nodes) == count
    assert len(graph.edges) == count * degree // 2
    assert len(graph.components()) == 1
    assert read_graph(text, seed=0) == graph
    if text.startswith("random"):
        assert {len(graph.neighbours(name)) for name in graph.names} == {degree}
    if count == 20:
        assert read_graph(text, seed=1).edges != graph.edges


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_makes_its_example(kind: object) -> None:
    example: str = kind.example  # type: ignore[attr-defined]
    assert read_graph(example).text == example


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ring:2", "at least 3 nodes; two nodes are line:2"),
        ("ring:x", "it is written ring:6"),
        ("ring", "it is written ring:6"),
        ("ring:", "it is written ring:6"),
        ("ring:٣", "it is written ring:6"),
        ("ring:-4", "it is written ring:6"),
        ("ring:6:2", "it is written ring:6"),
        ("line:0", "at least 1 node;"),
        ("grid:3", "it is written grid:3x4"),
        ("grid:3x0", "a number is 0"),
        ("random:5:7", "each of 5 nodes can have 4 others at most, not 7"),
        ("random:5:3", "5 nodes of 3 connections each have 15 ends, which is odd; an even number is random:6:3"),
        ("random:5:2", "ask for ring:5"),
        ("random:4:1", "pairs only"),
        ("random:20", "it is written random:20:4"),
        ("smallworld:4:9", "the second number is even, from 2 to 2, not 9"),
        ("smallworld:20:3", "the second number is even, from 2 to 18, not 3"),
        ("rign:6", "did you mean ring?"),
        ("web:6", "The shapes are ring:6, star:5"),
        ("ring:999999999", f"{MOST_NODES:,} nodes"),
        ("complete:10000", "49,995,000 edges"),
        ("ring:99999999999999999999", "it is written ring:6"),
    ],
)
def test_a_wrong_shape_is_refused_with_what_is_right(text: str, says: str) -> None:
    with pytest.raises(BadGraph) as refused:
        read_graph(text)
    assert says in refused.value.message
    assert refused.value.code == "bad_graph"


def test_shares_together_are_one_and_the_silent_divide_the_rest() -> None:
    equal = read_graph("line:4").shares
    assert equal == {"1": 0.25, "2": 0.25, "3": 0.25, "4": 0.25}
    one = (NodeSpec("a", hashrate=0.5), NodeSpec("b"), NodeSpec("c"), NodeSpec("d", miner=False))
    assert NetworkGraph("x", one, ()).shares == {"a": 0.5, "b": 0.25, "c": 0.25}
    weights = (NodeSpec("a", hashrate=3), NodeSpec("b", hashrate=1))
    assert NetworkGraph("x", weights, ()).shares == {"a": 0.75, "b": 0.25}
    assert NetworkGraph("x", (NodeSpec("a", hashes=100), NodeSpec("b", hashes=5)), ()).shares == {}


def test_parts_are_named_where_a_graph_is_not_connected() -> None:
    names = tuple(NodeSpec(name) for name in "abcdefgh")
    graph = NetworkGraph("parts.json", names, (EdgeSpec("a", "b"), EdgeSpec("c", "d")))
    assert graph.components() == [["a", "b"], ["c", "d"], ["e"], ["f"], ["g"], ["h"]]
    with pytest.raises(BadGraph, match=r"it has 6 parts \(a, b; c, d; e; f; …\)") as refused:
        check_connected(graph, "parts.json")
    assert refused.value.details == {"found": 6, "file": "parts.json"}
