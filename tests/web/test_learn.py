"""The lesson does what it says: each step is worked through in a real browser, on a real node's own chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from moneyer.node.core import codec, signing
from moneyer.node.core.address import encode_address
from moneyer.node.core.policy import payload_of_policy
from moneyer.node.web.learn_pages import STEPS
from tests.kit.browser import NARROW, WIDE, NewPage, check_axe, check_fits
from tests.kit.chains import block_on
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, rich_coin, running

SEED_DICE = """
let state = 12345
Math.random = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
"""
"""Luck that is the same at every run (mulberry32)."""
WATCH_SHIFTS = """
window.shifted = 0
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value
}).observe({ type: 'layout-shift', buffered: true })
"""
WITHOUT_END = """
const post = Worker.prototype.postMessage
Worker.prototype.postMessage = function (asked) { post.call(this, { ...asked, target: 0n }) }
"""
"""No nonce is good enough: a search does not end, however long the test is held up before it stops it."""
PATHS = ["/learn", *(step.href for step in STEPS)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A coin whose difficulty moves; 12 blocks, one with four transfers, and a branch that has lost."""
    coin = rich_coin(retarget=True, difficulty_window=5, pow_limit=0x2000FFFF, clock_tolerance=60)
    with running(tmp_path_factory.mktemp("lesson") / "node", coin) as started:
        for _ in range(5):
            started.extend(timestamp=started.chain.tip.header.timestamp + 4)
        lost = block_on(coin, started.chain.tip.header, 6, receiver=CAROL, bits=started.chain.next_bits)
        moves = [started.chain.transfer(who, BOB, 1_500_000, memo=b"<b>for you</b>") for who in (ALICE, CAROL)]
        moves.append(started.chain.transfer(BOB, ALICE, 7))
        started.extend(transfers=moves)
        assert started.take_block(codec.encode_block(lost)) == "side_branch"
        for seconds in (30, 3, 8, 15, 10, 11):
            started.extend(timestamp=started.chain.tip.header.timestamp + seconds)
        yield started


@pytest.fixture
def page(new_page: NewPage, node: RunningNode) -> Page:
    opened = new_page(base_url=node.url)
    opened.add_init_script(SEED_DICE)
    return opened


def verdict(page: Page, name: str = "verdict") -> Locator:
    return page.locator(f"#{name}")


def won_of(page: Page) -> int:
    """How many of 1,000 attacks she won."""
    return int(verdict(page).inner_text().removeprefix("She won ").split()[0])


def expect_done(page: Page, *tasks: str) -> None:
    for task in tasks:
        expect(page.locator(f'[data-task="{task}"]')).to_have_class("done")


def expect_open(page: Page, *tasks: str) -> None:
    for task in tasks:
        expect(page.locator(f'[data-task="{task}"]')).not_to_have_class("done")


def test_a_hash_changes_with_a_letter_and_comes_back_with_the_text(page: Page, node: RunningNode) -> None:
    page.goto("/learn/hash")
    text, hash_shown = page.get_by_label("Your text"), page.locator("#hash")
    text.fill("abc")
    expect(hash_shown).to_have_text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    text.fill("abd")
    expect(page.locator("#changed")).to_contain_text(re.compile(r"^\d+ of 256 bits turned round. 3 bytes in"))
    expect(hash_shown.locator("mark").first).to_be_visible()
    check_axe(page)
    assert page.locator("#bits .turned").count() == int(page.locator("#changed").inner_text().split()[0])
    expect_open(page, "back", "long", "zero")
    text.fill("abc")
    expect(page.locator("#changed")).to_contain_text("the same text, the same hash")
    text.fill("x" * 201)
    expect(hash_shown).to_have_text(re.compile("^[0-9a-f]{64}$"))
    text.fill("39")  # its hash begins with 0
    expect(hash_shown).to_have_text(re.compile("^0"))
    expect_done(page, "change", "back", "long", "zero")
    expect(page.locator("#own-hash")).to_have_text(codec.show(node.chain.tip_hash))
    expect(verdict(page, "own-verdict")).to_contain_text("The same: this is block 12.")


