"""Graphs in files: what every format can say, and that what networkx writes is read as the same graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.devnet.graph.graph import BadGraph, EdgeSpec, NetworkGraph, NodeSpec
from moneyer.node.devnet.graph.graph_reading import graph_of, read_graph
from moneyer.node.system.text import is_visible

GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key id="m" for="node" attr.name="miner" attr.type="boolean"><default>true</default></key>
  <key id="h" for="node" attr.name="hashrate" attr.type="double"/>
  <key id="o" for="node" attr.name="mode" attr.type="string"/>
  <key id="n" for="all" attr.name="name" attr.type="string"/>
  <key id="u" for="node" attr.name="manual" attr.type="boolean"/>
  <key id="l" for="edge" attr.name="latency_ms" attr.type="double"/>
  <key id="p" for="edge" attr.name="loss" attr.type="double"/>
  <key id="r" for="edge" attr.name="rate" attr.type="long"/>
  <key id="g" for="node" yfiles.type="nodegraphics"/>
  <graph id="G" edgedefault="undirected">
    <node id="a"><data key="h">0.5</data><data key="g"><y:ShapeNode/></data></node>
    <node id="x7"><data key="n">Bäcker</data><data key="m">false</data></node>
    <node id="c"><data key="o">interval 5</data><data key="u">1</data></node>
    <edge source="a" target="x7"><data key="l">300</data><data key="p">0.1</data></edge>
    <edge source="x7" target="c"><data key="r">10000</data></edge>
  </graph>
</graphml>
"""
GEXF = """<gexf xmlns="http://gexf.net/1.3" version="1.3">
  <graph defaultedgetype="undirected">
    <attributes class="node"><attribute id="0" title="miner" type="boolean"/>
      <attribute id="1" title="hashrate" type="float"/><attribute id="2" title="mode" type="string"/>
      <attribute id="3" title="manual" type="boolean"><default>false</default></attribute></attributes>
    <attributes class="edge"><attribute id="0" title="latency_ms" type="float"/>
      <attribute id="1" title="loss" type="float"/><attribute id="2" title="rate" type="long"/></attributes>
    <nodes>
      <node id="0" label="a"><attvalues><attvalue for="1" value="0.5"/></attvalues></node>
      <node id="1" label="Bäcker"><attvalues><attvalue for="0" value="false"/></attvalues></node>
      <node id="2" label="c"><attvalues><attvalue for="2" value="interval:5"/><attvalue for="3" value="true"/>
      </attvalues></node>
    </nodes>
    <edges>
      <edge id="0" source="0" target="1" weight="2"><attvalues><attvalue for="0" value="300"/>
        <attvalue for="1" value="0.1"/></attvalues></edge>
      <edge id="1" source="1" target="2"><attvalues><attvalue for="2" value="10000"/></attvalues></edge>
    </edges>
  </graph>
</gexf>
"""
EDGE_LIST = """# three nodes
a "Bäcker" latency_ms=300 loss=.1  # slow

Bäcker c {'rate': 10000}
a hashrate=0.5
"Bäcker" miner=no
c mode="interval 5" manual=yes
"""
NODE_LINK = """{"directed": false, "multigraph": false, "graph": {},
 "nodes": [{"id": "a", "hashrate": 0.5}, {"id": 7, "name": "Bäcker", "miner": false, "mode": null},
  {"id": "c", "mode": "interval:5", "manual": true, "color": "red"}],
 "edges": [{"source": "a", "target": 7, "latency_ms": 300, "loss": 0.1}, {"source": 7, "target": "c", "rate": 1e4}]}
"""
ADJACENCY = """{"directed": false, "multigraph": false, "graph": [],
 "nodes": [{"id": "a", "hashrate": 0.5}, {"id": "Bäcker", "miner": false},
  {"id": "c", "mode": "interval:5", "manual": true}],
 "adjacency": [[{"id": "Bäcker", "latency_ms": 300, "loss": 0.1}],
  [{"id": "a", "latency_ms": 300, "loss": 0.1}, {"id": "c", "rate": 10000}], [{"id": "Bäcker", "rate": 10000}]]}
"""
DOT = """/* three nodes */ graph "my network" {
  rankdir = LR; graph [label="a; b"]
  node [shape=circle, miner=true]
  a [hashrate=0.5];
  "Bäcker" [miner=false label=<b>]   // a baker
  # the third
  c [mode="inter" + "val:5"; manual]
  a:n -- "Bäcker" [latency_ms=300 loss=.1]
  subgraph cluster_1 { edge [rate=10000] Bäcker -- c }
}
"""
THREE = (
    NodeSpec("a", hashrate=0.5),
    NodeSpec("Bäcker", miner=False),
    NodeSpec("c", mode="interval:5", manual=True),
)
EDGES = (EdgeSpec("a", "Bäcker", 300, 0.1), EdgeSpec("Bäcker", "c", rate=10_000))


