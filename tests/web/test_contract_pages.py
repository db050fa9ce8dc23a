"""Contracts in the wallet's page: the book, a payment proposed, seen in plain words, signed by two, and sent once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.core import codec, signing
from moneyer.node.core.policy import Key as KeyLeaf
from moneyer.node.core.policy import Policy, Threshold, encode_policy
from moneyer.node.core.types import Issue
from moneyer.node.devnet.devcoin import development_coin
from moneyer.node.wallet.cosigning.contract_book import Contract, add_contract
from moneyer.node.wallet.cosigning.proposal_bytes import decode_proposal, line_of
from moneyer.node.wallet.derive import development_key
from tests.kit.browser import LOOKS, NewPage, check_axe, check_fits
from tests.kit.chains import Key, contract, issue, key
from tests.kit.running import RunningNode, running
from tests.web.test_wallet import FORM, OWN

CAROL = key("carol who has a wallet of her own")


def own(name: str) -> Key:
    """A key of the development wallet."""
    held = development_key(name)
    return Key(name, held.secret, held.payload)


ALICE, BOB = own("alice"), own("bob")
POLICY: Policy = Threshold(2, (KeyLeaf(ALICE.payload[1:]), KeyLeaf(CAROL.payload[1:])))
TILL = contract(POLICY)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A development node whose book has a contract of alice and of somebody elsewhere; it has coins and an asset."""
    with running(tmp_path_factory.mktemp("contracts") / "node", development_coin(int(time.time()))) as each:
        names = {CAROL.payload[1:]: "carol elsewhere"}
        add_contract(each.config.data, each.coin, Contract("till", encode_policy(POLICY), names, {}))
        chain = each.chain
        each.extend(transfers=[chain.transfer(ALICE, TILL, 100_000_000, fee=1), tickets(each)])
        yield each


def tickets(node: RunningNode) -> Issue:
    return issue(node.coin, BOB, 100, 100, receiver=TILL, symbol=b"TICKET", decimals=1)


def propose(page: Page, node: RunningNode, **fields: str) -> None:
    page.goto(f"{node.url}/wallet/contracts/{node.coin.address(TILL)}")
    for name, value in fields.items():
        page.locator(f"#{name}").fill(value)
    page.get_by_role("button", name="Propose it").click()


def by_carol(line: str, node: RunningNode) -> str:
    """The proposal with her signature."""
    proposal = decode_proposal(line.encode(), node.coin)
    signature = signing.sign(CAROL.secret, proposal.digest, bytes(32))
    return line_of(proposal.signed_with({CAROL.payload[1:]: signature}, {}))


