"""Files that are no network: each is refused with file, line and name, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.devnet.graph import graph_files
from moneyer.node.devnet.graph.graph import MOST_NODES, BadGraph
from moneyer.node.devnet.graph.graph_reading import read_graph

ML = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{}</graphml>'


def refused(path: Path) -> BadGraph:
    with pytest.raises(BadGraph) as error:
        read_graph(str(path))
    assert error.value.details["file"] == str(path)
    assert error.value.message.startswith(str(path))
    return error.value


WRONG = [
    # empty
    ("x.txt", "", None, "it is empty"),
    ("x.json", "  \n", None, "it is empty"),
    ("x.txt", "# nothing\n", None, "the graph has no nodes"),
    ("x.json", "{}", None, "the graph has no nodes"),
    ("x.json", '{"nodes": [], "edges": []}', None, "the graph has no nodes"),
    ("x.dot", "// nothing", None, "it is empty"),
    ("x.dot", "graph {}", None, "the graph has no nodes"),
    ("x.graphml", ML.format("<graph/>"), None, "the graph has no nodes"),
    # parts
    ("x.txt", "a b\nc d\n", None, "2 parts (a, b; c, d)"),
    ("x.txt", "a b\nc d\n", None, "--allow-parts"),
    # loops and double edges
    ("x.txt", "a b\nb b", 2, "edge b-b: it leads from a node to itself"),
    ("x.txt", "a b\nb a", 2, "edge b-a: there is an edge between these two already (line 1)"),
    ("x.txt", "a b\na b", 2, "edge a-b: there is an edge between these two already (line 1)"),
    ("x.json", '{"a": ["b", "b"]}', None, "edge a-b: there is an edge between these two already"),
    ("x.json", '{"a": ["a"]}', None, "edge a-a: it leads from a node to itself"),
    ("x.json", '{"a": {"b": {"loss": 0.1}}, "b": {"a": {"loss": 0.2}}}', None, "a connection is the same both ways"),
    ("x.json", '{"multigraph": true, "nodes": [{"id": 1}, {"id": 2}], "edges": ['
     '{"source": 1, "target": 2, "key": 0}, {"source": 1, "target": 2, "key": 1}]}', None, "edge 1-2: there is an"),
    ("x.dot", "digraph {\n a -> b\n a -> b }", 3, "there is an edge between these two already (line 2)"),
    ("x.dot", "graph { a -- b; b -- a }", 1, "there is an edge between these two already"),
    ("x.graphml", ML.format('<graph edgedefault="directed">\n<node id="a"/>\n<edge source="a" target="a"/></graph>'), 3,
     "edge a-a: it leads from a node to itself"),
    # attributes
    ("x.txt", "a b\na minr=yes", 2, 'node a: there is no attribute "minr": did you mean miner?'),
    ("x.txt", "a b latency=5", 1, 'edge a-b: there is no attribute "latency": did you mean latency_ms?'),
    ("x.txt", "a b zzz=5", 1, "it may have latency_ms, loss and rate"),
    ("x.txt", "a miner=maybe", 1, 'node a: miner must be true or false, not "maybe"'),
    ("x.txt", "a manual=2", 1, 'manual must be true or false, not "2"'),
    ("x.txt", "a mode=always", 1, 'mode must be demand, instant, continuous or interval:SECONDS, not "always"'),
    ("x.json", '{"nodes": [{"id": "a", "mode": 5}], "edges": []}', None, "mode must be demand,"),
    ("x.json", '{"nodes": [{"id": "a", "miner": 0.5}], "edges": []}', None, "miner must be true or false, not 0.5"),
    ("x.json", '{"nodes": [{"id": "a", "name": true}], "edges": []}', None, "name must be text, not true"),
    ("x.txt", "a b latency_ms=-1", 1, 'edge a-b: latency_ms must be milliseconds from 0 to 60,000, not "-1"'),
    ("x.txt", "a b loss=1.5", 1, "loss must be a share from 0 up, below 1"),
    ("x.txt", "a b loss=1", 1, "loss must be a share from 0 up, below 1"),
    ("x.txt", "a b rate=0", 1, "rate must be whole bytes a second"),
    ("x.txt", "a b rate=1.5", 1, "rate must be whole bytes a second"),
    ("x.txt", "a b latency_ms=NaN", 1, "latency_ms must be milliseconds"),
    ("x.txt", "a b latency_ms=inf", 1, "latency_ms must be milliseconds"),
    ("x.txt", "a b latency_ms=1e400", 1, "latency_ms must be milliseconds"),
    ("x.txt", "a b latency_ms=1_0", 1, "latency_ms must be milliseconds"),
    ("x.txt", "a b latency_ms=٣", 1, "latency_ms must be milliseconds"),
    ("x.json", '{"a": {"b": {"latency_ms": NaN}}}', None, "to 60,000, not a number beyond all bounds"),
    ("x.json", '{"a": {"b": {"latency_ms": 1e400}}}', None, "to 60,000, not a number beyond all bounds"),
    ("x.json", '{"a": {"b": {"rate": %s}}}' % ("9" * 5000), None, "rate must be whole bytes a second"),
    ("x.json", '{"a": {"b": {"rate": true}}}', None, "rate must be whole bytes a second"),
    ("x.json", '{"a": {"b": {"rate": [1]}}}', None, "not a list of 1"),
    ("x.graphml", ML.format('<key id="k" for="node" attr.name="miner"/>\n<graph><node id="a">\n<data key="k">maybe'
                            "</data></node></graph>"), 3, 'node a: miner must be true or false, not "maybe"'),
    ("x.graphml", ML.format('<key id="k" for="node" attr.name="hasrate">\n<default>1</default></key>'
                            '<graph>\n<node id="a"/></graph>'), 2, 'no attribute "hasrate": did you mean hashrate?'),
    ("x.graphml", ML.format('<graph><node id="a">\n<data key="k">1</data></node></graph>'), 2, 'has the key "k"'),
    ("x.gexf", '<gexf><graph><nodes><node id="a"><attvalues>\n<attvalue for="7" value="1"/></attvalues></node></nodes>'
     "</graph></gexf>", 2, '<attvalue> is for "7"'),
    ("x.dot", "graph { a\n[loss=1] }", 2, 'node a: there is no attribute "loss"'),
    # hash rates
    ("x.txt", "a b\na hashrate=0\nb hashrate=0", 3, "every miner's share is 0"),
    ("x.txt", "a b\na hashrate=1", 2, "leaves nothing for b"),
    ("x.txt", "a b\na hashrate=0.5\nb hashes=10", 2, "it has a share of the work, and b hashes a second"),
    ("x.txt", "a b\na hashes=10", 1, "node b: it has no hashes, and a has"),
    ("x.txt", 'a hashrate="5 H/s" hashes=10', 1, "twice, in hashrate and in hashes"),
    ("x.txt", "a hashrate=5 hashes=10", 1, "it has a hashrate (a share) and hashes (a second)"),
    ("x.txt", "a b\na miner=no hashrate=0.5", 2, "node a: it does not mine"),
    ("x.txt", "a hashrate=-1", 1, "hashrate must be a share of the work"),
    ("x.txt", 'a hashrate="fast H/s"', 1, "hashrate must be"),
    # names
    ("x.json", '{"a": ["../b"]}', None, 'node ../b: ../b begins with "."'),
    ("x.json", '{"": []}', None, "an empty name"),
    ("x.json", '{"%s": []}' % ("a" * 33), None, "has 33 characters"),
    ("x.json", '{"a\\u0000b": []}', None, "which is neither letter nor digit"),
    ("x.json", '{"\\ud800": []}', None, "which is neither letter nor digit"),
    ("x.json", '{"a": ["b\\u202ec"]}', None, r"node b\u202ec"),
    ("x.txt", "a snapshots", 1, "snapshots is kept in the network's folder for other things"),
    ("x.txt", "a Logs", 1, "Logs is kept in the network's folder"),
    ("x.txt", "coinbase b", 1, "coinbase is what rewards come from"),
    ("x.txt", "Alice b\nb alice", 2, "there is a node Alice already (line 1), and alice differs from it in the case"),
    ("x.json", '{"a": [], "b": [{}]}', None, "node b: a node's name must be text or a whole number, not an empty obj"),
    ("x.json", '{"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}', None, "node a: it is in the file twice"),
    ("x.json", '{"nodes": [{"id": 1}, {"id": 2, "name": "1"}], "edges": []}', None, "there is a node 1 already"),
    ("x.json", '{"nodes": [{"name": "a"}], "edges": []}', None, "nodes[0]: it has no id"),
    ("x.json", '{"nodes": [{"id": "a"}], "edges": [{"source": "a"}]}', None, "edges[0]: a node's name must be text"),
    ("x.json", '{"nodes": [{"id": "a"}], "edges": [{"source": "a", "target": "b"}]}', None, "there is no node b in"),
    ("x.json", '{"nodes": [{"id": "a"}], "edges": 5}', None, "edges must be a list of objects, not 5"),
    ("x.json", '{"nodes": [{"id": "a"}], "adjacency": []}', None, "with a list for each node"),
    ("x.txt", "a b\na miner=no\na miner=yes", 3, "node a: it is described in line 2 already"),
    # no graph at all
    ("x.txt", "a b c", 1, "a line is two names and what the edge has"),
    ("x.txt", "a b 3.5", 1, "a line is two names and what the edge has"),
    ("x.txt", 'a "b', 1, "a line is two names and what the edge has"),
    ("x.txt", "a b loss=0 loss=0", 1, "a line is two names and what the edge has"),
    ("x.txt", "loss=0", 1, "a line is two names and what the edge has"),
    ("x.txt", "a b {'x': __import__('os').system('touch pwned')}", 1, "what stands in braces is no list"),
    ("x.txt", "a b {" + "[" * 3000, 1, "what stands in braces is no list"),
    ("x.txt", "a" * 5000, 1, "more than 4,096 characters"),
    ("x.json", '{"a": ["b"],\n "b" ["a"]}', 2, "it is no JSON from here on"),
    ("x.json", '["a", "b"]', None, "it must be an object"),
    ("x.json", "[" * 100_000, None, "no graph is so deep"),
    ("x.json", '{"a": ' * 100_000, None, "no graph is so deep"),
    ("x.json", '{"a": ["b"], "a": ["c"]}', None, '"a" stands twice in one object'),
    ("x.json", '{"a": "b"}', None, "node a: its neighbours must be a list of names"),
    ("x.json", '{"a": {"b": 5}}', None, 'b must have an object, as in {"latency_ms": 300}, not 5'),
    ("x.graphml", "<graphml>\n<graph>", 2, "it is no XML from here on (no element found)"),
    ("x.graphml", "a b", 1, "it is no XML from here on"),
    ("x.graphml", '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "a"><!ENTITY b "&a;&a;">]>\n<graphml/>', 2,
     "it has a DOCTYPE, which is not read"),
    ("x.graphml", '<!DOCTYPE graphml SYSTEM "http://127.0.0.1:1/x.dtd">\n<graphml/>', 1, "it has a DOCTYPE"),
    ("x.graphml", "<a>" * 60, 1, "it has more elements, or deeper ones"),
    ("x.graphml", "<gexf/>", 1, "it begins with <gexf> and not with <graphml>: is it another format?"),
    ("x.gexf", "<gexf>\n<graph/>\n<graph/></gexf>", 3, "it has 2 graphs, and a network has one"),
    ("x.graphml", ML.format("<graph>\n<node/></graph>"), 2, "<node> has no id"),
    ("x.graphml", ML.format('<graph><node id="a">\n<graph/></node></graph>'), 1, "it has a graph in it"),
    ("x.gexf", '<gexf><graph><nodes><node id="a"><nodes/></node></nodes></graph></gexf>', 1, "it has nodes in it"),
    ("x.graphml", ML.format("<graph><hyperedge/></graph>"), 1, "it has a <hyperedge>"),
    ("x.dot", "graph { a -- b", 1, "the file ends too early"),
    ("x.dot", "graph { a --\n; }", 2, "here must stand a name, not ;"),
    ("x.dot", "network { a }", 1, "it must begin with graph or digraph, not network"),
    ("x.dot", "graph { a\n ? }", 2, "is not DOT"),
    ("x.dot", "graph { a } b", 1, "the file must end after the graph"),
    ("x.dot", "graph " + "{" * 1000, 1, "subgraphs can be 50 deep"),
    ("x.xlsx", "a b", None, "Its name ends with none of .graphml, .gexf"),
    ("x.graphm", "a b", None, "did you mean .graphml?"),
    ("x", "a b", None, "Its name ends with none of"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line", "says"), WRONG, ids=[f"{row[0]}-{row[3][:40]}" for row in WRONG])
def test_a_file_that_is_no_network_is_refused_with_its_place(
    name: str, text: str, line: int | None, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    error = refused(tmp_path / name)
    assert says in error.message
    assert error.details.get("line") == line
    assert "\n" not in error.message
    assert error.message.isprintable()
    assert not (tmp_path / "pwned").exists()


def test_what_is_no_text_or_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("a b\nc Bäcker".encode("latin-1"))
    assert "line 2: it is not UTF-8 text" in refused(tmp_path / "latin.txt").message
    (tmp_path / "x.graphml").write_bytes("<graphml/>".encode("utf-16"))
    assert "it is not UTF-8 text" in refused(tmp_path / "x.graphml").message
    (tmp_path / "folder.json").mkdir()
    assert "it is a folder" in refused(tmp_path / "folder.json").message
    os.mkfifo(tmp_path / "pipe.json")
    assert "it is no ordinary file" in refused(tmp_path / "pipe.json").message
    assert "there is no such file" in refused(tmp_path / "away.json").message
    with pytest.raises(BadGraph, match="File name too long"):
        read_graph("a" * 300 + ".json")
    with pytest.raises(BadGraph, match="that is no file's name"):
        read_graph("a\0.json")
    with pytest.raises(BadGraph, match=r"named with its size: smallworld:20:4"):
        read_graph("small-world")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 30)  # sparse
    assert f"more than {graph_files.MAX_BYTES >> 20} MiB" in refused(tmp_path / "huge.json").message


def test_a_file_of_more_nodes_than_anyone_runs_is_refused(tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text("\n".join(f"0 {number}" for number in range(1, MOST_NODES + 1)))
    assert f"{MOST_NODES + 1:,} nodes" in refused(many).message
    many.write_text("\n".join(f"0 {number}" for number in range(1, 10_000)))
    assert len(read_graph(str(many)).nodes) == 10_000


FRAMES = {
    ".graphml": ("<graphml><key id='k' for='all' attr.name='miner'/><graph>", "</graph></graphml>"),
    ".gexf": ("<gexf><graph><nodes>", "</nodes></graph></gexf>"),
    ".json": ('{"nodes": [', "]}"),
    ".dot": ("graph {", "}"),
    ".txt": ("a b ", "\n"),
}
PIECES = (
    *"{}[]()<>\"'\\/=:;,+-#&|!?* \n\t\u202e\0\ufeff\u0663",
    *[
        "a",
        "b",
        "é",
        "0",
        "-1",
        "1e400",
        "NaN",
        "null",
        "true",
        "graph",
        "strict",
        "subgraph",
        "node",
        "edge",
        "--",
        "->",
        "links",
        "id",
        "miner",
        "loss=0.5",
        "//",
        "/*",
        "*/",
        "<!--",
    ],
    *('"a"', '"nodes":', '{"id": 1}', '"edges": [{"source": 1, "target": 1}]', '"adjacency": [[]]', "{'loss': 0.5}"),
    *("<node id='a'/>", "<node id='b'><data key='k'>no</data></node>", "<edge source='a' target='b'/>", "<edges>"),
    *(
        "<attvalues><attvalue for='0' value='1'/></attvalues>",
        "<graph/>",
        "<hyperedge/>",
        "<data/>",
        "<edge/>",
        "<x:y/>",
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*FRAMES]), st.booleans(), st.lists(st.sampled_from(PIECES), max_size=30))
def test_whatever_stands_in_a_file_it_is_a_graph_or_refused(
    tmp_path_factory: pytest.TempPathFactory, ending: str, is_framed: bool, pieces: list[str]
) -> None:
    before, behind = FRAMES[ending] if is_framed else ("", "")
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_text(before + "".join(pieces) + behind, "utf-8")
    message = ""
    try:
        assert read_graph(str(path), allow_parts=True).nodes
    except BadGraph as error:
        message = error.message
    assert message.isprintable()