def graph_in(folder: Path, name: str, text: str, **options: Any) -> NetworkGraph:
    (folder / name).write_text(text, "utf-8")
    return read_graph(str(folder / name), **options)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.graphml", GRAPHML),
        ("x.gexf", GEXF),
        ("x.edges", EDGE_LIST),
        ("x.TXT", "\ufeff" + EDGE_LIST.replace("\n", "\r\n")),
        ("x.json", NODE_LINK),
        ("y.json", NODE_LINK.replace("edges", "links")),
        ("z.json", ADJACENCY),
        ("x.dot", DOT),
        ("x.gv", DOT.replace("graph \"my network\"", "digraph").replace("--", "->")),
    ],
)  # fmt: skip
def test_each_format_can_say_all_that_a_network_needs(name: str, text: str, tmp_path: Path) -> None:
    assert graph_in(tmp_path, name, text) == NetworkGraph(name, THREE, EDGES)


def test_a_plain_object_of_neighbours_names_an_edge_once_or_from_both_ends(tmp_path: Path) -> None:
    once = graph_in(tmp_path, "x.json", '{"a": ["b", "c"], "d": {"c": {"latency_ms": 5}}}')
    assert [node.name for node in once.nodes] == ["a", "d", "b", "c"]
    assert once.edges == (EdgeSpec("a", "b"), EdgeSpec("a", "c"), EdgeSpec("d", "c", 5))
    twice = graph_in(
        tmp_path, "x.json", '{"a": ["b", "c"], "b": ["a"], "c": {"a": null, "d": {}}, "d": {"c": {"latency_ms": 5}}}'
    )
    assert {*twice.edges} == {EdgeSpec("a", "b"), EdgeSpec("a", "c"), EdgeSpec("c", "d", 5)}
    assert graph_in(tmp_path, "x.json", '{"nodes": ["a"]}').names == ("nodes", "a")


def test_in_a_directed_graph_both_directions_are_one_connection(tmp_path: Path) -> None:
    graph = graph_in(tmp_path, "x.dot", "digraph { a -> b; b -> a; b -> c [loss=0.5]; c -> b [loss=0.5] }")
    assert graph.edges == (EdgeSpec("a", "b"), EdgeSpec("b", "c", 0, 0.5))


def test_chains_and_subgraphs_of_dot_are_edges(tmp_path: Path) -> None:
    graph = graph_in(tmp_path, "x.dot", "graph { a -- b -- {c d} subgraph s { node [miner=false] e } -- a f -- a }")
    assert [f"{edge.a}-{edge.b}" for edge in graph.edges] == ["a-b", "b-c", "b-d", "e-a", "f-a"]
    assert [node.name for node in graph.nodes if not node.miner] == ["e"]


@pytest.mark.parametrize(("word", "hashes"), [("500 H/s", 500), ("1.5kH/s", 1500), ("2 MH/s", 2e6), ("1 gh/s", 1e9)])
def test_a_hashrate_with_its_unit_is_absolute(word: str, hashes: float, tmp_path: Path) -> None:
    assert graph_in(tmp_path, "x.txt", f'a hashrate="{word}"').nodes == (NodeSpec("a", hashes=hashes),)


def test_names_are_kept_in_nfc_and_parts_only_if_asked_for(tmp_path: Path) -> None:
    graph = graph_in(tmp_path, "x.json", '{"e\u0301": [], "b": []}', allow_parts=True)
    assert graph.names == ("\u00e9", "b")