def test_a_nonce_is_found_by_hand_and_by_the_machine(page: Page, node: RunningNode) -> None:
    page.goto("/learn/block")
    expect(page.locator("#bytes")).to_contain_text(node.chain.tip_hash.hex())  # it would follow the reader's own tip
    page.get_by_role("button", name="Try the next nonce").click()
    while "Found!" not in verdict(page).inner_text():
        page.get_by_role("button", name="Try the next nonce").click()
    tries = int(page.locator("#by-hand").inner_text())
    assert page.get_by_label("Nonce").first.input_value() == str(tries)
    expect(page.locator("#hash")).to_have_text(re.compile("^0"))
    page.get_by_label("What you write").fill("Ann pays Ben 500 coins")
    if "Found!" in verdict(page).inner_text():
        page.get_by_label("What you write").fill("Ann pays Ben 501 coins")
    expect(verdict(page)).to_contain_text("No block yet")
    for zeros in (4, 5):
        page.get_by_label("The hash must begin with").select_option(str(zeros))
        page.get_by_role("button", name="Let the machine search").click()
        expect(verdict(page)).to_contain_text("Found!", timeout=120_000)
        expect(page.locator("#hash")).to_have_text(re.compile("^" + "0" * zeros))
    header = bytes.fromhex(page.locator("#bytes").inner_text())
    assert codec.show(codec.sha256d(header)) == page.locator("#hash").inner_text()
    own = page.locator("#own-nonce")
    expect(verdict(page, "own-verdict")).to_contain_text("the work is shown")
    own.fill(str(node.chain.tip.header.nonce + 1))
    expect(page.locator("#own-hash")).not_to_have_text(codec.show(node.chain.tip_hash))
    expect_done(page, "hand", "break", "machine", "harder", "own")
    expect(page.locator("#finished")).to_be_visible()


def test_a_search_by_the_machine_can_be_stopped(page: Page) -> None:
    page.add_init_script(WITHOUT_END)
    page.goto("/learn/block")
    page.get_by_label("The hash must begin with").select_option("6")
    page.get_by_role("button", name="Let the machine search").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Let the machine search")).to_be_focused()
    expect(verdict(page)).to_contain_text("Stopped before a nonce was found.")


def test_a_changed_block_breaks_all_that_follow_until_they_are_mined_again(page: Page, node: RunningNode) -> None:
    page.goto("/learn/chain")
    blocks = page.locator(".chain-block")
    expect(verdict(page)).to_contain_text("The chain holds")
    blocks.nth(1).get_by_role("textbox").fill("Ann pays Ben 5000")
    expect(verdict(page)).to_contain_text("4 blocks of 5 are broken")
    states = blocks.locator(".state")
    expect(states).to_have_text(
        [
            "Fits",
            "Its hash has no work: too large",
            "Points at a block that is gone",
            "Stands on a broken block",
            "Stands on a broken block",
        ]
    )
    check_axe(page)
    expect_open(page, "link", "mend")
    blocks.nth(1).get_by_role("button", name="Mine again").click()
    expect(verdict(page)).to_contain_text("3 blocks of 5 are broken")
    expect(states.nth(2)).to_have_text("Points at a block that is gone")
    page.get_by_role("button", name="Mine all broken blocks").click()
    expect(verdict(page)).to_contain_text(re.compile(r"Mended: [\d,]+ hashes in"))
    expect(states).to_have_text(["Fits"] * 5)
    expect(page.locator("#mined")).to_have_text("4")
    assert int(page.locator("#hashes").inner_text().replace(",", "")) >= 4
    for upper, lower in ((2, 1), (3, 2), (4, 3)):
        assert blocks.nth(upper).locator(".prev").inner_text() == blocks.nth(lower).locator(".own-hash").inner_text()


