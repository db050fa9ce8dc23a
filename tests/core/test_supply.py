"""What is issued: never over the supply, and the sum of what each block mints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.core.coin import Coin
from moneyer.node.core.types import MAX_MONEY
from tests.core.strategies import coins
from tests.kit.chains import easy_coin


@given(coins(), st.integers(0, 2**32 - 1))
def test_what_is_issued_is_the_premine_and_every_subsidy_and_never_over_the_supply(coin: Coin, height: int) -> None:
    assert coin.issued(0) == coin.premine_sum
    assert coin.premine_sum <= coin.issued(height) <= coin.max_supply <= MAX_MONEY
    assert coin.subsidy(height) == (coin.issued(height) - coin.issued(height - 1) if height else 0)
    assert 0 <= coin.subsidy(height) <= coin.reward


@given(st.integers(0, 40), st.integers(0, 6), st.integers(0, 200), st.integers(1, 60))
def test_what_is_issued_is_the_sum_written_out(reward: int, interval: int, max_supply: int, height: int) -> None:
    coin = easy_coin(reward=reward, halving_interval=interval, max_supply=max_supply)
    scheduled = [reward >> ((h - 1) // interval) if interval else reward for h in range(1, height + 1)]
    assert coin.issued(height) == min(max_supply, sum(scheduled))
    assert sum(coin.subsidy(h) for h in range(height + 1)) == coin.issued(height)