def as_networkx(graph: NetworkGraph) -> Any:
    made = networkx.Graph()
    for node in graph.nodes:
        made.add_node(node.name, **({} if node.miner else {"miner": False}), **{"manual": node.manual})
    for edge in graph.edges:
        made.add_edge(edge.a, edge.b, latency_ms=edge.latency_ms, loss=edge.loss, rate=edge.rate or 1)
    return made


WRITERS: dict[str, Any] = {
    "x.graphml": networkx.write_graphml_xml,
    "x.gexf": networkx.write_gexf,
    "x.edgelist": networkx.write_edgelist,
    "x.json": lambda graph, path: Path(path).write_text(json.dumps(networkx.node_link_data(graph)), "utf-8"),
    "y.json": lambda graph, path: Path(path).write_text(json.dumps(networkx.adjacency_data(graph)), "utf-8"),
}
LETTERS = st.characters(categories=["Lu", "Ll", "Nd", "Lo"], codec="utf-8").filter(is_visible)
"""Of those that names may have: not Hangul's fillers, which are letters that nobody sees."""


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from(["ring:5", "star:4", "tree:6", "grid:2x3", "random:6:3", "smallworld:6:2", "line:2"]),
    words=st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=6, max_size=6),
    latency=st.floats(0, 60_000),
    loss=st.floats(0, 1, exclude_max=True),
    rate=st.integers(1, 10**12),
    chosen=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_what_networkx_writes_is_read_as_the_same_graph(
    shape: str,
    words: list[str],
    latency: float,
    loss: float,
    rate: int,
    chosen: list[bool],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from moneyer.node.wallet.names import check_name

    folder = tmp_path_factory.mktemp("graph")
    made = read_graph(shape)
    names = {name: check_name(f"{word}{name}") for name, word in zip(made.names, words, strict=False)}
    graph = NetworkGraph(
        "x",
        tuple(NodeSpec(names[name], miner=flag) for name, flag in zip(made.names, chosen, strict=False)),
        tuple(EdgeSpec(names[edge.a], names[edge.b], latency, loss, rate) for edge in made.edges),
    )
    for name, write in WRITERS.items():
        write(as_networkx(graph), str(folder / name))
        found = read_graph(str(folder / name))
        ends = {frozenset((edge.a, edge.b)) for edge in graph.edges}
        assert {frozenset((edge.a, edge.b)) for edge in found.edges} == ends, name
        assert {(edge.latency_ms, edge.loss, edge.rate) for edge in found.edges} == {(latency, loss, rate)}, name
        assert {*found.names} == {*graph.names}, name
        if name != "x.edgelist":  # which has no attributes of nodes, as networkx writes it
            assert {*found.nodes} == {*graph.nodes}, name


def test_a_program_gives_a_graph_of_networkx_or_a_dict() -> None:
    drawn = networkx.path_graph(3)
    drawn.nodes[2]["miner"] = False
    drawn.edges[0, 1]["latency_ms"] = 300
    nodes = (NodeSpec("0"), NodeSpec("1"), NodeSpec("2", miner=False))
    edges = (EdgeSpec("0", "1", latency_ms=300), EdgeSpec("1", "2"))
    assert graph_of(drawn) == NetworkGraph("the graph of this program", nodes, edges)
    assert graph_of(drawn.to_directed()).edges == edges
    assert graph_of({"a": ["b"], "b": ["c"]}).names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (7, "it must be a shape such as ring:6, a file, a graph of networkx or a dict, not 7"),
        (networkx.grid_2d_graph(2, 2), "a node's name must be text or a whole number, not a list of 2"),
        (networkx.Graph(), "the graph has no nodes"),
        (networkx.Graph([("a", "b", {"latency": 3})]), 'there is no attribute "latency": did you mean latency_ms?'),
        (networkx.Graph([("a", "b", {"latency_ms": {3}})]), "attributes must be text, numbers, true or false"),
        ({"a": ["b"], "c": ["d"]}, "is not connected"),
    ],
)
def test_what_a_program_gives_is_checked_as_a_file_is(made: Any, words: str) -> None:
    with pytest.raises(BadGraph, match="the graph of this program") as refused:
        graph_of(made)
    assert words in str(refused.value)
