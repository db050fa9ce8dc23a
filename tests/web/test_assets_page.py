"""Assets and contracts on the explorer's pages: terms, holders, policies; and a file that the browser checks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.core import codec
from moneyer.node.core.policy import AfterHeight, Hash, Policy, Threshold
from moneyer.node.core.policy import Key as KeyLeaf
from moneyer.node.core.types import Payment
from tests.kit.browser import LOOKS, NewPage, check_axe, check_fits
from tests.kit.chains import burn, contract, issue, key, meet, mint, pay, transfer
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, rich_coin, running

COIN = rich_coin(rules=2)
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""
NAME = "Concert \u202eyadnoM\u2066 <img src=x onerror=alert(1)>"
MADE = issue(
    *(COIN, ALICE, 10_000, 15_000),
    symbol=b"TICKET",
    name=NAME.encode(),
    decimals=2,
    content=hashlib.sha256(PICTURE).digest(),
)
TICKET = codec.asset_id(COIN.chain_id, MADE)
LIKE_COIN = issue(COIN, BOB, 5, 5, symbol=b"EASY", name=b"Easy Coin", receiver=CAROL)
EASY = codec.asset_id(COIN.chain_id, LIKE_COIN)
MANY = key("many")
"""Whose address gets more assets than a page shows."""
PLAIN = b"no picture"
POLICY: Policy = Threshold(
    1,
    (
        Threshold(2, tuple(KeyLeaf(each.payload[1:]) for each in (ALICE, BOB, CAROL))),
        Threshold(2, (KeyLeaf(MANY.payload[1:]), AfterHeight(5_000))),
        Threshold(2, (KeyLeaf(key("miner").payload[1:]), Hash(hashlib.sha256(bytes(32)).digest()))),
    ),
)
SHARED = contract(POLICY)
SPEND = meet(COIN, Payment(SHARED, 9, 0, b"rent", b"", CAROL.payload, TICKET, 150), POLICY, [0, 2], [ALICE, CAROL])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Every kind of transaction, an asset that is called like the coin, a contract that has spent, and dust."""
    with running(tmp_path_factory.mktemp("assets") / "node", COIN) as each:
        each.extend(transfers=[MADE, LIKE_COIN])
        each.extend(
            transfers=[
                pay(COIN, ALICE, BOB, 3_050, TICKET, 1, 1),
                mint(COIN, ALICE, TICKET, 2_000, receiver=CAROL, fee=1, sequence=2),
                pay(COIN, ALICE, SHARED, 1_000, TICKET, 1, 3),
                transfer(COIN, ALICE, SHARED, 1_000_000, 1, 4),
                burn(COIN, BOB, TICKET, 50, sequence=1),
            ]
        )
        each.extend(transfers=[SPEND])
        dust = [issue(COIN, BOB, 1, 1, receiver=MANY, symbol=b"DUST", sequence=2 + i) for i in range(55)]
        each.extend(transfers=dust)
        yield each


def txids(node: RunningNode, height: int) -> list[str]:
    return [each["txid"] for each in node.get(f"/v1/blocks/{height}/transactions").json["transactions"]]


def paths_of(node: RunningNode) -> list[str]:
    second = txids(node, 2)
    return [
        *("/assets", "/assets?symbol=dust", f"/assets/{TICKET.hex()}", f"/assets/{EASY.hex()}", "/block/2"),
        f"/address/{COIN.address(SHARED)}",
        f"/address/{MANY.address(COIN)}",
        f"/tx/{txids(node, 1)[1]}",
        f"/tx/{second[1]}",
        f"/tx/{second[5]}",
        f"/tx/{txids(node, 3)[1]}",
    ]


@pytest.mark.parametrize(("size", "dark"), LOOKS)
def test_every_page_fits_reads_well_and_is_open_to_all(
    node: RunningNode, new_page: NewPage, size: tuple[int, int], dark: bool
) -> None:
    page = new_page(*size, dark=dark)
    for path in paths_of(node):
        page.goto(node.url + path)
        check_fits(page)
        check_axe(page)
        assert page.locator("h1").count() == 1, path
        assert "None" not in page.locator("body").inner_text().split(), path


