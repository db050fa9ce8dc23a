"""A node of a network from a graph shows all of it: stopped nodes, cut and slow connections, every node's tip."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from moneyer.node.config import NETWORK_FILE
from moneyer.node.core.codec import show
from moneyer.node.network_file import NetPlan, PlannedEdge, PlannedNode, plan_json
from tests.kit.browser import NARROW, WIDE, NewPage, check_axe, check_fits, wait_for_truth
from tests.kit.running import RunningNode, rich_coin, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until


@dataclass
class Net:
    """Alice and Bob run, carol and dave are stopped."""

    folder: Path
    alice: RunningNode
    bob: RunningNode
    plan: NetPlan
    mute: int
    """A port at which something listens that never answers."""

    def write(self, plan: NetPlan) -> None:
        (self.folder / NETWORK_FILE).write_bytes(plan_json(plan))

    def graph(self, status: int = 200) -> Any:
        answer = self.alice.get("/v1/network/graph")
        assert answer.status == status, answer.body
        return answer.json

    def graph_of(self, *states: str) -> Any:
        """The graph, once its nodes have these states: one that has not answered within 2 seconds is shown as silent.

        Where a test asked once only, it would fail on a machine that was busy just then.
        """

        def found() -> Any:
            graph = self.graph()
            return graph if [each["state"] for each in graph["nodes"]] == [*states] else None

        return wait_until(found, 10, f"nodes that are {states}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    folder = tmp_path_factory.mktemp("net")
    coin = rich_coin()
    with (
        running(folder / "alice", coin) as alice,
        running(folder / "Bob <b>", coin) as bob,
        closing(socket.create_server(("127.0.0.1", 0))) as mute,
    ):
        ports = {
            "alice": alice.config.port,
            "Bob <b>": bob.config.port,
            "carol": free_port(),
            "dave": mute.getsockname()[1],
        }
        nodes = tuple(
            PlannedNode(name, port, folder / name, name != "carol", 1.0, None, manual=True)
            for name, port in ports.items()
        )
        edges = (
            PlannedEdge("alice", "Bob <b>", 300, 0.1, 10_000),
            PlannedEdge("Bob <b>", "carol"),
            PlannedEdge("carol", "dave", is_cut=True),
        )
        bob.extend()
        yield Net(folder, alice, bob, NetPlan(folder, "my.graphml", nodes, edges), mute.getsockname()[1])


@pytest.fixture
def net(made: Net) -> Net:
    made.write(made.plan)
    return made


def test_each_node_of_the_graph_is_asked_how_it_stands(net: Net) -> None:
    net.write(replace(net.plan, nodes=(*net.plan.nodes[:3], replace(net.plan.nodes[3], port=net.mute))))
    found = net.graph_of("up", "up", "stopped", "silent")
    assert (found["graph"], found["best_height"]) == ("my.graphml", 1)
    seen = [(each["name"], each["state"], each["height"], each["lag"], each["is_self"]) for each in found["nodes"]]
    assert seen == [
        ("alice", "up", 0, 1, True),
        ("Bob <b>", "up", 1, 0, False),
        ("carol", "stopped", None, None, False),
        ("dave", "silent", None, None, False),
    ]
    assert [each["mines"] for each in found["nodes"]] == [True, True, False, True]
    assert found["nodes"][1]["tip"] == show(net.bob.chain.tip_hash)
    assert found["edges"] == [
        {"from": "alice", "to": "Bob <b>", "state": "open", "latency_ms": 300.0, "loss": 0.1, "rate": 10_000},
        {"from": "Bob <b>", "to": "carol", "state": "down", "latency_ms": 0.0, "loss": 0.0, "rate": None},
        {"from": "carol", "to": "dave", "state": "cut", "latency_ms": 0.0, "loss": 0.0, "rate": None},
    ]


def test_a_plan_is_believed_only_where_it_names_this_folder_and_port(net: Net) -> None:
    first, *others = net.plan.nodes
    for wrong in (replace(first, port=free_port()), replace(first, name="alix", folder=net.folder / "alix")):
        edges = tuple(edge for edge in net.plan.edges if edge.a != "alice")
        net.write(replace(net.plan, nodes=(wrong, *others), edges=edges))
        assert net.graph(404)["error"]["code"] == "not_found"
    for damaged in (b"", b"{}", b"[" * 100_000, b"\xff"):
        (net.folder / NETWORK_FILE).write_bytes(damaged)
        net.graph(404)
    (net.folder / NETWORK_FILE).unlink()
    assert "belongs to no network from a graph" in net.graph(404)["error"]["message"]


def test_a_program_that_took_a_stopped_nodes_port_is_no_node_of_the_network(net: Net, tmp_path: Path) -> None:
    with running(tmp_path / "other", rich_coin(name="Other Coin")) as other:
        nodes = tuple(
            replace(node, port=other.config.port) if node.name == "carol" else node for node in net.plan.nodes
        )
        net.write(replace(net.plan, nodes=nodes))
        net.graph_of("up", "up", "stopped", "silent")


def test_the_page_shows_the_whole_graph_and_keeps_it_true(net: Net, new_page: NewPage) -> None:
    page = new_page(base_url=net.alice.url)
    page.goto("/network")
    expect(page.locator("#live")).to_contain_text(
        "This node is alice of a network of 4 nodes from the graph my.graphml."
    )
    expect(page.locator("#live")).to_contain_text("2 run; of 3 connections 1 is cut. There are 2 tips among them.")
    expect(page.locator(".nodes tbody tr")).to_have_count(4)
    expect(page.locator('.nodes tr[data-id="carol"]')).to_contain_text("does not run")
    expect(page.locator('.edges tr[data-from="alice"]')).to_contain_text("300 ms")
    expect(page.locator("#graph canvas")).to_have_count(3)
    drawn = page.evaluate(
        "(() => { const cy = document.getElementById('graph')._cyreg.cy; return {"
        " nodes: cy.nodes().map(each => each.data('label').split('\\n')[0]),"
        " edges: cy.edges().map(each => [each.data('state'), each.data('label')]),"
        " places: cy.nodes().map(each => Object.values(each.position()).map(Math.round).join()) }; })()"
    )
    assert drawn["nodes"] == ["alice", "Bob <b>", "carol", "dave"]
    assert sorted(drawn["edges"]) == [["cut", "cut"], ["down", ""], ["open", "300 ms\n10 % lost\n10,000 B/s"]]
    assert len({*drawn["places"]}) == 4

    whole = replace(net.plan, edges=tuple(replace(edge, is_cut=False) for edge in net.plan.edges))
    net.write(whole)
    expect(page.locator('.edges tr[data-state="cut"]')).to_have_count(0)
    wait_for_truth(page, "!document.getElementById('graph')._cyreg.cy.edges('[state = \"cut\"]').length")

    page.get_by_role("link", name="What this node sees by itself").click()
    expect(page.locator("#live")).to_contain_text("This node knows no other node.")
    page.get_by_role("link", name="All of the network from its graph").click()
    expect(page.locator(".edges tbody tr")).to_have_count(3)


def test_a_shape_says_where_nodes_stand(net: Net, new_page: NewPage) -> None:
    page = new_page(base_url=net.alice.url)
    wanted = {"grid:2x2": (2, 2), "tree:4": (4, 3), "ring:4": (3, 3)}
    for shape, counts in wanted.items():
        net.write(replace(net.plan, graph=shape))

        def is_shown(shape: str = shape) -> bool:
            page.goto("/network")  # which is kept for a second
            return page.locator("#graph").get_attribute("data-graph") == shape

        wait_until(is_shown)
        at = page.evaluate(
            "document.getElementById('graph')._cyreg.cy.nodes()"
            ".map(each => [Math.round(each.position('x')), Math.round(each.position('y'))])"
        )
        assert len({tuple(place) for place in at}) == 4
        assert (len({x for x, _ in at}), len({y for _, y in at})) == counts, shape


def test_the_graph_is_read_on_a_desk_and_a_telephone_and_without_javascript(net: Net, new_page: NewPage) -> None:
    for (width, height), dark in ((WIDE, False), (NARROW, True)):
        page = new_page(base_url=net.alice.url, width=width, height=height, dark=dark)
        page.goto("/network")
        expect(page.locator("#graph canvas")).to_have_count(3)
        check_fits(page)
        check_axe(page)
    plain = new_page(base_url=net.alice.url, javascript=False)
    plain.goto("/network")
    expect(plain.locator(".edges tbody tr")).to_have_count(3)
