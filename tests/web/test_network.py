"""The page of the network shows this node, its peers and theirs as a graph and a table, and keeps them true."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from moneyer.node.core.codec import show
from tests.kit.browser import LOOKS, NewPage, check_axe, check_fits, wait_for_truth
from tests.kit.chains import ChainBuilder
from tests.kit.net.gossip import listener
from tests.kit.net.peers import HELLO, PeerServer, as_json, hello_of
from tests.kit.running import RunningNode, rich_coin, running

HOSTILE = "<img src=x onerror=alert(1)>'\"{{7*7}}"

# The fixtures of nodes stand before `new_page` in each test: pages close before their node ends.


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running(tmp_path / "one", rich_coin(), manual=False) as started:
        yield started


@pytest.fixture
def other(node: RunningNode, tmp_path: Path) -> Iterator[RunningNode]:
    """A node that the first is connected with."""
    with running(tmp_path / "two", node.coin, manual=False) as started:
        connect(node, started.url)
        yield started


def connect(node: RunningNode, url: str) -> None:
    answer = node.post("/connect_node", {"node": [url]})
    assert answer.status == 201, answer.body


def open_network(new_page: NewPage, node: RunningNode, **options: Any) -> Page:
    page = new_page(base_url=node.url, **options)
    page.goto("/network")
    return page


def row_of(page: Page, url: str) -> Locator:
    return page.locator(f'.nodes tr[data-name="{url.removeprefix("http://")}"]')


def places(page: Page) -> dict[str, Any]:
    """Where the graph has its nodes."""
    found = page.evaluate(
        "document.getElementById('graph')._cyreg.cy.nodes()"
        ".map(each => [each.data('label').split('\\n')[0], each.position()])"
    )
    return dict(found)


def test_two_nodes_are_drawn_and_told_and_their_tips_move_as_they_do(
    node: RunningNode, other: RunningNode, new_page: NewPage
) -> None:
    page = open_network(new_page, node)
    expect(page.locator(".nodes tbody tr")).to_have_count(2)
    row = row_of(page, other.url)
    expect(row).to_contain_text("connected")
    expect(page.locator("#graph canvas")).to_have_count(3)
    before = places(page)
    assert set(before) == {"this node", other.url.removeprefix("http://")}

    node.extend()
    expect(row).to_have_attribute("data-height", "1")
    expect(row).to_have_attribute("data-tip", show(node.chain.tip_hash))
    expect(row.locator(".swatch")).to_have_text("A")
    expect(page.locator(".tip-list li")).to_have_count(1)
    assert places(page) == before
    check_axe(page)


def test_a_node_that_comes_is_given_a_place_and_the_others_keep_theirs(
    node: RunningNode, other: RunningNode, tmp_path: Path, new_page: NewPage
) -> None:
    page = open_network(new_page, node)
    expect(page.locator(".nodes tbody tr")).to_have_count(2)
    before = places(page)
    with closing(PeerServer(listener(ChainBuilder(node.coin)))) as peer:
        connect(node, peer.url)
        expect(row_of(page, peer.url)).to_contain_text("connected")
        wait_for_truth(page, "document.getElementById('graph')._cyreg.cy.nodes().length === 3")
        after = places(page)
    assert after.items() >= before.items()
    assert len({tuple(place.values()) for place in after.values()}) == 3


def test_a_node_that_ends_is_told_to_be_silent(node: RunningNode, other: RunningNode, new_page: NewPage) -> None:
    page = open_network(new_page, node)
    row = row_of(page, other.url)
    expect(row).to_contain_text("connected")
    other.stop()
    node.extend()  # which is sent to the other, so that its absence is noticed at once
    expect(row).to_contain_text("does not answer", timeout=60_000)


def test_a_peer_on_another_branch_has_its_tip_beside_the_tree(node: RunningNode, new_page: NewPage) -> None:
    node.take(node.chain, node.chain.height + 1 - len(node.chain.grow(3)))
    theirs = node.chain.branch(2, "theirs")
    theirs.grow(1)
    routes = listener(theirs) | {HELLO: as_json(hello_of(theirs, agent=HOSTILE))}
    with closing(PeerServer(routes)) as peer:
        connect(node, peer.url)
        page = open_network(new_page, node)
        row = row_of(page, peer.url)
        expect(row.locator(".agent")).to_have_text(HOSTILE)
        expect(row.locator(".agent img")).to_have_count(0)
        expect(page.locator(".tip-list li")).to_have_count(2)
        page.goto("/forks")
        place = page.locator(f"#tip-{show(theirs.tip_hash)}")
        expect(place).to_contain_text("Unknown block at height 3")
        expect(place).to_contain_text(peer.url.removeprefix("http://"))
        node.take_block(theirs.raw[-1])
        expect(place).to_contain_text("side branch")
        expect(page.locator(".tree .pill").filter(has_text=peer.url.removeprefix("http://"))).to_be_visible()


def test_the_network_is_read_on_a_desk_and_a_telephone_and_without_javascript(
    node: RunningNode, other: RunningNode, new_page: NewPage
) -> None:
    for (width, height), dark in LOOKS:
        page = open_network(new_page, node, width=width, height=height, dark=dark)
        expect(page.locator("#graph canvas")).to_have_count(3)
        check_fits(page)
        check_axe(page)
    plain = open_network(new_page, node, javascript=False)
    expect(plain.locator(".nodes tbody tr")).to_have_count(2)
    expect(plain.locator(".graph-frame")).to_be_hidden()


def test_a_node_alone_says_so(node: RunningNode, new_page: NewPage) -> None:
    page = open_network(new_page, node)
    expect(page.locator("#live")).to_contain_text("This node knows no other node.")
    expect(page.locator("#graph canvas")).to_have_count(3)
