"""Signing in by a one-time code, in a real browser: what it opens, what ends it, and who sees the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.system.api_token import renew_token
from tests.kit.browser import NewPage, check_axe
from tests.kit.chains import key
from tests.kit.commands import moneyer
from tests.kit.running import RunningNode, own_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with own_node(tmp_path / "node") as started:
        yield started


def sign_in(page: Page, node: RunningNode) -> str:
    """Open what `moneyer open` opens; gives its address."""
    url = moneyer("open", "--print", "--data", node.config.data).stdout.strip()
    page.goto(url)
    page.wait_for_url("**/wallet")
    return url


def test_a_code_opens_the_wallet_and_stands_in_no_address_that_was_asked_for(
    node: RunningNode, new_page: NewPage
) -> None:
    page = new_page()
    url = sign_in(page, node)
    code = url.partition("#")[2]
    expect(page.get_by_role("row").filter(has_text="alice")).to_contain_text("1,000 EASY")
    assert page.evaluate("document.cookie") == ""
    assert not any(code in asked for asked in new_page.requests if asked != url)
    assert code not in node.log
    cookies = page.context.cookies()
    assert [(each["httpOnly"], each["sameSite"], each["expires"]) for each in cookies] == [(True, "Strict", -1)]
    page.go_back()
    assert page.url == "about:blank", "the page with the code is not in the browser's history"


def test_a_code_is_refused_the_second_time(node: RunningNode, new_page: NewPage) -> None:
    url = sign_in(new_page(), node)
    new_page.expect("status of 403")
    other = new_page()
    other.goto(url)
    expect(other.get_by_role("alert").filter(visible=True)).to_contain_text("was used already")
    assert "#" not in other.url
    new_page.expect("status of 401")
    other.goto(f"{node.url}/wallet")
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in first")


def test_who_is_not_signed_in_sees_no_name_and_is_told_how_to_sign_in(node: RunningNode, new_page: NewPage) -> None:
    owner, stranger = new_page(), new_page()
    sign_in(owner, node)
    new_page.expect("status of 401")
    for path in ("/wallet", "/wallet/send", "/wallet/receive"):
        stranger.goto(f"{node.url}{path}")
        expect(stranger.locator("main")).to_contain_text("moneyer open")
        check_axe(stranger)
    for page, sees in ((owner, True), (stranger, False), (owner, True)):
        page.goto(f"{node.url}/address/{key('alice').address(node.coin)}")
        assert (page.get_by_role("heading", level=1).inner_text() == "alice") == sees


def test_signing_out_ends_it(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    sign_in(page, node)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{node.url}/")
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    assert page.context.cookies() == []
    new_page.expect("status of 401")
    page.goto(f"{node.url}/wallet")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in first")


def test_it_ends_with_the_token(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    sign_in(page, node)
    renew_token(node.config.token_file)
    new_page.expect("status of 401")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in first")


def test_a_page_that_is_open_when_the_session_ends_says_so_by_itself(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    sign_in(page, node)
    expect(page.locator("#live-state")).to_have_attribute("data-state", "on")
    renew_token(node.config.token_file)
    new_page.expect("status of 401")
    node.extend()
    expect(page.locator("main")).to_contain_text("Sign in first")
    expect(page.get_by_role("row").filter(has_text="alice")).to_have_count(0)


def test_a_session_from_before_a_restart_sends_nothing_and_says_what_to_do(
    node: RunningNode, new_page: NewPage
) -> None:
    page = new_page()
    sign_in(page, node)
    page.goto(f"{node.url}/wallet/send?sender=alice&to=bob&amount=1")
    node.stop()
    node.start()
    node.wait_until_it_answers()
    new_page.expect("status of 401")
    new_page.expect_no_answer()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("main")).to_contain_text("moneyer open")
    assert node.get("/v1/mempool").json["count"] == 0
    sign_in(page, node)
    expect(page.get_by_role("heading", level=1)).to_have_text("Wallet")


def test_the_owner_sends_from_the_page(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    sign_in(page, node)
    page.goto(f"{node.url}/wallet/send?sender=alice&to=bob&amount=2")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Send 2 EASY").click()
    page.wait_for_url("**/tx/*")
    assert node.get("/v1/mempool").json["count"] == 1


def test_without_javascript_the_page_says_that_signing_in_needs_it(node: RunningNode, new_page: NewPage) -> None:
    page = new_page(javascript=False)
    page.goto(f"{node.url}/signin#code")
    expect(page.get_by_text("Signing in needs JavaScript")).to_be_visible()