def test_the_readers_own_blocks_break_and_are_mined_again(page: Page, node: RunningNode) -> None:
    page.goto("/learn/chain")
    page.get_by_label("Which blocks").select_option("own")
    blocks = page.locator(".chain-block")
    expect(blocks.locator(".own-hash")).to_have_text(
        [codec.show(codec.block_hash(block.header)) for block in node.chain.blocks[-5:]]
    )
    expect(verdict(page)).to_contain_text("The chain holds")
    blocks.nth(0).get_by_role("textbox").fill("1000")
    expect(verdict(page)).to_contain_text("5 blocks of 5 are broken")
    page.get_by_role("button", name="Mine all broken blocks").click()
    expect(verdict(page)).to_contain_text("Mended")
    page.get_by_label("Change a block that lies").fill("12")
    expect(page.locator("#own-blocks")).to_have_text("12")
    expect(page.locator("#own-hashes")).to_have_text(f"{node.chain.work:,}")
    expect_done(page, "own", "mend", "depth")


def test_a_signature_fits_one_payment_of_one_key_on_one_chain(page: Page, node: RunningNode) -> None:
    page.goto("/learn/signature")
    expect(page.locator("#ann")).to_contain_text("easy1q")
    amount = page.get_by_label("Amount, coins").first
    page.get_by_role("button", name="Sign with Ann’s key").click()
    expect(verdict(page)).to_contain_text("The signature fits")
    signed = codec.decode_spend(bytes.fromhex(page.locator("#bytes").inner_text()))
    assert (signed.amount, signed.memo) == (5_000_000, b"for the bicycle")
    amount.fill("5000")
    expect(verdict(page)).to_contain_text("does not fit: amount changed after Ann had signed")
    expect(page.locator('#bytes [data-part="amount"]')).to_have_class(re.compile("changed"))
    check_axe(page)
    amount.fill("5")
    expect(verdict(page)).to_contain_text("The signature fits")
    page.get_by_label("Ann pays").select_option("mallory")
    expect(verdict(page)).to_contain_text("receiver changed")
    page.get_by_label("Ann pays").select_option("ben")
    page.get_by_label("On the chain of").select_option("other")
    expect(verdict(page)).to_contain_text("for another chain")
    page.get_by_label("On the chain of").select_option("own")
    page.get_by_role("button", name="Sign with Mallory’s key").click()
    expect(verdict(page)).to_contain_text("not by the key in the sender’s address")
    for text in ("", "1,5", "-5", "1.2345678", "99999999999999"):
        amount.fill(text)
        expect(verdict(page)).to_contain_text("No amount")
    expect(verdict(page, "own-verdict")).to_contain_text("Its signature fits")
    own = page.get_by_label("Its amount, coins")
    expect(own).to_have_value("1.5")
    own.fill("1.6")
    expect(verdict(page, "own-verdict")).to_contain_text("does not fit")
    expect_done(page, "sign", "amount", "back", "forge", "chain", "own")


def test_the_signature_of_the_lesson_is_one_that_the_node_takes(page: Page, node: RunningNode) -> None:
    page.goto("/learn/signature")
    expect(page.locator("#ann")).to_contain_text("easy1q")
    page.get_by_role("button", name="Sign with Ann’s key").click()
    raw = page.locator("#bytes").inner_text()
    transfer = codec.decode_spend(bytes.fromhex(raw))
    assert all(signing.verify_many(signing.signature_checks(node.coin.chain_id, transfer)))
    assert page.locator("#ann").inner_text() == encode_address("easy", transfer.sender)


