"""The wallet in the page: what it shows, that it sends once and what was shown, and what it says where it cannot."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.devnet.devcoin import development_coin
from moneyer.node.wallet.derive import development_key
from tests.kit.browser import LOOKS, NewPage, check_axe, check_fits
from tests.kit.chains import key
from tests.kit.mining.workers import mining
from tests.kit.running import PASSPHRASE, RunningNode, own_node, running, write_wallet
from tests.kit.system.processes import Child, children
from tests.kit.waiting import wait_until
from tests.store.children import write_and_stay_inside

OWN = {"Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """A development node, whose wallet is open to this machine."""
    with running(tmp_path / "node", development_coin(int(time.time()))) as started:
        yield started


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Such a node for all tests whose requests change nothing on it."""
    with running(tmp_path_factory.mktemp("untouched") / "node", development_coin(int(time.time()))) as started:
        yield started
        assert pool(started) == []
        assert started.height == 0


def address(node: RunningNode, name: str) -> str:
    return node.coin.address(development_key(name).payload)


def pool(node: RunningNode) -> list[dict[str, Any]]:
    return list(node.get("/v1/mempool").json["transactions"])


def fill(page: Page, node: RunningNode, **fields: str) -> None:
    """Fill the form, and go on to the page that asks."""
    page.goto(f"{node.url}/wallet/send?sender=alice")
    for name, value in fields.items():
        page.locator(f"#{name}").fill(value)
    page.get_by_role("button", name="Go on").click()


def test_coins_go_from_alice_to_bob_and_the_page_shows_it_without_a_reload(
    node: RunningNode, new_page: NewPage
) -> None:
    page = new_page()
    fill(page, node, to="bob", amount="2.5", memo="for the ice cream")
    expect(page.get_by_role("heading", level=1)).to_have_text("Send 2.5 DEV?")
    order = page.locator(".order")
    for text in (address(node, "alice"), address(node, "bob"), "997.5 DEV", "for the ice cream"):
        expect(order).to_contain_text(text)
    assert pool(node) == []
    page.get_by_role("button", name="Send 2.5 DEV").click()
    expect(page.locator(".badge.ready")).to_be_visible()
    page.evaluate("window.isTheSamePage = true")
    with mining(node.config.data, "instant"):
        expect(page.locator(".badge.confirmed")).to_be_visible()
        assert page.evaluate("window.isTheSamePage")
    page.goto(f"{node.url}/wallet")
    expect(page.get_by_role("row").filter(has_text="bob")).to_contain_text("1,002.5 DEV")