def test_an_asset_shows_its_terms_its_holders_and_its_history(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/assets/{TICKET.hex()}")
    facts = page.locator(".facts")
    for text in ("There is\n119.5", "Minted\n120", "of 150 at most", "Burned\n0.5", "Room\n30"):
        expect(facts).to_contain_text(text.partition("\n")[2] or text)
    holders = page.get_by_role("table", name="Holders").get_by_role("row")
    expect(holders.nth(1)).to_contain_text("59.5")
    expect(page.get_by_role("table", name="History").get_by_role("row")).to_have_count(7)
    expect(page.get_by_role("table", name="History")).to_contain_text(f"30.5 TICKET {TICKET.hex()[:8]}…")
    assert r"Concert \u202eyadnoM\u2066 <img src=x onerror=alert(1)>" in page.locator("main").inner_text()
    assert "\u202e" not in page.content()


def test_an_asset_that_is_called_like_the_coin_says_that_it_is_none(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/assets/{EASY.hex()}")
    expect(page.get_by_text("This is not the coin.")).to_be_visible()
    page.goto(f"{node.url}/assets/{TICKET.hex()}")
    expect(page.get_by_text("This is not the coin.")).to_have_count(0)


def test_assets_are_listed_by_pages_and_by_symbol(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(node.url)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Assets").click()
    rows = page.get_by_role("table", name="Assets").locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(7)
    page.get_by_label("Symbol", exact=True).fill("ticket")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("119.5")


def test_what_an_address_holds_is_paged(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/address/{MANY.address(COIN)}")
    rows = page.get_by_role("table", name="Assets").locator("tbody tr")
    expect(rows).to_have_count(20)
    page.get_by_role("link", name="More").click()
    expect(page).to_have_url(f"{node.url}/address/{MANY.address(COIN)}?after=22#assets")
    expect(rows).to_have_count(20)
    page.get_by_role("link", name="More").click()
    expect(rows).to_have_count(15)


def test_a_contract_that_has_spent_shows_its_policy_and_a_spend_what_of_it_was_met(
    node: RunningNode, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{node.url}/address/{COIN.address(SHARED)}")
    tree = page.locator(".policy-tree")
    expect(tree.locator(".is-key")).to_have_count(5)
    expect(tree.locator(".is-after_height")).to_contain_text("from block 5000 on to come")
    expect(page.locator(".opens")).to_contain_text("from block 5000 on (in about")
    expect(tree.locator(".named")).to_have_count(0)
    page.goto(f"{node.url}/tx/{txids(node, 3)[1]}")
    expect(tree.locator(".named")).to_have_count(2)
    expect(tree.locator(".named").first).to_contain_text("signed")
    expect(page.locator("h1")).to_contain_text("Payment of 1.5 TICKET")
    page.goto(f"{node.url}/address/{CAROL.address(COIN)}")
    expect(tree).to_have_count(0)


def test_the_lesson_judges_a_contracts_spend_of_the_own_chain(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{node.url}/learn/policy")
    expect(page.locator("#own-verdict")).to_contain_text("Exactly enough")
    expect(page.locator("#own-tree .named")).to_have_count(2)


def test_an_issue_shows_the_terms_of_its_asset_before_it_is_in_a_block(node: RunningNode, new_page: NewPage) -> None:
    waiting = issue(COIN, CAROL, 7, 70, symbol=b"SOON", decimals=1, fee=5)
    raw = codec.encode_transaction(waiting).hex()
    txid = node.post("/v1/transactions", {"raw": raw}).json["txid"]
    page = new_page()
    page.goto(f"{node.url}/tx/{txid}")
    expect(page.locator("h1")).to_contain_text("Issue of 0.7 SOON")
    expect(page.get_by_role("region", name="The asset that it makes")).to_contain_text("At most7what")
    new_page.expect("404")
    page.goto(f"{node.url}/assets/{codec.asset_id(COIN.chain_id, waiting).hex()}")
    expect(page.locator("main")).to_contain_text("the main chain has no asset of this id")


def choose(page: Page, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.get_by_label("File").set_input_files(file)  # type: ignore[arg-type]


@pytest.mark.parametrize("has_subtle", [True, False])
def test_a_chosen_file_is_checked_and_shown_and_never_leaves_the_browser(
    node: RunningNode, new_page: NewPage, has_subtle: bool
) -> None:
    page = new_page()
    if not has_subtle:  # as on plain http beyond localhost
        page.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined })")
    methods: list[str] = []
    page.on("request", lambda request: methods.append(request.method))
    page.goto(f"{node.url}/assets/{TICKET.hex()}")
    told, picture = page.locator("#content-told"), page.locator("#content-picture")
    choose(page, "poster.png", PLAIN)
    expect(told).to_contain_text(f"another file: its SHA-256 is {hashlib.sha256(PLAIN).hexdigest()}")
    expect(picture).to_be_hidden()
    choose(page, "whatever.exe", PICTURE)
    expect(told).to_contain_text("It is the one")
    expect(picture).to_be_visible()
    assert set(methods) <= {"GET"}
    choose(page, "poster.png", PLAIN)
    expect(picture).to_be_hidden()


def test_the_search_finds_an_asset_by_its_id_and_by_its_symbol(node: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    for text in (TICKET.hex(), TICKET.hex()[:10].upper(), "ticket"):
        page.goto(f"{node.url}/search?q={text}")
        expect(page).to_have_url(f"{node.url}/assets/{TICKET.hex()}")
    page.goto(f"{node.url}/search?q=DUST")
    expect(page.locator(".found li")).to_have_count(10)
    expect(page.locator(".found li").first).to_contain_text("Asset DUST in block 4")


def test_a_coin_of_rules_1_has_no_page_of_assets_and_says_why(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("old") / "node", rich_coin()) as node:
        assert b'href="/assets"' not in node.get("/", {"Accept": "text/html"}).body
        answer = node.get("/assets", {"Accept": "text/html"})
        assert answer.status == 404
        assert b"there are assets under rules 2 only" in answer.body
        found = node.get("/v1/search?q=TICKET").json
        assert not any("asset" in each for each in found["looked_for"])