def test_a_proof_takes_few_hashes_and_fails_for_what_is_not_there(page: Page, node: RunningNode) -> None:
    page.goto("/learn/merkle")
    expect(verdict(page)).to_contain_text("The proof has 3 hashes, the block 8 payments")
    expect(page.locator(".tree-node.path")).to_have_count(4)
    expect(page.locator(".tree-node.beside")).to_have_count(3)
    page.get_by_label("What it says").fill("Cleo pays Dan 700")
    expect(page.locator(".tree-node.moved")).to_have_count(4)  # the way up, and nothing else
    check_axe(page)
    expect(verdict(page)).to_contain_text("It does not come to the root")
    page.get_by_label("Prove this one").select_option("6")
    expect(verdict(page)).to_contain_text("the payment is in the block")
    page.get_by_label("Somebody says").fill("Ann pays Dan 11")
    expect(verdict(page)).to_contain_text("It does not come to the root")
    page.get_by_label("Payments in the block").select_option("5")
    expect(verdict(page)).to_contain_text("The proof has 3 hashes, the block 5 payments")
    expect_done(page, "change", "prove", "lie", "odd")
    expect(verdict(page, "own-verdict")).to_contain_text("Proven:")
    expect(page.locator("#own-about")).to_contain_text(" in block 6. The node sent 2 hashes:")


def test_ten_times_the_miners_are_made_up_for_by_the_retarget(page: Page, node: RunningNode) -> None:
    page.goto("/learn/difficulty")
    mine = page.get_by_role("button", name="Mine 10 blocks")
    # Until the page knows the coin, it plays with another one, and then it begins anew.
    expect(verdict(page, "own-verdict")).to_contain_text("Every one is what the rule asks for.")
    expect(page.locator("#wanted")).to_have_text("10 seconds")
    expect(page.locator("#count")).to_have_text("40")
    page.get_by_role("button", name="Ten times the miners").click()
    expect(page.locator("#rate-shown")).to_have_text("10 × the usual")
    mine.click()
    expect_done(page, "fast")
    for _ in range(5):
        mine.click()
    expect_done(page, "settle")
    expect(page.locator("#difficulty")).to_have_text(re.compile(r"^(\d|1\d)(\.\d+)? × that of the start"))
    assert float(page.locator("#difficulty").inner_text().split()[0]) > 5
    page.get_by_role("button", name="Back to the usual").click()
    mine.click()
    expect_done(page, "slow")
    expect(verdict(page, "own-verdict")).to_contain_text("Every one is what the rule asks for.")
    rows = page.locator("#own-rows tr")
    expect(rows).to_have_count(8)
    expect(rows.first.locator("td").nth(1)).to_have_text(f"{node.chain.tip.header.bits:08x}")


def test_mining_goes_on_by_itself_until_it_is_paused(page: Page) -> None:
    page.goto("/learn/difficulty")
    page.get_by_role("button", name="Keep mining").click()
    expect(page.locator("#count")).not_to_have_text("40")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#count")).to_have_text("40")


def test_the_chain_with_the_most_work_wins_a_fork(page: Page, node: RunningNode) -> None:
    page.goto("/learn/fork")
    red, blue = (page.get_by_role("button", name=f"{name} finds a block") for name in ("Red", "Blue"))
    cable = page.get_by_role("button", name=re.compile("the cable"))
    red.click()
    expect(verdict(page)).to_have_text("Red found block R1. Blue takes it.")
    cable.click()
    red.click()
    blue.click()
    expect_done(page, "fork")
    expect(page.locator("#blue-says")).to_contain_text("stands on B1: height 2")
    cable.click()
    expect(verdict(page)).to_contain_text("Both chains have the same work, so each keeps its own")
    blue.click()
    expect(verdict(page)).to_contain_text("Red gives up R2: the other chain has more work.")
    expect(page.locator("#pool")).to_have_text("Payments that wait again: R2")
    expect(page.locator(".fork-block.lost")).to_have_count(1)
    cable.click()
    for _ in range(3):
        red.click()
    page.get_by_label("Its blocks are").nth(1).select_option("heavy")
    blue.click()
    cable.click()
    expect(verdict(page)).to_contain_text("Red gives up R3, R4, R5: the other chain has more work.")
    expect_done(page, "fork", "heal", "tie", "work")
    check_axe(page)
    expect(page.locator("#own-about")).to_contain_text("Your node keeps 1 losing branch")
    expect(page.locator("#own-tips")).to_contain_text("left the chain above block 5, and was 1 block long")


