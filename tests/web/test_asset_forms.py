"""Assets from the wallet's page: issued and sent as was shown, once, and never by somebody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.devnet.devcoin import development_coin
from moneyer.node.wallet.derive import development_key
from tests.kit.browser import LOOKS, NewPage, check_axe, check_fits
from tests.kit.chains import Key, issue
from tests.kit.running import RunningNode, running
from tests.web.test_wallet import FORM, OWN, pool


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A development node on which alice holds 10 of an asset."""
    with running(tmp_path_factory.mktemp("forms") / "node", development_coin(int(time.time()))) as each:
        held = development_key("alice")
        alice = Key("alice", held.secret, held.payload)
        each.extend(transfers=[issue(each.coin, alice, 100, 100, symbol=b"TICKET", decimals=1)])
        yield each


def send(page: Page, node: RunningNode, amount: str) -> None:
    page.goto(f"{node.url}/wallet/assets/send")
    page.get_by_label("To").fill("bob")
    page.get_by_label("Amount").fill(amount)
    page.get_by_role("button", name="Go on").click()


def test_an_asset_is_sent_as_it_was_shown_and_once(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("422")
    page = new_page()
    send(page, node, "2.55")
    expect(page.locator("#amount-problem")).to_contain_text("1 decimals at most")
    send(page, node, "2.5")
    expect(page.get_by_role("heading", level=1)).to_have_text("Send 2.5 TICKET?")
    expect(page.locator(".order")).to_contain_text(node.coin.address(development_key("bob").payload))
    assert pool(node) == []
    form = dict(page.evaluate("[...new FormData(document.querySelector('main form'))]"))
    page.get_by_role("button", name="Send 2.5 TICKET").dblclick()
    page.wait_for_url("**/tx/*")
    assert [(each["kind"], each["amount"]) for each in pool(node)] == [("payment", 25)]
    again = node.call("POST", "/wallet/assets/send", urlencode(form).encode(), {**OWN, **FORM})
    assert (again.status, len(pool(node))) == (303, 1)
    other = urlencode({**form, "amount": "3"}).encode()
    refused = node.call("POST", "/wallet/assets/send", other, {**OWN, **FORM})
    assert (refused.status, len(pool(node))) == (422, 1)
    assert b"sent before, with other values" in refused.body
    send(page, node, "9")
    page.get_by_role("button", name="Send 9 TICKET").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    assert len(pool(node)) == 1


def test_an_asset_is_issued_with_the_terms_that_were_shown(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("422")
    page = new_page()
    page.goto(f"{node.url}/wallet/assets/issue")
    page.get_by_label("Issuer").select_option("bob")
    for label, value in (("Symbol", "show"), ("Amount at once", "7"), ("At most", "50"), ("Decimals", "2")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert").first).to_contain_text("name has 1 to 64 bytes")
    page.get_by_label("Name", exact=True).fill("A <b>show</b>")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Issue SHOW?")
    page.get_by_role("button", name="Issue SHOW").click()
    page.wait_for_url("**/tx/*")
    (made,) = pool(node)
    terms = ("kind", "symbol", "name", "amount", "max_supply", "decimals", "content")
    assert [made[name] for name in terms] == ["issue", "SHOW", "A <b>show</b>", 700, 5_000, 2, "0" * 64]


def test_nothing_is_sent_for_a_page_of_somebody_else(node: RunningNode) -> None:
    for path in ("send", "issue"):
        form = urlencode({"key": "page-0123456789abcdef"}).encode()
        answer = node.call("POST", f"/wallet/assets/{path}", form, {"Sec-Fetch-Site": "cross-site", **FORM})
        assert answer.status == 403


@pytest.mark.parametrize(("size", "dark"), LOOKS)
def test_the_forms_fit_and_are_open_to_all(
    node: RunningNode, new_page: NewPage, size: tuple[int, int], dark: bool
) -> None:
    page = new_page(*size, dark=dark)
    for path in ("/wallet", "/wallet/assets/send", "/wallet/assets/issue"):
        page.goto(node.url + path)
        check_fits(page)
        check_axe(page)
    send(page, node, "1")
    check_fits(page)
    check_axe(page)
