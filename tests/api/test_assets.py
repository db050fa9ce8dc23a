"""`/v1/assets` and what accounts hold, over HTTP and by the client: pages, an undone issue, 10,000 assets as dust."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from moneyer.node.client.client import Client
from moneyer.node.client.errors import Refused
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import burn, issue, key, mint, pay
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, rich_coin, running

pytestmark = pytest.mark.both_databases

COIN = rich_coin(rules=2)
NAME = "EASY \u202ecoin\u2067 🎟"
"""Of an asset that would be taken for the coin, and turns what follows it round."""
MADE = issue(COIN, ALICE, 100, 150, symbol=b"EASY", name=NAME.encode(), content=b"p" * 32, decimals=2)
EASY = codec.asset_id(COIN.chain_id, MADE).hex()
DUST = 10_000
MANY = key("many")
"""Whose address gets dust."""


@pytest.fixture(scope="module")
def node(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """One asset with a history, and 10,000 of which BOB sent one unit each to `MANY`."""
    with running(tmp_path_factory.mktemp("assets") / "node", COIN) as each:
        each.extend(transfers=[MADE, pay(COIN, ALICE, BOB, 30, bytes.fromhex(EASY), 1, 1)])
        each.extend(transfers=[mint(COIN, ALICE, bytes.fromhex(EASY), 20, receiver=CAROL, fee=1, sequence=2)])
        each.extend(transfers=[burn(COIN, BOB, bytes.fromhex(EASY), 10)])
        for start in range(0, DUST, 2_500):
            spends = [
                issue(COIN, BOB, 1, 1, receiver=MANY, symbol=b"DUST", name=b"%d" % number, sequence=1 + number)
                for number in range(start, start + 2_500)
            ]
            each.extend(transfers=spends)
        yield each


def pages(node: RunningNode, path: str, key: str, cursor: str = "before") -> list[list[Any]]:
    """Every page of a list."""
    found, mark = [], ""
    while True:
        page = node.get(f"{path}{'&' if '?' in path else '?'}{mark}").json
        found.append(page[key])
        if page["next"] is None:
            return found
        mark = f"{cursor}={page['next']}"


def test_an_asset_has_its_terms_what_became_of_it_and_the_transaction_that_issued_it(node: RunningNode) -> None:
    assert node.get(f"/v1/assets/{EASY}").json == {
        "id": EASY,
        "issuer": ALICE.address(COIN),
        "symbol": "EASY",
        "name": NAME,
        "decimals": 2,
        "content": (b"p" * 32).hex(),
        "max_supply": 150,
        "minted": 120,
        "burned": 10,
        "height": 1,
        "txid": show(codec.txid(MADE)),
        "timestamp": node.chain.blocks[1].header.timestamp,
    }
    assert node.get(f"/v1/assets/{EASY.upper()}").json["id"] == EASY


def test_assets_come_newest_first_by_issuer_and_by_symbol(node: RunningNode) -> None:
    first = node.get("/v1/assets?limit=3").json
    assert [each["name"] for each in first["assets"]] == ["9999", "9998", "9997"]
    following = node.get(f"/v1/assets?limit=2&before={first['next']}").json
    assert [each["name"] for each in following["assets"]] == ["9996", "9995"]
    alices = node.get(f"/v1/assets?issuer={ALICE.address(COIN)}").json
    assert [each["id"] for each in alices["assets"]] == [EASY]
    assert alices["next"] is None
    assert [each["id"] for each in node.get("/v1/assets?symbol=EASY").json["assets"]] == [EASY]
    assert node.get(f"/v1/assets?symbol=DUST&issuer={ALICE.address(COIN)}").json == {"assets": [], "next": None}
    assert sum(map(len, pages(node, "/v1/assets?symbol=DUST&limit=1000", "assets"))) == DUST


def test_holders_come_largest_first_page_by_page(node: RunningNode) -> None:
    wanted = [{"address": who.address(COIN), "amount": amount} for who, amount in ((ALICE, 70), (CAROL, 20), (BOB, 20))]
    whole = node.get(f"/v1/assets/{EASY}/holders").json
    assert whole["next"] is None
    assert [each["amount"] for each in whole["holders"]] == [70, 20, 20]
    assert sorted(map(str, whole["holders"])) == sorted(map(str, wanted))
    one_by_one = pages(node, f"/v1/assets/{EASY}/holders?limit=1", "holders")
    assert [each for page in one_by_one for each in page] == whole["holders"]


def test_the_transactions_of_an_asset_are_all_that_touched_it_newest_first(node: RunningNode) -> None:
    found = [each for page in pages(node, f"/v1/assets/{EASY}/transactions?limit=3", "transactions") for each in page]
    assert [each["kind"] for each in found] == ["burn", "mint", "payment", "issue"]
    assert {each["asset"] for each in found} == {EASY}
    assert found[-1]["confirmations"] == node.chain.height


def test_ten_thousand_assets_of_one_address_are_paged_and_its_account_does_not_grow(node: RunningNode) -> None:
    address = MANY.address(COIN)
    account = node.get(f"/v1/accounts/{address}")
    assert account.json["balance"] == account.json["sequence"] == 0
    assert len(account.json["assets"]) == 20
    assert account.json["more"] is True
    assert len(account.body) < 5_000
    first = node.get(f"/v1/accounts/{address}/assets?limit=25").json
    assert first["assets"][:20] == account.json["assets"]
    held = pages(node, f"/v1/accounts/{address}/assets?limit=1000", "assets", "after")
    assert [len(page) for page in held] == [1_000] * 10
    assert len({each["asset"] for page in held for each in page}) == DUST
    assert held[0][0] == {"asset": held[0][0]["asset"], "symbol": "DUST", "decimals": 0, "amount": 1}


def test_an_account_with_few_assets_has_all_of_them_in_its_answer(node: RunningNode) -> None:
    found = node.get(f"/v1/accounts/{BOB.address(COIN)}").json
    assert found["assets"] == [{"asset": EASY, "symbol": "EASY", "decimals": 2, "amount": 20}]
    assert found["more"] is False
    nobody = node.get(f"/v1/accounts/{key('nobody').address(COIN)}").json
    assert (nobody["assets"], nobody["more"]) == ([], False)


def test_the_client_walks_every_list(node: RunningNode) -> None:
    client = Client(node.url)
    assert client.asset(EASY)["name"] == NAME
    assert [each["id"] for each in client.assets(issuer=ALICE.address(COIN))] == [EASY]
    assert len(list(client.assets(symbol="DUST", limit=250))) == 250
    assert [each["amount"] for each in client.holders(EASY)] == [70, 20, 20]
    assert [each["kind"] for each in client.asset_transactions(EASY, 2)] == ["burn", "mint"]
    assert len({each["asset"] for each in client.account_assets(MANY.address(COIN))}) == DUST
    with pytest.raises(Refused, match="no asset of this id"):
        client.asset("00" * 32)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/assets/{}", "bad_field"),
        ("/v1/assets/ab", "bad_field"),
        ("/v1/assets/{}/holders?before=1", "bad_field"),
        ("/v1/assets/{}/holders?before=1.2.3", "bad_field"),
        ("/v1/assets/{}/transactions?before=x", "bad_field"),
        ("/v1/assets?before=-1", "bad_field"),
        ("/v1/assets?limit=0", "bad_field"),
        ("/v1/assets?limit=1001", "bad_field"),
        ("/v1/assets/{}/holders?limit=501", "bad_field"),
        ("/v1/assets?symbol=easy", "bad_field"),
        ("/v1/assets?issuer=abc", "bad_address"),
        ("/v1/accounts/abc/assets", "bad_address"),
        ("/v1/accounts/{a}/assets?after=1e9", "bad_field"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_field(node: RunningNode, path: str, code: str) -> None:
    wrong = EASY + "0" if path == "/v1/assets/{}" else EASY
    answer = node.get(path.format(wrong, a=ALICE.address(COIN)))
    assert (answer.status, answer.code) == (400, code)


def test_an_asset_that_a_reorg_undid_is_not_found_and_its_holders_hold_none(tmp_path: Any) -> None:
    with running(tmp_path / "node", COIN) as node:
        node.extend(transfers=[MADE, pay(COIN, ALICE, BOB, 30, bytes.fromhex(EASY), 1, 1)])
        assert node.get(f"/v1/assets/{EASY}").status == 200
        kept = node.get(f"/v1/accounts/{BOB.address(COIN)}").json["assets"]
        assert [each["amount"] for each in kept] == [30]
        side = node.chain.branch(0, "side")
        side.grow(2)
        node.take(side)
        for what in ("", "/holders", "/transactions"):
            answer = node.get(f"/v1/assets/{EASY}{what}")
            assert (answer.status, answer.code) == (404, "not_found")
            assert "left by a reorg" in answer.json["error"]["message"]
        assert node.get(f"/v1/accounts/{BOB.address(COIN)}").json["assets"] == []
        assert node.get("/v1/assets").json == {"assets": [], "next": None}


def test_a_coin_of_rules_1_has_no_assets_and_its_accounts_are_as_ever(tmp_path: Any) -> None:
    coin = rich_coin()
    with running(tmp_path / "node", coin) as node:
        address = ALICE.address(coin)
        for path in (
            *("/v1/assets", f"/v1/assets/{EASY}", f"/v1/assets/{EASY}/holders", f"/v1/assets/{EASY}/transactions"),
            f"/v1/accounts/{address}/assets",
        ):
            answer = node.get(path)
            assert (answer.status, answer.code) == (404, "not_found")
            assert "has rules 1" in answer.json["error"]["message"]
        assert set(node.get(f"/v1/accounts/{address}").json) == {"address", "balance", "sequence", "pending"}
