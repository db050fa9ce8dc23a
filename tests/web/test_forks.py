"""The page of forks draws a fork between two nodes, says what a reorg did as it happens, and bears a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.core.codec import show, txid
from tests.kit.browser import LOOKS, NewPage, check_axe, check_fits, wait_for_truth
from tests.kit.chains import ChainBuilder
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, rich_coin, running

# The fixtures of nodes stand before `new_page` in each test: pages close before their node ends.


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running(tmp_path / "node") as started:
        yield started


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[tuple[RunningNode, RunningNode]]:
    """Neither pushes nor pulls blocks by itself; the first knows the second."""
    coin = rich_coin()
    with running(tmp_path / "one", coin) as one, running(tmp_path / "two", coin) as two:
        answer = one.post("/connect_node", {"node": [two.url]})
        assert answer.status == 201, answer.body
        yield one, two


def block_of(block_hash: bytes) -> str:
    return f'.tree .block[data-hash="{show(block_hash)}"]'


def open_forks(new_page: NewPage, node: RunningNode, query: str = "", **options: bool) -> Page:
    page = new_page(base_url=node.url, **options)
    page.goto(f"/forks{query}")
    return page


def is_live(page: Page) -> None:
    expect(page.locator("#live-state")).to_have_attribute("data-state", "on")


def test_a_fork_between_two_nodes_is_drawn_then_resolved_and_the_banner_says_what_returned(
    two_nodes: tuple[RunningNode, RunningNode], new_page: NewPage
) -> None:
    one, two = two_nodes
    ours = ChainBuilder(one.coin)
    ours.grow(2)
    theirs = ours.branch(2, "theirs")
    paid = ours.transfer(ALICE, BOB, 1_000, fee=1)
    ours.add([paid])
    assert one.take(ours) == ["extended"] * 3
    theirs.grow(1)
    page = open_forks(new_page, one)
    is_live(page)
    expect(page.locator(block_of(ours.tip_hash))).to_have_class("block active tip")

    two.take(theirs)
    assert one.take_block(theirs.raw[-1]) == "side_branch"
    drawn = page.locator(block_of(theirs.tip_hash))
    expect(drawn).to_contain_text("side branch")
    expect(page.locator("#branches")).to_have_text("1 branch beside the main chain")
    label = two.url.removeprefix("http://")
    expect(page.locator(f"#tip-{show(theirs.tip_hash)}")).to_contain_text(label)
    expect(page.locator(".tree .pill")).to_have_text(["this node", label])

    two.take_block(_more(theirs))
    assert one.get("/replace_chain").json["message"] == "nodes updated."
    banner = page.locator(".reorg")
    expect(banner).to_contain_text("1 block above height 2 left the main chain, 2 blocks came in their place.")
    expect(banner).to_contain_text("1 waits in the mempool now")
    expect(page.locator(".tree .block.tip")).to_have_attribute("data-hash", show(theirs.tip_hash))
    expect(page.locator(block_of(ours.tip_hash))).to_contain_text("side branch")

    theirs.add([theirs.transfer(ALICE, BOB, 1_000, fee=1)])
    one.take_block(theirs.raw[-1])
    expect(banner).to_contain_text("0 wait in the mempool now, 1 is confirmed on the main chain")
    check_axe(page)
    banner.get_by_role("link", name="What became of the branch").click()
    expect(page.locator(f"#fate-{show(txid(paid))}")).to_contain_text("confirmed in 5")


def _more(chain: ChainBuilder) -> bytes:
    chain.add()
    return chain.raw[-1]


def test_a_block_appears_and_the_tip_moves_without_a_click(node: RunningNode, new_page: NewPage) -> None:
    page = open_forks(new_page, node)
    is_live(page)
    expect(page.locator(".tree .block.tip")).to_have_attribute("data-height", "0")
    node.extend()
    expect(page.locator(".tree .block.tip")).to_have_attribute("data-height", "1")
    expect(page.locator(".tree .pill.self")).to_have_text("this node")
    check_axe(page)


def test_a_reorg_while_the_node_was_away_is_told_once_it_is_back(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect_no_answer()
    node.extend()
    other = node.chain.branch(0, "other")
    other.grow(2)
    page = open_forks(new_page, node)
    is_live(page)
    expect(page.locator(".tree .block.tip")).to_have_attribute("data-height", "1")
    node.stop()
    expect(page.locator("#gone")).to_be_visible()
    node.start()
    node.wait_until_it_answers()
    node.take(other)
    expect(page.locator("#gone")).to_be_hidden()
    expect(page.locator(".tree .block.tip")).to_have_attribute("data-hash", show(other.tip_hash))
    banner = page.locator(".reorg")
    expect(banner).to_have_count(1)
    banner.get_by_role("button", name="Close").click()
    expect(banner).to_have_count(0)


HOLD_REORG = """
addEventListener('moneyer:reorg', (event) => {
    if (!window.held) event.stopPropagation()
    window.held ??= event.detail
}, true)
"""


def test_a_reorg_that_the_drawing_shows_first_is_told_in_the_words_of_the_event(
    node: RunningNode, new_page: NewPage
) -> None:
    """The page asks for a drawing now and then: one may come just before the event."""
    node.extend()
    other = node.chain.branch(0, "other")
    other.grow(2)
    page = new_page(base_url=node.url)
    page.add_init_script(HOLD_REORG)
    page.goto("/forks")
    is_live(page)
    node.take(other)
    banner = page.locator(".reorg")
    expect(banner).to_contain_text("1 block left the main chain; what came in their place stands below.")
    wait_for_truth(page, "window.held")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('moneyer:reorg', { detail: window.held }))")
    expect(banner).to_contain_text("1 block above height 0 left the main chain, 2 blocks came in their place.")
    expect(banner).to_have_count(1)


def test_a_branch_says_where_its_transfers_are_now(node: RunningNode, new_page: NewPage) -> None:
    node.extend()
    other = node.chain.branch(0, "other")
    spent = other.transfer(ALICE, CAROL, 5_000)
    kept = other.transfer(BOB, CAROL, 700)
    other.add([spent, kept])
    node.extend(transfers=[node.chain.transfer(ALICE, BOB, 9), kept])
    assert node.take(other) == ["side_branch"]
    page = new_page(base_url=node.url, javascript=False)
    page.goto("/forks")
    page.get_by_role("link", name="1 block above height 0").click()
    expect(page.locator(f"#fate-{show(txid(spent))}")).to_contain_text("gone")
    expect(page.locator(f"#fate-{show(txid(kept))}")).to_contain_text("confirmed in 2")
    page.goto("/forks/branch/1")
    expect(page.get_by_role("heading", level=1)).to_have_text("This block is on the main chain")
    new_page.expect("404")
    page.goto(f"/forks/branch/{'ab' * 32}")
    expect(page.locator("main")).to_contain_text("no block of that hash")


def test_a_tall_tree_is_read_without_javascript_on_a_desk_and_a_telephone(node: RunningNode, new_page: NewPage) -> None:
    chain = node.chain
    chain.grow(60)
    node.take(chain)
    for number, fork in enumerate((57, 58, 30, 58)):
        branch = chain.branch(fork, f"side {number}")
        branch.grow(2)
        assert node.take(branch, fork + 1) == ["side_branch"] * 2
    for (width, height), dark in LOOKS:
        page = new_page(width, height, base_url=node.url, dark=dark)
        page.goto("/forks?depth=50")
        expect(page.locator(".tree .block.side_branch")).to_have_count(8)
        expect(page.locator(".tree")).to_contain_text("blocks, no fork")
        expect(page.locator(".tree .block.tip")).to_be_in_viewport()
        check_fits(page)
        check_axe(page)
    plain = new_page(base_url=node.url, javascript=False)
    plain.goto("/forks?depth=50")
    expect(plain.locator(".tree .block")).to_have_count(8 + plain.locator(".tree .block.active").count())
    expect(plain.locator(".branches li")).to_have_count(4)