def test_the_book_says_who_can_spend_and_who_does_not_hold_it_yet(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/wallet")
    page.get_by_role("link", name="Contracts").click()
    card = page.get_by_role("region", name="till")
    expect(card).to_contain_text("alice and carol elsewhere together")
    expect(card).to_contain_text("Not ready: this wallet has no receipt of carol elsewhere.")
    card.get_by_role("link", name="till").click()
    expect(page.locator(".policy-tree .is-key")).to_have_count(2)
    expect(page.get_by_role("table", name="Assets")).to_contain_text("TICKET")
    page.goto(f"{node.url}/address/{node.coin.address(TILL)}")
    expect(page.locator("h1")).to_have_text("till")
    expect(page.locator(".policy-tree")).to_contain_text("alice")


def test_a_payment_is_proposed_signed_by_two_and_sent_once(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    propose(page, node, to="bob", amount="0.25", memo="the roof")
    order = page.locator(".order")
    for text in ("0.25 DEV", "bob", node.coin.address(BOB.payload), "till", "the roof", "alice and carol elsewhere"):
        expect(order).to_contain_text(text)
    unsigned = page.locator("#the-line").inner_text()
    number = decode_proposal(unsigned.encode(), node.coin).number
    expect(order).to_contain_text(number)
    page.get_by_role("button", name="Sign it as alice").click()
    expect(order).to_contain_text("1 signature so far")
    expect(order).to_contain_text("carol elsewhere")
    expect(page.locator(".policy-tree .named")).to_have_count(1)
    expect(page.get_by_role("button", name="Submit it")).to_have_count(0)
    page.get_by_text("Put the signatures of a copy to it").click()
    page.get_by_label("A copy that somebody else signed").fill(by_carol(unsigned, node))
    page.get_by_role("button", name="Put them together").click()
    expect(order).to_contain_text("nothing: it can be submitted")
    whole = page.locator("#the-line").inner_text()
    page.get_by_role("button", name="Submit it").dblclick()
    page.wait_for_url("**/tx/*")
    expect(page.locator(".policy-tree .named")).to_have_count(2)
    assert len(node.get("/v1/mempool").json["transactions"]) == 1
    again = node.call("POST", "/wallet/proposal/submit", urlencode({"line": whole}).encode(), {**OWN, **FORM})
    assert again.status == 303
    assert len(node.get("/v1/mempool").json["transactions"]) == 1


def test_a_proposal_that_was_given_is_told_before_anything_is_signed(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    propose(page, node, to="bob", amount="0.5")
    line = page.locator("#the-line").inner_text()
    page.goto(f"{node.url}/wallet/proposal")
    page.get_by_label("The proposal").fill(by_carol(line, node))
    page.get_by_role("button", name="See what it does").click()
    expect(page.locator("h1")).to_have_text("Pay 0.5 DEV from till")
    expect(page.locator(".policy-tree .named")).to_have_count(1)


def test_an_asset_is_proposed_in_its_own_units(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("422")
    page = new_page()
    page.goto(f"{node.url}/wallet/contracts/{node.coin.address(TILL)}")
    asset = codec.asset_id(node.coin.chain_id, tickets(node)).hex()
    page.get_by_label("Of", exact=True).select_option(asset)
    page.get_by_label("To").fill("bob")
    page.get_by_label("Amount").fill("2.55")
    page.get_by_role("button", name="Propose it").click()
    expect(page.get_by_text("with 1 decimals at most")).to_be_visible()
    page.get_by_label("Amount").fill("2.5")
    page.get_by_role("button", name="Propose it").click()
    expect(page.locator("h1")).to_contain_text(f"Pay 2.5 TICKET {asset[:8]}")
    line = page.locator("#the-line").inner_text()
    spend = decode_proposal(line.encode(), node.coin).spend
    assert (spend.asset.hex(), spend.amount) == (asset, 25)


def test_a_proposal_that_was_changed_or_is_another_one_is_refused(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("422")
    page = new_page()
    propose(page, node, to="bob", amount="0.5")
    line = page.locator("#the-line").inner_text()
    proposal = decode_proposal(line.encode(), node.coin)
    other = line_of(replace(proposal, spend=replace(proposal.spend, amount=proposal.spend.amount + 1)))
    for text, said in [
        (line[:-30], "cut or changed"),
        ("<script>alert(1)</script>", "this is no proposal"),
        ("", "this is no proposal"),
    ]:
        page.goto(f"{node.url}/wallet/proposal")
        page.get_by_label("The proposal").fill(text)
        with page.expect_response("**/wallet/proposal") as answer:
            page.get_by_role("button", name="See what it does").click()
        assert answer.value.status == 422
        expect(page.locator("#line-problem")).to_contain_text(said)
    form = urlencode({"line": line, "other": other}).encode()
    answered = node.call("POST", "/wallet/proposal", form, {**OWN, **FORM})
    assert answered.status == 422
    assert b"is another payment" in answered.body


def test_what_the_form_lacks_is_said_at_its_field(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("422")
    page = new_page()
    propose(page, node, to="nobody here", amount="0")
    expect(page.locator("#to-problem")).to_contain_text("there is no")
    expect(page.locator("#amount-problem")).to_contain_text("the amount is 0")
    propose(page, node, to="bob", amount="5000")
    expect(page.locator("#amount-problem")).to_contain_text("till has")


def test_nothing_is_signed_for_a_page_of_somebody_else(node: RunningNode) -> None:
    form = urlencode({"line": "moneyer-proposal1:"}).encode()
    for path in ("", "/sign", "/submit"):
        answer = node.call("POST", f"/wallet/proposal{path}", form, {"Sec-Fetch-Site": "cross-site", **FORM})
        assert answer.status == 403, path


@pytest.mark.parametrize(("size", "dark"), LOOKS)
def test_every_page_fits_and_is_open_to_all(
    node: RunningNode, new_page: NewPage, size: tuple[int, int], dark: bool
) -> None:
    page = new_page(*size, dark=dark)
    for path in ("/wallet/contracts", f"/wallet/contracts/{node.coin.address(TILL)}", "/wallet/proposal"):
        page.goto(node.url + path)
        check_fits(page)
        check_axe(page)
    propose(page, node, to="bob", amount="0.125")
    check_fits(page)
    check_axe(page)
