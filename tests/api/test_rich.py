"""`GET /v1/rich`: the largest accounts, as they stand at the tip."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.chains import key, transfer
from tests.kit.running import ALICE, BOB, CAROL, RICH, RunningNode

pytestmark = pytest.mark.both_databases


def balances(node: RunningNode, query: str = "") -> list[tuple[str, int]]:
    return [(each["address"], each["balance"]) for each in node.get(f"/v1/rich{query}").json["accounts"]]


def test_the_largest_accounts_come_first_with_their_share(fresh: RunningNode) -> None:
    fresh.extend(transfers=[fresh.chain.transfer(ALICE, BOB, 1_000, 7)])
    fresh.extend(transfers=[fresh.chain.transfer(ALICE, CAROL, 500_000, 0)])
    found: Any = fresh.get("/v1/rich").json
    issued = fresh.coin.issued(2)
    assert found["issued"] == issued
    assert found["accounts_count"] == 4
    wanted = [(who, fresh.chain.account(who)) for who in (CAROL, BOB, ALICE, key("miner"))]
    assert [(each["address"], each["balance"], each["sequence"], each["share"]) for each in found["accounts"]] == [
        (who.address(fresh.coin), state.balance, state.sequence, state.balance * 1_000_000 // issued)
        for who, state in wanted
    ]
    assert sum(each["balance"] for each in found["accounts"]) == issued


def test_an_emptied_account_is_in_no_list_and_a_reorg_brings_it_back(fresh: RunningNode) -> None:
    fresh.extend(transfers=[fresh.chain.transfer(ALICE, BOB, RICH)])
    assert [who for who, _ in balances(fresh, "?limit=2")] == [who.address(fresh.coin) for who in (BOB, CAROL)]
    assert ALICE.address(fresh.coin) not in dict(balances(fresh))
    side = fresh.chain.branch(0, "side")
    side.grow(2, receiver=key("other"))
    fresh.take(side)
    assert dict(balances(fresh)) == {
        **{who.address(fresh.coin): RICH for who in (ALICE, BOB, CAROL)},
        key("other").address(fresh.coin): fresh.coin.issued(2) - 3 * RICH,
    }


def test_the_list_is_as_long_as_it_is_asked_to_be(fresh: RunningNode) -> None:
    people = [key(f"receiver {number}") for number in range(110)]
    sent = [transfer(fresh.coin, ALICE, who, 1 + number, 0, number) for number, who in enumerate(people)]
    fresh.extend(transfers=sent)
    assert len(balances(fresh)) == 20
    assert len(balances(fresh, "?limit=100")) == 100
    amounts = [amount for _, amount in balances(fresh, "?limit=100")]
    assert amounts == sorted(amounts, reverse=True)
    assert balances(fresh, "?limit=3") == balances(fresh)[:3]


@pytest.mark.parametrize("limit", ["0", "101", "-3", "many"])
def test_a_limit_that_is_none_is_refused(node: RunningNode, limit: str) -> None:
    answer = node.get(f"/v1/rich?limit={limit}")
    assert answer.status == 400
    assert "limit" in answer.json["error"]["message"]
