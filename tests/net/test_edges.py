"""Edges as a person names them, and what a split makes of them. No network runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core.errors import MoneyerError
from moneyer.node.devnet.live import edges
from moneyer.node.devnet.live.errors import BadCut
from moneyer.node.devnet.net.plan import NetPlan, PlannedEdge, PlannedNode


def plan_of(pairs: str, extra: str = "") -> NetPlan:
    """Of edges such as `a b, b c`, and nodes without an edge."""
    both = [tuple(pair.split()) for pair in pairs.split(",")]
    names = sorted({name for pair in both for name in pair} | set(extra.split()))
    nodes = (PlannedNode(name, 5001 + n, Path("net", name), True, 1.0, None, False) for n, name in enumerate(names))
    return NetPlan(Path("net"), "a file", tuple(nodes), tuple(PlannedEdge(a, b) for a, b in both))


LINE = plan_of("a b, b c, c d")


def named(found: list[PlannedEdge]) -> list[str]:
    return [f"{edge.a}-{edge.b}" for edge in found]


def test_an_edge_is_found_from_either_end() -> None:
    assert edges.edge_of(LINE, "c", "b") is edges.edge_of(LINE, "b", "c") is edges.edge_named(LINE, "c-b")


def test_a_number_is_the_name_that_it_is_written_as() -> None:
    plan = plan_of("0 1, 1 2")
    assert edges.node_of(plan, 1).name == "1"
    assert named([edges.edge_of(plan, 2, "1")]) == ["1-2"]


def test_names_with_hyphens_are_told_apart_by_the_edges_that_there_are() -> None:
    plan = plan_of("new-york san-jose, new york-san")
    assert named([edges.edge_named(plan, "new-york-san-jose")]) == ["new-york-san-jose"]
    with pytest.raises(BadCut, match="may mean a and b-c or a-b and c: rename one"):
        edges.edge_named(plan_of("a-b c, a b-c"), "a-b-c")


def test_a_split_cuts_the_edges_between_its_groups_and_no_other() -> None:
    plan = plan_of("a b, b c, c d, d a, a c")
    assert named(edges.between(plan, edges.groups_of(plan, [["a", "b"], ["c", "d"]]))) == ["b-c", "d-a", "a-c"]
    assert named(edges.between(plan, edges.groups_of(plan, [["a"], ["b"], ["c", "d"]]))) == ["a-b", "b-c", "d-a", "a-c"]


@pytest.mark.parametrize("text", ["a,c", "a,c / rest", "rest/a,c", " a , c /b,d"])
def test_what_is_in_no_group_may_be_named_as_the_rest(text: str) -> None:
    groups = edges.groups_of(LINE, edges.groups_named(text))
    assert sorted(groups) == [["a", "c"], ["b", "d"]]


def test_a_node_that_is_named_rest_is_itself() -> None:
    plan = plan_of("rest a, a b")
    assert edges.groups_of(plan, [["rest"], ["a", "b"]]) == [["rest"], ["a", "b"]]


def test_the_parts_of_a_network_follow_from_its_cuts() -> None:
    assert edges.parts(LINE) == [["a", "b", "c", "d"]]
    cut = edges.with_edges(LINE, [edges.edge_of(LINE, "c", "b")], is_cut=True)
    assert edges.parts(cut) == [["a", "b"], ["c", "d"]]
    assert edges.parts(edges.with_edges(cut, cut.edges, is_cut=False)) == edges.parts(LINE)
    assert edges.parts(plan_of("a b", "lone")) == [["a", "b"], ["lone"]]


@pytest.mark.parametrize(
    ("do", "sentence"),
    [
        (lambda: edges.node_of(LINE, "e"), r'no node "e" in this network. Its nodes are a, b, c and d'),
        (lambda: edges.node_of(plan_of("london paris"), "lodnon"), r"did you mean london\?"),
        (lambda: edges.node_of(LINE, 3), r'no node "3"'),
        (lambda: edges.node_of(LINE, 3.0), r'no node "float"'),
        (lambda: edges.edge_of(LINE, "a", "c"), "no edge a-c: a is linked with b"),
        (lambda: edges.edge_of(LINE, "a", "a"), "no edge a-a"),
        (lambda: edges.edge_of(plan_of("a b", "lone"), "lone", "a"), "lone has no edge"),
        (lambda: edges.edge_named(LINE, "ab"), "an edge is written A-B"),
        (lambda: edges.edge_named(LINE, "a-x"), 'no node "x"'),
        (lambda: edges.edge_named(LINE, "-"), 'no node ""'),
        (lambda: edges.groups_of(LINE, [["a"], ["b"]]), "c and d are in no group"),
        (lambda: edges.groups_of(LINE, [["a", "b"], ["c"]]), "d is in no group"),
        (lambda: edges.groups_of(LINE, [["a", "b"], ["b", "c", "d"]]), "b is named twice"),
        (lambda: edges.groups_of(LINE, [["a", "b", "c", "d"]]), "a node in each"),
        (lambda: edges.groups_of(LINE, []), "a, b, c and d are in no group"),
        (lambda: edges.groups_of(plan_of("a b"), [["a", "b"], []]), "two groups or more"),
        (lambda: edges.groups_of(LINE, edges.groups_named("/")), "a node in each|in no group"),
        (lambda: edges.groups_of(LINE, [["rest"], ["rest"]]), "can be said once"),
        (lambda: edges.latency(-1), "from 0 to 60,000"),
        (lambda: edges.latency(float("nan")), "milliseconds"),
        (lambda: edges.loss(1), "a tenth"),
        (lambda: edges.loss("much"), 'not "much"'),
        (lambda: edges.rate(3), "bytes a second"),
        (lambda: edges.rate(True), 'not "True"'),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(do: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(MoneyerError, match=sentence):
        do()
