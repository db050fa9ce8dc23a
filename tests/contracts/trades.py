"""Swaps for tests: two coins, terms, and a world in which the other side, the miners and the clocks do their worst.

The world keeps the promises that the margins are made of: a transaction that was handed out is in a block for good
within `settle` unless another spend of the same contract came first; median_time_past is at most the lag behind the
clock and at most the tolerance ahead; the honest side looks at least every `patience` seconds, also where it is killed
between signing and sending. All else is drawn: what the other side does and when, how long everything takes, what a
look shows of what is not settled yet (a reorg undoes it, another brings it back).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from hypothesis import strategies as st

from moneyer.node.contracts.moment import Moment
from moneyer.node.contracts.swaps.swap_steps import HalfSeen, Own, Role, Seen, SpendSeen, Step, next_step
from moneyer.node.contracts.swaps.swap_terms import NO_KEY, Half, Swap, Terms, propose, settle
from tests.kit.chains import easy_coin, key

FIRST = easy_coin(name="First Coin", symbol="FIRST", hrp="first", rules=2, block_time=1, clock_tolerance=3)
SECOND = easy_coin(name="Second Coin", symbol="SECOND", hrp="second", rules=2, block_time=2, clock_tolerance=5)
T = TypeVar("T")
NOW = 1_800_000_000
SECRET = b"\x07" * 32


def xonly(name: str) -> bytes:
    return key(name).payload[1:]


def terms_at(now: int = NOW, *, patience: int = 6, confirmations: int = 1) -> Terms:
    """Answered terms that alice proposes to bob at `now`: 100 of FIRST for 200 of SECOND."""
    return propose(
        FIRST,
        SECOND,
        Terms(
            b"\x09" * 32,
            patience,
            Half(FIRST.chain_id, 100, confirmations, 0, xonly("alice"), NO_KEY),
            Half(SECOND.chain_id, 200, confirmations, 0, NO_KEY, xonly("bob")),
        ),
        now,
    ).answered(xonly("carol"), xonly("dora"))


@dataclass
class Contract:
    """One payment in the world. Times are when something is in a block for good."""

    half: Half
    paid_from: int | None = None
    """When its payment was handed out."""
    paid_at: int | None = None
    amount: int = 0
    waiting: list[tuple[int, str]] = field(default_factory=list)
    """Spends that were handed out: when each settles, `claim` or `refund`."""
    spent: str | None = None
    is_secret_out: bool = False

    def pay(self, now: int, delay: int, amount: int) -> None:
        if self.paid_from is None:
            self.paid_from, self.paid_at, self.amount = now, now + delay, amount

    def spend(self, kind: str, at: int) -> None:
        """Hand out a spend; the same again changes nothing."""
        if all(other != kind for _, other in self.waiting):
            self.waiting.append((at, kind))

    def is_paid(self, now: int) -> bool:
        return self.paid_at is not None and self.paid_at <= now

    def pass_time(self, now: int) -> None:
        if self.spent is None and self.is_paid(now):
            ready = sorted(each for each in self.waiting if each[0] <= now)
            if ready:
                self.spent = ready[0][1]
                self.waiting = []


class World:
    """One run of a swap: an honest side, and the other one by what is drawn."""

    def __init__(self, data: st.DataObject | None, role: Role, plan: dict[str, int] | None = None) -> None:
        """`data`: None for the slowest of everything; then `plan` says when the other side acts, seconds from NOW."""
        self.data, self.role, self.now = data, role, NOW
        self.swap = Swap(terms_at(NOW), FIRST, SECOND)
        self.first, self.second = Contract(self.swap.terms.first), Contract(self.swap.terms.second)
        self.own = Own()
        self.medians = [NOW - 40, NOW - 40]
        self.leads = [self.draw(-18, 3), self.draw(-36, 5) if data or role == "maker" else -36]
        self.kills = 0
        end = self.swap.terms.first.refund_time - NOW + 60
        borders = [
            half.refund_time - NOW + off for half in (self.first.half, self.second.half) for off in (-5, 0, 5, 36)
        ]
        times = st.one_of(st.just(10**6), st.integers(0, end), st.integers(0, 40), st.sampled_from(borders))
        self.plan = plan or {what: self._draw(times) for what in ("pay", "claim", "refund")}

    def draw(self, least: int, most: int) -> int:
        return most if self.data is None else self._draw(st.integers(least, most))

    def chance(self) -> bool:
        return self.data is not None and self._draw(st.booleans())

    def _draw(self, what: st.SearchStrategy[T]) -> T:
        assert self.data is not None
        return self.data.draw(what)

    @property
    def gives(self) -> Contract:
        """What the honest side pays."""
        return self.first if self.role == "maker" else self.second

    @property
    def gets(self) -> Contract:
        return self.second if self.role == "maker" else self.first

    def run(self) -> Step:
        """Until long after both times; the honest side's last step."""
        end = self.swap.terms.first.refund_time + 150
        look_at, step = self.now + (0 if self.data is None else self.draw(0, 4)), None
        while self.now < end:
            self.now += 1
            self._tick()
            if self.now >= look_at:
                step, was_killed = self._look()
                look_at = self.now + (1 if was_killed else self.draw(1, self.swap.terms.patience - 2))
        assert step is not None
        return step

    def _tick(self) -> None:
        for number in range(2):
            self.medians[number] = max(self.medians[number], self.now + self.leads[number])
        self._do_their_worst()
        self.first.pass_time(self.now)
        self.second.pass_time(self.now)

    def _do_their_worst(self) -> None:
        """The other side's payment, claim and refund, each when it was drawn, or never."""
        time, theirs, ours = self.now - NOW, self.gets, self.gives
        if time == self.plan["pay"]:
            theirs.pay(
                self.now, 0 if self.data is None else self.draw(0, 30), theirs.half.amount - (1 if self.chance() else 0)
            )
        knows = self.role == "taker" or self.second.is_secret_out or self.first.is_secret_out
        if time >= self.plan["claim"] and knows and ours.is_paid(self.now) and ours.spent is None:
            ours.spend("claim", self.now + (0 if self.data is None else self.draw(0, 8)))
            if self.role == "taker":
                ours.is_secret_out = ours.is_secret_out or self.chance()
        is_open = self.medians[0 if theirs is self.first else 1] >= theirs.half.refund_time
        if time >= self.plan["refund"] and is_open and theirs.is_paid(self.now) and theirs.spent is None:
            theirs.spend("refund", self.now + (0 if self.data is None else self.draw(0, 3)))
        for contract in (self.first, self.second):
            contract.is_secret_out = contract.is_secret_out or contract.spent == "claim"

    def _look(self) -> tuple[Step, bool]:
        seen = Seen(self._seen(self.first, 0), self._seen(self.second, 1), self.now - self.draw(0, 1))
        step = next_step(self.role, self.swap, self.own, seen)
        if step.kind not in ("pay", "claim", "refund"):
            return step, False
        if step.kind == "pay":
            self.own = replace(self.own, has_paid=True)
        if self.kills < 2 and self.chance():
            self.kills += 1
            return step, True
        self._act(step)
        return step, False

    def _act(self, step: Step) -> None:
        gives_settle = settle(FIRST if self.gives is self.first else SECOND, 1)
        gets_settle = settle(FIRST if self.gets is self.first else SECOND, 1)
        if step.kind == "pay":
            self.gives.pay(self.now, self.draw(1, gives_settle), self.gives.half.amount)
        elif step.kind == "claim":
            self.own = replace(self.own, has_claimed=True)
            self.gets.is_secret_out = True
            self.gets.spend("claim", self.now + self.draw(1, gets_settle))
        else:
            self.gives.spend("refund", self.now + self.draw(1, gives_settle))

    def _seen(self, contract: Contract, number: int) -> HalfSeen:
        moment = Moment(100, self.medians[number])
        if contract.spent is not None:
            secret = SECRET if contract.spent == "claim" else None
            return HalfSeen(moment, 0, spend=SpendSeen("ab" * 32, secret, 1))
        is_deep = contract.is_paid(self.now)
        is_there = is_deep or (contract.paid_from is not None and self.chance())
        paid = contract.amount if is_there else 0
        shown = None
        if is_there and contract.waiting and self.chance():
            _, kind = contract.waiting[self.draw(0, len(contract.waiting) - 1)]
            is_hidden = kind == "claim" and not contract.is_secret_out
            shown = None if is_hidden else SpendSeen("ab" * 32, SECRET if kind == "claim" else None, 0)
        return HalfSeen(moment, paid, paid if is_deep else 0, shown)

    @property
    def is_whole(self) -> bool:
        """Whether the honest side ends with one of the two payments, or has paid nothing."""
        has_not_paid = not self.gives.is_paid(self.now)
        return has_not_paid or self.gives.spent == "refund" or self.gets.spent == "claim"