def test_the_keyboard_alone_sends_coins(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/wallet")

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if (
                page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()")
                == name
            ):
                return
        raise AssertionError(f"Tab does not lead to {name}")

    tab_to("Send")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{node.url}/wallet/send")
    tab_to("From")
    page.keyboard.type("bob")
    tab_to("To")
    page.keyboard.type("carol")
    tab_to("Amount in DEV")
    page.keyboard.type("7")
    tab_to("Go on")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Send 7 DEV?")
    tab_to("Send 7 DEV")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tx/*")
    (sent,) = pool(node)
    assert (sent["sender"], sent["receiver"]) == (address(node, "bob"), address(node, "carol"))


def test_a_double_click_and_a_reload_send_once(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    fill(page, node, to="bob", amount="3")
    page.get_by_role("button", name="Send 3 DEV").dblclick()
    page.wait_for_url("**/tx/*")
    page.reload()
    expect(page.locator(".badge.ready")).to_be_visible()
    assert len(pool(node)) == 1


def test_the_same_form_in_two_tabs_sends_once(node: RunningNode, new_page: NewPage) -> None:
    """The second tab sends what the first one has sent: as a copy of the tab does, or "back" and once more."""
    page = new_page()
    fill(page, node, to="bob", amount="3")
    copy = page.context.new_page()
    copy.goto(f"{node.url}/wallet/send")
    copy.set_content(page.content())
    for tab in (page, copy):
        tab.get_by_role("button", name="Send 3 DEV").click()
        tab.wait_for_url("**/tx/*")
    assert page.url == copy.url
    assert len(pool(node)) == 1


def shown_form(node: RunningNode, **fields: str) -> dict[str, str]:
    """The fields of a form as a browser would send it."""
    found = re.search(r'name="key" value="(page-[\w-]+)"', node.get("/wallet/send").body.decode())
    assert found
    return {"key": found[1], "sender": "alice", "to": "bob", "amount": "4", "memo": "", "speed": "normal", **fields}


def send_form(node: RunningNode, path: str, form: dict[str, str]) -> tuple[int, str]:
    """The status, and where it leads or what it shows."""
    answer = node.call("POST", path, urlencode(form).encode(), {**OWN, **FORM})
    return answer.status, answer.headers.get("location") or answer.body.decode()


def paying(node: RunningNode, form: dict[str, str]) -> dict[str, str]:
    """What the page that asks sends."""
    status, page = send_form(node, "/wallet/send", form)
    assert status == 200, page
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


def test_one_form_sends_once_and_two_forms_send_twice(node: RunningNode) -> None:
    first, second = (paying(node, shown_form(node)) for _ in range(2))
    places = {send_form(node, "/wallet/pay", each) for each in (first, second, first, first)}
    assert {status for status, _ in places} == {303}
    assert len(places) == 2
    assert sorted(each["sequence"] for each in pool(node)) == [0, 1]


def test_a_form_that_was_sent_says_so_and_sends_nothing_else(node: RunningNode) -> None:
    form = shown_form(node)
    asked = paying(node, form)
    _, place = send_form(node, "/wallet/pay", asked)
    status, page = send_form(node, "/wallet/send", form)
    assert status == 200
    assert "This was sent already" in page
    assert place in page
    status, page = send_form(node, "/wallet/pay", {**asked, "amount": "5"})
    assert status == 409
    assert "with other values" in page
    assert len(pool(node)) == 1


def test_a_memo_of_several_lines_is_sent_as_it_is_shown(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    fill(page, node, to=f"moneyer:{address(node, 'bob')}?amount=2&memo=a%0D%0Ab%00c")
    expect(page.locator(".order")).to_contain_text("a b c")
    page.get_by_role("button", name="Send 2 DEV").click()
    page.wait_for_url("**/tx/*")
    assert [each["memo"] for each in pool(node)] == ["a b c"]


def test_what_was_signed_and_did_not_arrive_is_sent_once_more_by_a_button(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("status of 503")
    page = new_page()
    fill(page, node, to="bob", amount="2", memo="<b>tea</b>")
    with children(Child(write_and_stay_inside, node.config.data, node.coin)) as (writer,):
        assert writer.hear() == "inside"
        page.get_by_role("button", name="Send 2 DEV").click()
        expect(page.get_by_role("alert").first).to_be_visible()
        writer.kill()
    assert pool(node) == []
    page.locator("#amount").fill("3")  # what was signed is what counts
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("h1")).to_have_text("This has not arrived yet")
    expect(page.locator("main")).to_contain_text("2 DEV to bob")
    check_axe(page)
    page.get_by_role("button", name="Send it once more").click()
    page.wait_for_url("**/tx/*")
    assert [(each["amount"], each["memo"]) for each in pool(node)] == [(2_000_000, "<b>tea</b>")]


def test_a_form_that_was_sent_before_a_restart_sends_once(node: RunningNode) -> None:
    asked = paying(node, shown_form(node))
    first = send_form(node, "/wallet/pay", asked)
    node.stop()
    node.start()
    node.wait_until_it_answers()
    assert send_form(node, "/wallet/pay", asked) == first
    assert len(pool(node)) == 1


@pytest.mark.parametrize("path", ["/wallet/send", "/wallet/pay", "/wallet/mine", "/wallet/contacts", "/wallet/mode"])
def test_no_other_site_sends_a_form(untouched: RunningNode, path: str) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {"Origin": "http://evil.example"}):
        answer = untouched.call("POST", path, b"key=page-0123456789abcdef", {**FORM, **headers})
        assert answer.status == 403


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b'{"key": "page-0123456789abcdef"}', 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        (FORM["Content-Type"], b"", 400),
        (FORM["Content-Type"], b"key=short", 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&to=a&to=b", 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&too=bob", 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&to=%ff", 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&to=\xff", 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&" + b"&".join(b"a%d=" % each for each in range(40)), 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&to=" + b"x" * 1_001, 400),
        (FORM["Content-Type"], b"key=page-0123456789abcdef&to=" + b"x" * 70_000, 413),
    ],
)
def test_what_no_form_of_these_pages_sends_is_refused_in_a_sentence(
    untouched: RunningNode, kind: str, body: bytes, status: int
) -> None:
    answer = untouched.call("POST", "/wallet/send", body, {**OWN, "Content-Type": kind})
    assert answer.status == status
    assert "<h1>That did not work</h1>" in answer.body.decode()


@pytest.mark.parametrize(
    ("fields", "where", "sentence"),
    [
        ({"amount": "1,5"}, "amount", "write the amount without a comma"),
        ({"amount": "-5"}, "amount", "the amount is below 0"),
        ({"amount": "0"}, "amount", "there is nothing to send"),
        ({"amount": ""}, "amount", "give an amount"),
        ({"amount": "1e5"}, "amount", "an amount is digits"),
        ({"amount": "0.0000001"}, "amount", "this coin has 6 decimals"),
        ({"amount": "1000.5"}, "amount", "0.5 DEV are missing: alice has 1000 DEV to spend"),
        ({"amount": "9" * 30}, "amount", "more than any coin can hold"),
        ({"to": ""}, "to", "say who gets the coins"),
        ({"to": "bbo"}, "to", "did you mean bob?"),
        ({"to": "dev1qcg37tqfzf2avyywtux8hg93gth47qcxtmu0n75h0msrq0aurzeqq5vlwf9"}, "to", "checksum"),
        ({"to": "<script>alert(1)</script>"}, "to", "there is no"),
        ({"memo": "é" * 71}, "memo", "142 bytes of UTF-8, at most 140"),
    ],
    ids=str,
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(
    untouched: RunningNode, new_page: NewPage, fields: dict[str, str], where: str, sentence: str
) -> None:
    page = new_page()
    new_page.expect("status of 422")
    typed = {"to": "bob", "amount": "1", "memo": "hello", **fields}
    fill(page, untouched, **typed)
    field = page.locator(f"#{where}")
    expect(page.locator(f"#{where}-problem")).to_contain_text(sentence)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    for name, value in typed.items():
        expect(page.locator(f"#{name}")).to_have_value(value)
    check_axe(page)
    assert pool(untouched) == []


def test_a_hostile_memo_is_text_on_the_way_and_sent_as_it_was_typed(node: RunningNode, new_page: NewPage) -> None:
    memo = "</dd><script>alert(1)</script>\u202etxt 👨\u200d👩"
    page = new_page()
    fill(page, node, to="bob", amount="1", memo=memo)
    expect(page.locator(".order")).to_contain_text("</dd><script>alert(1)</script>\\u202etxt")
    page.get_by_role("button", name="Send 1 DEV").click()
    page.wait_for_url("**/tx/*")
    assert [each["memo"] for each in pool(node)] == [memo]


def test_a_link_that_asks_for_coins_fills_the_form(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/wallet/receive?to={address(node, 'bob')}")
    page.get_by_label("Amount in DEV").fill("1.25")
    page.get_by_label("Memo").fill("tea & cake")
    page.get_by_role("button", name="Show the code").click()
    link = f"moneyer:{address(node, 'bob')}?amount=1.25&memo=tea%20%26%20cake"
    expect(page.locator("#uri")).to_contain_text(link)
    expect(page.get_by_role("img", name=re.compile("QR code")).first).to_be_visible()
    fill(page, node, to=link)
    expect(page.locator(".order")).to_contain_text("1.25 DEV")
    expect(page.locator(".order")).to_contain_text("tea & cake")


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("", 200, "Receive as alice"),
        ("amount=1.50", 200, "asks for 1.5 DEV."),
        ("memo=tea", 200, "with the memo"),
        ("memo=%3Cb%3E", 200, "\u201c&lt;b&gt;\u201d"),
        ("to=bob&amount=&memo=", 200, "Receive as bob"),
        ("amount=1,5", 422, "without a comma"),
        ("amount=-1", 422, "below 0"),
        ("memo=" + "x" * 141, 422, "140 bytes of UTF-8 at most"),
        ("to=nobody", 400, "That did not work"),
    ],
)
def test_a_code_to_receive_by_takes_what_is_asked_for(
    untouched: RunningNode, query: str, status: int, says: str
) -> None:
    answer = untouched.get(f"/wallet/receive?{query}")
    assert answer.status == status
    assert says in answer.body.decode()


def test_what_is_not_there_is_told_on_the_wallets_page(node: RunningNode) -> None:
    for job in ("0123456789", "../../etc"):
        assert node.get(f"/wallet?job={job}").status == 200
    status, page = send_form(node, "/wallet/contacts/remove", {"name": "<b>nobody</b>"})
    assert status == 422
    assert "there is no contact &lt;b&gt;nobody&lt;/b&gt;" in page
    for mode in ("", "sometimes", "interval"):
        assert send_form(node, "/wallet/mode", {"mode": mode, "seconds": ""})[0] == 422
    for blocks in ("0", "11", "-1", "x", "1e3", ""):
        assert send_form(node, "/wallet/mine", {"blocks": blocks})[0] == 400


def test_a_link_with_many_fields_is_read_and_the_first_of_a_name_counts(node: RunningNode) -> None:
    link = f"moneyer:{address(node, 'bob')}?amount=2&amount=300&" + "&".join(f"x{number}=1" for number in range(50))
    form = {"key": "page-0123456789abcdef", "sender": "alice", "to": link}
    answer = node.call("POST", "/wallet/send", urlencode(form).encode(), {**OWN, **FORM})
    assert answer.status == 200
    assert "Send 2 DEV?" in answer.body.decode()


def test_an_address_that_nobody_has_used_is_pointed_out(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    fill(page, node, to=key("stranger").address(node.coin), amount="1")
    expect(page.locator(".banner.warn")).to_contain_text("letter by letter")
    fill(page, node, to="bob", amount="1")
    expect(page.locator(".banner.warn")).to_have_count(0)


def test_contacts_and_accounts_are_made_and_used(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    new_page.expect("status of 422")
    page.goto(f"{node.url}/wallet")
    page.get_by_text("New contact").click()
    page.locator("#contact").fill("grandma")
    page.locator("#address").fill("dev1nonsense")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#address-problem")).to_be_visible()
    expect(page.locator("#contact")).to_have_value("grandma")
    page.locator("#address").fill(key("grandma").address(node.coin))
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="Send to grandma").click()
    page.locator("#amount").fill("1")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".order")).to_contain_text("grandma")
    page.goto(f"{node.url}/wallet")
    page.get_by_role("button", name="Forget grandma").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_text("New account").click()
    page.locator("#account").fill("savings")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("row").filter(has_text="savings")).to_contain_text("0 DEV")
    page.get_by_text("New account").click()
    page.locator("#account").fill("<b>savings</b>")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#account-problem")).to_contain_text("neither letter nor digit")
    expect(page.locator("#account")).to_have_value("<b>savings</b>")


def test_blocks_are_mined_by_a_button_and_the_mode_is_switched(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/wallet")
    expect(page.get_by_text("No worker runs beside this node")).to_be_visible()
    with mining(node.config.data, "demand"):
        wait_until(lambda: node.get("/v1/mining").json["worker"]["alive"], 30, "the worker to begin")
        page.reload()
        page.get_by_role("button", name="Mine 5 blocks").click()
        expect(page.locator("#live .card", has_text="5 of 5")).to_contain_text("done")
        assert node.height == 5
        page.get_by_label("When it mines").select_option("interval")
        page.get_by_label("Seconds between").fill("86400")
        page.get_by_role("button", name="Switch").click()
        expect(page.get_by_role("button", name="Mine 5 blocks")).to_have_count(0)
        assert node.get("/v1/mining").json["mode"] == "interval 86400"
        new_page.expect("status of 422")
        page.get_by_label("Seconds between").fill("-1")
        page.get_by_role("button", name="Switch").click()
        expect(page.locator("#mode-problem")).to_be_visible()


def test_without_javascript_all_of_it_works(node: RunningNode, new_page: NewPage) -> None:
    page = new_page(javascript=False)
    fill(page, node, to="bob", amount="2")
    page.get_by_role("button", name="Send 2 DEV").click()
    page.wait_for_url("**/tx/*")
    assert len(pool(node)) == 1


def test_a_disk_that_takes_nothing_sends_nothing_and_says_so(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    new_page.expect("status of 503")
    fill(page, node, to="bob", amount="2")
    (node.config.data / "sent").write_text("a file where a folder belongs")
    page.get_by_role("button", name="Send 2 DEV").click()
    expect(page.get_by_role("alert").first).to_contain_text("nothing was written")
    expect(page.locator("#amount")).to_have_value("2")
    assert pool(node) == []
    (node.config.data / "sent").unlink()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Send 2 DEV").click()
    page.wait_for_url("**/tx/*")
    assert len(pool(node)) == 1


def test_a_damaged_file_of_contacts_is_named_and_hides_nothing_else(node: RunningNode, new_page: NewPage) -> None:
    (node.config.data / "contacts.json").write_text("{")
    page = new_page()
    page.goto(f"{node.url}/wallet")
    expect(page.locator(".banner.bad").last).to_contain_text("contacts.json is damaged")
    expect(page.get_by_role("row").filter(has_text="alice")).to_be_visible()


def test_a_locked_wallet_says_so_and_how_to_unlock_it(tmp_path: Path, new_page: NewPage) -> None:
    folder = tmp_path / "node"
    write_wallet(folder, PASSPHRASE)
    page = new_page()
    with own_node(folder) as node, closing(new_page):
        page.goto(node.post("/v1/sessions", headers=node.bearer).json["url"])
        page.wait_for_url("**/wallet")
        expect(page.locator(".banner.warn")).to_contain_text("The wallet is locked")
        expect(page.locator(".banner.warn")).to_contain_text("--passphrase-file")
        expect(page.get_by_role("link", name="Send", exact=True)).to_have_count(0)
        expect(page.locator("input[type=password]")).to_have_count(0)
        check_axe(page)


def test_the_pages_fit_and_axe_finds_nothing(node: RunningNode, new_page: NewPage) -> None:
    with mining(node.config.data, "demand"):
        wait_until(lambda: node.get("/v1/mining").json["worker"]["alive"], 30, "the worker to begin")
        for size, dark in (*LOOKS, ((740, 360), False)):
            page = new_page(*size, dark=dark)
            for path in ("/wallet", "/wallet/send", "/wallet/receive?amount=1.5&memo=tea", "/signin"):
                page.goto(f"{node.url}{path}")
                check_fits(page)
                check_axe(page)
            fill(page, node, to=key("stranger").address(node.coin), amount="1", memo="x" * 140)
            check_fits(page)
            check_axe(page)
