"""What moves an asset is told in its units by every reader of transactions, and never as coins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.client.client import Client, least_fee, next_block_fee
from moneyer.node.core import codec
from tests.kit.chains import burn, issue, key, mint, pay
from tests.kit.running import ALICE, BOB, RICH, RunningNode, rich_coin, running

AMOUNT = 7_000_000
"""Units: shown as coins it would be 7 of them."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Its block 1 has one of each version."""
    with running(tmp_path_factory.mktemp("shown") / "data", rich_coin(rules=2)) as made:
        coin = made.coin
        new = issue(coin, ALICE, AMOUNT, AMOUNT + 5, name="Party\u202e<b>".encode(), fee=10)
        asset = codec.asset_id(coin.chain_id, new)
        made.extend(
            transfers=[
                new,
                mint(coin, ALICE, asset, 5, sequence=1, fee=10),
                pay(coin, ALICE, BOB, 3, asset, sequence=2, fee=10),
                pay(coin, ALICE, BOB, 1_000_000, sequence=3, fee=10),
                burn(coin, BOB, asset, 2, fee=10),
            ]
        )
        yield made


def test_the_tutorials_chain_sums_to_coins_and_has_the_units_beside(node: RunningNode) -> None:
    _, *moved = node.get("/get_chain").json["chain"][1]["transactions"]
    asset = moved[0]["asset"]
    assert [(each["amount"], each.get("units"), each.get("asset")) for each in moved] == [
        (0, AMOUNT, asset),
        (0, 5, asset),
        (0, 3, asset),
        (1, None, None),
        (0, 2, asset),
    ]
    assert moved[4]["receiver"] == "burned"
    assert [each["fee"] for each in moved] == [0.00001] * 5


@pytest.mark.parametrize("path", ["/", "/mempool", "/blocks", "/block/1", "/address/ALICE", "/address/BOB"])
def test_pages_show_units_of_an_asset(node: RunningNode, path: str) -> None:
    for name, who in (("ALICE", ALICE), ("BOB", BOB)):
        path = path.replace(name, who.address(node.coin))
    answer = node.get(path)
    assert answer.status == 200
    assert "\u202e" not in answer.body.decode()
    assert b"7 EASY" not in answer.body
    if path.startswith(("/block/", "/address")):
        assert b"1 EASY" in answer.body


def test_each_transaction_has_its_page_and_its_bytes_by_field(node: RunningNode) -> None:
    _, *moved = node.get("/v1/blocks/1").json["transactions"]
    for each in moved:
        answer = node.get(f"/tx/{each['txid']}")
        assert answer.status == 200
        page = answer.body.decode()
        assert "7 EASY" not in page
        assert each["witness"] in page
        assert (each["asset"] or "1 EASY") in page


def test_a_balance_over_time_counts_coins_alone(node: RunningNode) -> None:
    import msgspec

    from moneyer.node.api.shapes.v1 import History
    from moneyer.node.web.explorer.account_pages import balances

    for who in (ALICE, BOB):
        address = who.address(node.coin)
        answer = node.get(f"/v1/accounts/{address}/transactions")
        found = msgspec.json.decode(answer.body, type=History).transactions
        now = node.get(f"/v1/accounts/{address}").json["balance"]
        values = [value for _, value in balances(address, now, found)]
        assert values[0] == 0
        assert RICH in values


def test_a_client_issues_pays_mints_and_burns(tmp_path: Path) -> None:
    with running(tmp_path / "data", rich_coin(rules=2), min_fee=3) as node:
        client, coin = Client(node.url), node.coin

        def confirm() -> None:
            waiting = codec.decode_spends(node.get("/p2p/mempool").body)
            node.extend(transfers=sorted(waiting, key=lambda each: (each.sender, each.sequence)))

        sent = client.issue(ALICE.secret, "SAND", "Sand", "1.50", max_supply=400, decimals=2, memo="m" * 140)
        assert sent.transfer.fee == 3
        asset = client.asset_id(sent)
        confirm()
        assert client.asset(asset)["minted"] == 150
        client.pay(ALICE.secret, BOB.address(coin), "0.25", asset=asset)
        client.pay(ALICE.secret, key("carol").address(coin), "2")
        client.mint(ALICE.secret, asset, 250, receiver=BOB.payload)
        confirm()
        client.burn(BOB.secret, asset, "0.05")
        confirm()
        assert [each["amount"] for each in client.account_assets(BOB.address(coin))] == [270]
        assert client.asset(asset)["burned"] == 5
        assert client.account(key("carol").address(coin))["balance"] == RICH + 2_000_000


def test_the_least_fee_is_asked_for_each_512_bytes_that_are_begun() -> None:
    assert [least_fee(3, size) for size in (1, 296, 512, 513, 1024, 4_968)] == [3, 3, 3, 6, 6, 30]
    assert next_block_fee([], 0, 600, max_block_bytes=10_000, least=3) == 6
