"""How a connection's difficulty follows its miner: a pure unit, with simulated time and a seeded chance."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from moneyer.worker.stratum.protocol import HASHES_OF_1
from moneyer.worker.stratum.vardiff import FLOOR, SPACING, STEP, Vardiff

HOUR = 3600.0


@dataclass
class Simulated:
    """A miner and the server's look at it, once a second. A server takes a hundred shares a second from it at most."""

    vardiff: Vardiff
    hashrate: float
    chance: random.Random
    now: float = 0.0
    shares: int = 0
    changes: list[tuple[float, float]] = field(default_factory=list)
    """When, and to which difficulty."""

    @property
    def right(self) -> float:
        return self.hashrate * SPACING / HASHES_OF_1

    def run(self, until: float, cap: float | None = None) -> None:
        """`cap`: the difficulty of a block, above which no share is."""
        due = self.now + self._gap(cap)
        look = float(int(self.now) + 1)
        while min(due, look) < until:
            self.now = min(due, look)
            vardiff = self.vardiff
            if look <= due:
                changed, look = vardiff.look(self.now), look + 1
            else:
                self.shares += 1
                credit = vardiff.difficulty if cap is None else min(cap, vardiff.difficulty)
                changed = vardiff.share(credit, vardiff.stretch, self.now)
                due = self.now + self._gap(cap)
            if changed:
                self.changes.append((self.now, vardiff.difficulty))
                due = self.now + self._gap(cap)
        self.now = until

    def _gap(self, cap: float | None) -> float:
        difficulty = self.vardiff.difficulty if cap is None else min(cap, self.vardiff.difficulty)
        return max(0.01, self.chance.expovariate(self.hashrate / (difficulty * HASHES_OF_1)))


@pytest.mark.parametrize("hashrate", [1e5, 2e7, 5e11, 1e14])
@pytest.mark.parametrize("start", [1e-6, 0.01, 1e4])
def test_every_miner_comes_to_a_share_every_few_seconds_and_stays_there(hashrate: float, start: float) -> None:
    miner = Simulated(Vardiff(start, 0), hashrate, random.Random(7))
    miner.run(1200)
    begun = miner.shares
    miner.run(HOUR)
    assert SPACING / 2 < 2400 / (miner.shares - begun) < SPACING * 2


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("hashrate", [1e5, 2e7, 1e12])
def test_a_day_at_a_constant_rate_changes_little_and_never_goes_far_from_right(hashrate: float, seed: int) -> None:
    miner = Simulated(Vardiff(0.01, 0), hashrate, random.Random(seed))
    miner.run(HOUR)
    for hour in range(1, 24):
        miner.run((hour + 1) * HOUR)
        late = [difficulty for when, difficulty in miner.changes if when >= hour * HOUR]
        assert len(late) <= 4, (hour, miner.changes)
        assert all(miner.right / 4 < difficulty < miner.right * 4 for difficulty in late), (hour, miner.changes)
    assert miner.right / 1.5 < miner.vardiff.difficulty < miner.right * 1.5
    assert len([when for when, _ in miner.changes if when >= HOUR]) < 24


@pytest.mark.parametrize(("start", "hashrate"), [(1e-6, 1e12), (1e4, 1e6)])
def test_no_change_is_more_than_a_step(start: float, hashrate: float) -> None:
    miner = Simulated(Vardiff(start, 0), hashrate, random.Random(1))
    miner.run(HOUR)
    ladder = [start, *(difficulty for _, difficulty in miner.changes)]
    assert len(ladder) > 8
    for before, after in pairwise(ladder):
        assert before / STEP * 0.9999 <= after <= before * STEP * 1.0001


def silent(vardiff: Vardiff, since: float, seconds: int) -> list[float]:
    """Its difficulties while nothing comes."""
    found = []
    for second in range(seconds):
        if vardiff.look(since + second):
            found.append(vardiff.difficulty)
    return found


def test_a_silent_miner_is_given_easier_shares_down_to_the_floor_and_no_further() -> None:
    vardiff = Vardiff(0.01, 0)
    fallen = silent(vardiff, 0, 86_400)
    assert fallen[-1] == vardiff.difficulty == FLOOR
    assert len(fallen) == 5