def test_confirmations_make_a_double_spend_a_bad_bet(page: Page, node: RunningNode) -> None:
    page.goto("/learn/double-spend")
    many = page.get_by_role("button", name="Play 1,000 attacks")
    page.get_by_label("Mallory’s share").fill("10")
    page.get_by_label("The shop waits").fill("6")
    expect(page.locator("#theory")).to_have_text("0.011 %")
    page.get_by_label("Mallory’s share").fill("30")
    page.get_by_label("The shop waits").fill("2")
    page.get_by_role("button", name="Play one attack").click()
    expect(verdict(page)).to_contain_text(re.compile("She won:|She gave up:"))
    many.click()
    won = won_of(page)
    assert 180 <= won <= 290  # computed: 23.3 %, so 233 and four standard deviations
    page.get_by_label("The shop waits").fill("6")
    many.click()
    assert won_of(page) < won
    page.get_by_label("Mallory’s share").fill("60")
    many.click()
    expect(verdict(page)).to_contain_text(re.compile(r"She won (1,000|99\d) of 1,000"))
    expect(page.locator("#enough")).to_have_text("no number is enough")
    check_axe(page)
    page.get_by_role("button", name="Play with this share").click()
    expect(page.locator("#share-shown")).to_have_text("99 %")  # one miner found all of this chain
    expect_done(page, "one", "many", "wait", "half", "own")


def test_a_policy_wants_exactly_enough_and_its_time(page: Page) -> None:
    page.goto("/learn/policy")
    tree, height = page.locator("#tree"), page.get_by_label("Height of the block")
    expect(verdict(page)).to_contain_text("Not enough")
    tree.get_by_label("Ann").check()
    expect(verdict(page)).to_contain_text("Not enough")
    tree.get_by_label("Cleo").check()
    expect(verdict(page)).to_contain_text("Exactly enough: block 100 may hold this spend.")
    tree.get_by_label("Ben").check()
    expect(verdict(page)).to_contain_text("More than enough")
    check_axe(page)
    first = page.locator("#policy-address").inner_text()
    page.get_by_label("The policy").select_option("heir")
    expect(page.locator("#policy-address")).not_to_have_text(first)
    tree.get_by_label("Ben").check()
    tree.get_by_label("from block 200 on").check()
    expect(verdict(page)).to_contain_text("Exactly enough, but too early: only from block 200 on")
    height.fill("200")
    expect(verdict(page)).to_contain_text("Exactly enough: block 200")
    expect_open(page, "both")
    page.get_by_label("The policy").select_option("swap")
    tree.get_by_label("Ben").check()
    tree.get_by_label("the secret of").check()
    expect_done(page, "two", "more", "early", "late", "both")
    page.get_by_label("The policy").select_option("gift")
    tree.get_by_label("Cleo").check()
    tree.get_by_label("from 2027-06-01 on").check()
    expect(verdict(page)).to_contain_text("too early")
    page.get_by_label("The chain’s clock").fill("151")
    expect(verdict(page)).to_contain_text("Exactly enough")
    expect(page.locator("#own-note")).to_contain_text("Your coin has rules 1")


def test_the_address_of_the_lessons_policy_is_the_nodes(page: Page, node: RunningNode) -> None:
    page.goto("/learn/policy")
    address = encode_address(
        node.coin.hrp, payload_of_policy(bytes.fromhex(page.locator("#policy-bytes").inner_text()))
    )
    expect(page.locator("#policy-address")).to_have_text(address)


def test_what_is_done_is_kept_and_shown_on_the_first_page(page: Page) -> None:
    page.goto("/learn/merkle")
    page.get_by_label("What it says").fill("x")
    page.get_by_label("Prove this one").select_option("1")
    page.get_by_label("Somebody says").fill("y")
    page.get_by_label("Payments in the block").select_option("3")
    expect(page.locator("#finished")).to_be_visible()
    page.reload()
    expect_done(page, "change", "prove", "lie", "odd")
    page.goto("/learn")
    expect(page.get_by_role("link", name="A proof in a few hashes (done)")).to_be_visible()
    expect(page.locator(".lesson-list .done")).to_have_count(1)


