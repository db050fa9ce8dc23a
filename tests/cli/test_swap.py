"""`moneyer swap` between two coins, over four real nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.two_coins import TwoCoins, two_coins
from tests.kit.running import RICH

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCoins]:
    with two_coins(tmp_path_factory.mktemp("swap")) as both:
        yield both


def test_a_swap_from_the_offer_to_its_end(coins: TwoCoins) -> None:
    offer = coins.offered("10", "25")
    swap_id = offer["id"]
    assert coins.step("alice", swap_id) == "answer"
    answer = coins.taken(offer)
    assert coins.step("bob", swap_id) == "wait"
    paid = coins.ask("alice", "take", answer["line"], "--yes")
    assert paid["sent"]["kind"] == "pay"
    coins.shore.wait_for(paid["sent"]["txid"])
    assert coins.step("bob", swap_id) == "wait"  # it is in no block yet
    coins.shore.mine()
    assert coins.go("bob", swap_id)["sent"]["kind"] == "pay"
    assert coins.step("alice", swap_id) == "wait"
    coins.moon.mine()
    assert coins.go("alice", swap_id)["sent"]["kind"] == "claim"
    assert coins.go("bob", swap_id)["sent"]["kind"] == "claim"  # the secret is in the mempool
    coins.mine()
    assert coins.step("alice", swap_id) == coins.step("bob", swap_id) == "done"
    assert coins.shore.balance("alice") == RICH - 10_000_000 - 1
    assert coins.moon.balance("alice") == RICH + 25_000_000 - 1
    assert coins.moon.balance("bob") == RICH - 25_000_000 - 1
    assert coins.shore.balance("bob") == RICH + 10_000_000 - 1