def test_the_floor_is_what_the_miner_asked_for_where_that_is_lower() -> None:
    vardiff = Vardiff(0.01, 0)
    vardiff.set(1e-7, 0)
    assert silent(vardiff, 0, 7200) == []
    assert vardiff.difficulty == 1e-7


def test_a_silent_miner_does_not_fall_below_the_minimum_that_it_asked_for() -> None:
    vardiff = Vardiff(0.01, 0)
    vardiff.require(8, 0)
    assert vardiff.difficulty == 8
    assert silent(vardiff, 0, 7200) == []


def test_a_miner_whose_rate_is_known_keeps_within_a_step_of_it_while_it_is_silent_and_when_it_is_back() -> None:
    miner = Simulated(Vardiff(1, 0), HASHES_OF_1 / SPACING, random.Random(3))
    miner.run(2000)
    known = miner.vardiff.difficulty
    assert miner.right / 2 < known < miner.right * 2
    silent(miner.vardiff, 2000, 331)
    assert miner.vardiff.difficulty >= known / STEP
    silent(miner.vardiff, 2331, 20_000)
    assert miner.vardiff.difficulty >= known / STEP
    miner.now = 22_331
    miner.run(22_400)
    assert miner.right / 4 <= miner.vardiff.difficulty * 1.0001 < miner.right * 4
    miner.run(24_000)
    assert miner.right / 2 < miner.vardiff.difficulty < miner.right * 2


def test_a_miner_that_became_much_slower_is_followed_all_the_same() -> None:
    miner = Simulated(Vardiff(1, 0), HASHES_OF_1 / SPACING, random.Random(5))
    miner.run(1000)
    miner.hashrate /= 300
    miner.run(4 * HOUR)
    assert miner.right / 3 < miner.vardiff.difficulty < miner.right * 3


@pytest.mark.parametrize("elapsed", [0.5, 59.0, 61.0, 500.0])
@pytest.mark.parametrize("count", [16, 300, 5000])
def test_a_burst_of_shares_changes_nothing_by_itself(elapsed: float, count: int) -> None:
    miner = Simulated(Vardiff(1, 0), HASHES_OF_1 / SPACING, random.Random(2))
    miner.run(elapsed)
    before = miner.vardiff.difficulty
    at = elapsed + 0.7
    for number in range(count):
        assert not miner.vardiff.share(before, miner.vardiff.stretch, at + number * 1e-5)
    assert miner.vardiff.difficulty == before


def test_shares_of_an_older_difficulty_change_nothing_however_many_come_and_for_however_long() -> None:
    vardiff = Vardiff(1e-3, 0)
    old = vardiff.stretch
    vardiff.set(1e-6, 1)
    for number in range(20_000):
        assert not vardiff.share(1e-3, old, 2 + number / 400)
    assert vardiff.difficulty == 1e-6


def test_fewer_than_sixteen_shares_or_less_than_a_minute_judge_nothing() -> None:
    early, few = Vardiff(1, 0), Vardiff(1, 0)
    assert not any(early.share(1, early.stretch, second) for second in range(60))
    for second in range(230):
        assert not few.look(second)
        assert second % 15 or not few.share(1, few.stretch, second)  # sixteen times, the first at 0
    assert (early.difficulty, few.difficulty) == (1, 1)
    assert early.share(1, early.stretch, 60.5)  # one each second: five times as many as are wanted
    assert early.difficulty == 4


def test_a_flood_that_goes_on_is_met_before_a_minute_has_passed() -> None:
    miner = Simulated(Vardiff(0.01, 0), 1e12, random.Random(2))
    miner.run(60)
    assert miner.vardiff.difficulty > 10  # sharing a thousand times as many hashes as at first


def test_while_a_block_is_easier_than_a_share_nothing_is_judged() -> None:
    miner = Simulated(Vardiff(0.01, 0), 2e7, random.Random(2))
    miner.run(HOUR, cap=1e-6)
    assert miner.changes == []
    miner.run(2 * HOUR)
    assert miner.right / 2 < miner.vardiff.difficulty < miner.right * 2