def test_the_steps_follow_each_other(page: Page) -> None:
    page.goto("/learn")
    page.get_by_role("link", name="Begin").click()
    for step in STEPS:
        expect(page.get_by_role("heading", level=1)).to_have_text(step.title)
        expect(page.locator('[aria-current="step"]')).to_contain_text(step.short)
        page.locator('[rel="next"]').click()
    expect(page).to_have_url(re.compile("/learn$"))


def test_a_step_that_there_is_none_of_is_a_404(page: Page, new_page: NewPage) -> None:
    new_page.expect("404")
    answer = page.goto("/learn/nonsense")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_text("/learn lists all nine")).to_be_visible()


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_reads_and_keeps_still(path: str, new_page: NewPage, node: RunningNode) -> None:
    for size, dark in ((WIDE, False), (NARROW, True)):
        opened = new_page(*size, dark=dark, base_url=node.url)
        opened.add_init_script(WATCH_SHIFTS)
        opened.goto(path)
        opened.wait_for_load_state("networkidle")
        check_axe(opened)
        check_fits(opened)
        assert opened.evaluate("window.shifted") < 0.05


@pytest.mark.parametrize("path", PATHS)
def test_a_page_reads_without_javascript(path: str, new_page: NewPage, node: RunningNode) -> None:
    opened = new_page(javascript=False, base_url=node.url)
    opened.goto(path)
    expect(opened.get_by_role("heading", level=1)).to_be_visible()
    if path != "/learn":
        expect(opened.locator("noscript p")).to_contain_text("needs JavaScript")
        expect(opened.locator("noscript p")).to_be_visible()
        expect(opened.get_by_role("heading", name="What to keep")).to_be_visible()
        expect(opened.locator(".play")).to_be_hidden()


def test_the_keyboard_alone_works_through_a_step(page: Page) -> None:
    page.goto("/learn/chain")
    page.get_by_label("Which blocks").focus()
    for _ in range(3):  # how hard, the first block, and the second: a button that is off is passed over
        page.keyboard.press("Tab")
    page.keyboard.type("!")
    expect(verdict(page)).to_contain_text("4 blocks of 5 are broken")
    page.keyboard.press("Tab")
    expect(page.locator(".chain-block").nth(1).get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(verdict(page)).to_contain_text("3 blocks of 5 are broken")
    expect(page.locator(".chain-block").nth(2).get_by_role("button")).to_be_focused()


def test_an_empty_chain_says_what_is_missing_and_goes_on_with_the_first_blocks(
    new_page: NewPage, tmp_path: Path
) -> None:
    with running(tmp_path / "node") as empty, closing(new_page):
        opened = new_page(base_url=empty.url)
        for step in STEPS:
            opened.goto(step.href)
            expect(opened.locator("#own-note, #own-verdict, #own-about").first).not_to_be_empty()
        opened.goto("/learn/block")
        expect(opened.locator("#own-note")).to_contain_text("still too short")
        expect(opened.locator("#live-state")).to_have_attribute("data-state", "on")
        empty.extend()
        expect(verdict(opened, "own-verdict")).to_contain_text("the work is shown")
        expect(opened.locator("#own-note")).to_be_empty()


def test_a_node_that_ends_leaves_the_lesson_at_work(new_page: NewPage, tmp_path: Path) -> None:
    with running(tmp_path / "node") as gone, closing(new_page):
        opened = new_page(base_url=gone.url)
        new_page.expect_no_answer()
        new_page.expect("net::ERR")
        opened.goto("/learn/chain")
        expect(verdict(opened)).to_contain_text("The chain holds")
        gone.stop()
        opened.get_by_label("Which blocks").select_option("own")
        expect(verdict(opened)).to_contain_text("The node does not answer")
        opened.locator(".chain-block").nth(0).get_by_role("textbox").fill("Ann has 1000 coins")
        opened.get_by_role("button", name="Mine all broken blocks").click()
        expect(verdict(opened)).to_contain_text("Mended")
