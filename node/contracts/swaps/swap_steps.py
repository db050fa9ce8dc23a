"""What a side of a swap does next, from what stands on both chains now.

Nothing is concluded that a reorg could undo: each look starts from the beginning. `Own` is the one exception: a payment
that was signed may come back, and a secret that was shown stays public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ...core.coin import Coin
from ..moment import Moment, about, utc_text
from .swap_terms import Half, Swap

Role = Literal["maker", "taker"]

Kind = Literal["answer", "pay", "claim", "refund", "wait", "done", "over"]
"""`answer`: the maker waits for the taker's keys. `pay`, `claim`, `refund`: to be done now. `wait`: nothing can be done
now. `done`: one payment has changed its owner for good, or is back. `over`: nothing was paid, and nothing will be; or
nothing can be done any more."""

ACTS: Final = ("pay", "claim", "refund")


@dataclass(frozen=True, slots=True)
class SpendSeen:
    """What spent a contract."""

    txid: str
    preimage: bytes | None
    """The secret that it shows, which has the swap's digest; None: it takes back, after the time."""
    confirmations: int
    """0: it waits in the node's mempool."""
    fee: int = 0
    """Base units: what another spend pays more than, to take its place while it waits."""

    @property
    def is_refund_that_waits(self) -> bool:
        """Takes back, and is in no block: a claim that pays more can still come before it."""
        return self.preimage is None and not self.confirmations


@dataclass(frozen=True, slots=True)
class HalfSeen:
    """One chain, as its node shows it at one tip."""

    moment: Moment
    """Of the block that follows the tip."""
    paid: int = 0
    """Base units that the contract holds or held, confirmed."""
    deep: int = 0
    """Of them, with the confirmations agreed on."""
    spend: SpendSeen | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Both chains, and the clock."""

    first: HalfSeen
    second: HalfSeen
    now: int
    """Unix seconds."""

    @property
    def clock(self) -> int:
        """The latest that it may be: a machine whose clock is late must not think that it has time."""
        return max(self.now, self.first.moment.median_time_past, self.second.moment.median_time_past)


@dataclass(frozen=True, slots=True)
class Own:
    """What this side has done, as far as the chains may not show it."""

    has_paid: bool = False
    """Whether a payment was signed: it may have been sent."""
    has_claimed: bool = False
    """Whether a node took its claim, so that the secret counts as public. A claim that was signed, and not sent, does
    not count: sent too late, it would show the secret in vain."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next, and why."""

    kind: Kind
    sentence: str
    """For a person, without a full stop."""
    by: int | None = None
    """Unix time by which it should be done, or be looked at again."""
    in_mempool: Literal["claim", "refund"] | None = None
    """This side's own spend that waits for a block: it is sent with a higher fee where that is needed now."""

    @property
    def is_end(self) -> bool:
        return self.kind in ("done", "over")


def next_step(role: Role, swap: Swap, own: Own, seen: Seen) -> Step:
    """The next step of a side. Amounts are said in coins, times in UTC."""
    return _Maker(swap, own, seen).step() if role == "maker" else _Taker(swap, own, seen).step()


class _Side:
    """What both sides have alike: one payment that is theirs to give, and one to get."""

    gives: Half
    gives_coin: Coin
    given: HalfSeen
    gets: Half
    gets_coin: Coin
    got: HalfSeen

    def __init__(self, swap: Swap, own: Own, seen: Seen) -> None:
        self.swap, self.own, self.seen = swap, own, seen

    @property
    def gift(self) -> str:
        return self.gives_coin.in_coins(self.gives.amount)

    @property
    def prize(self) -> str:
        return self.gets_coin.in_coins(self.gets.amount)

    @property
    def back(self) -> str:
        """From when on this side can take back what it paid."""
        return f"you can take back your {self.gift} from about {utc_text(self.gives.refund_time)} on"

    def _claimed(self, spend: SpendSeen) -> Step:
        """This side's claim is in the mempool or in a block."""
        if spend.confirmations >= self.gets.confirmations:
            return Step("done", f"you have the {self.prize}")
        if spend.confirmations:
            return Step(
                "wait",
                f"you claimed the {self.prize}: {spend.confirmations} of {self.gets.confirmations} confirmations",
            )
        return Step("wait", f"your claim of {self.prize} waits for a block", self.gets.refund_time, "claim")

    def _taken_back(self, spend: SpendSeen) -> Step:
        """This side's refund is in the mempool or in a block."""
        if spend.confirmations >= self.gives.confirmations:
            return Step("done", f"the swap did not come about, and you have your {self.gift} back")
        if spend.confirmations:
            return Step(
                "wait",
                f"you took back your {self.gift}: {spend.confirmations} of {self.gives.confirmations} confirmations",
            )
        return Step("wait", f"taking back your {self.gift} waits for a block", in_mempool="refund")

    def _pay(self, until: int, what_then: str) -> Step:
        """Pay, or say that it is too late for it."""
        if self.seen.clock <= until:
            again = "send your payment again: it is in no block" if self.own.has_paid else f"pay {self.gift}"
            return Step("pay", f"{again}; {what_then}", until)
        if self.own.has_paid:
            return Step(
                "wait",
                f"your payment of {self.gift} was signed, is in no block, and comes too late to be sent again. If it"
                f" gets into one after all, {self.back}",
            )
        return Step("over", "it is too late to pay safely, and you have paid nothing: make a new offer")

    def _refund_or_wait(self, why: str, by: int | None = None) -> Step:
        """Take back what was paid, if its time has come."""
        if self.given.moment.median_time_past >= self.gives.refund_time:
            return Step("refund", f"take back your {self.gift}: the other side has not taken it in time")
        left = self.gives.refund_time - self.given.moment.median_time_past
        return Step("wait", f"{why}; {self.back} (in {about(left)})", by or self.gives.refund_time)


class _Maker(_Side):
    """Has the secret, pays first, claims first."""

    def __init__(self, swap: Swap, own: Own, seen: Seen) -> None:
        super().__init__(swap, own, seen)
        self.gives, self.gives_coin, self.given = swap.terms.first, swap.first, seen.first
        self.gets, self.gets_coin, self.got = swap.terms.second, swap.second, seen.second

    def step(self) -> Step:
        if not self.swap.terms.is_answered:
            return self._unanswered()
        if self.got.spend is not None and self.got.spend.preimage is not None:
            return self._claimed(self.got.spend)
        is_public = self.own.has_claimed or (self.given.spend is not None and self.given.spend.preimage is not None)
        if is_public and self.got.paid and (self.got.spend is None or self.got.spend.is_refund_that_waits):
            return Step("claim", f"claim the {self.prize} again, at once: your secret is public", self.gets.refund_time)
        if self.given.spend is not None:
            if self.given.spend.preimage is None:
                return self._taken_back(self.given.spend)
            return Step(
                "over", f"the other side has your {self.gift} and took back its own payment: your claim came too late"
            )
        if self.given.paid < self.gives.amount:
            return self._unpaid()
        return self._paid()

    def _unanswered(self) -> Step:
        if self.seen.clock <= self.swap.first_until:
            return Step(
                "answer",
                f"the other side has to answer by {utc_text(self.swap.first_until)}; you have paid nothing",
                self.swap.first_until,
            )
        return Step("over", "nobody answered in time, and you have paid nothing: make a new offer")

    def _unpaid(self) -> Step:
        return self._pay(
            self.swap.first_until, f"the other side pays {self.prize} after you; if it does not, {self.back}"
        )

    def _paid(self) -> Step:
        if self.got.spend is not None:
            return self._refund_or_wait("the other side took back its payment")
        if self.seen.clock > self.swap.claim_until:
            return self._refund_or_wait(
                f"it is too late to claim the {self.prize} safely: a claim that is not confirmed before"
                f" {utc_text(self.gets.refund_time)} could lose both sides' coins to the other"
            )
        if self.got.deep >= self.gets.amount:
            return Step(
                "claim",
                f"claim the {self.prize}: the other side has paid. This shows your secret, and the other side takes"
                f" your {self.gift} with it",
                self.swap.claim_until,
            )
        return self._refund_or_wait(_awaited(self.got, self.gets, self.gets_coin), self.swap.claim_until)


class _Taker(_Side):
    """Pays second, and claims with the secret that the maker's claim shows."""

    def __init__(self, swap: Swap, own: Own, seen: Seen) -> None:
        super().__init__(swap, own, seen)
        self.gives, self.gives_coin, self.given = swap.terms.second, swap.second, seen.second
        self.gets, self.gets_coin, self.got = swap.terms.first, swap.first, seen.first

    def step(self) -> Step:
        if self.got.spend is not None and self.got.spend.preimage is not None:
            return self._claimed(self.got.spend)
        if self.given.spend is not None and self.given.spend.preimage is not None:
            return self._shown()
        if self.given.spend is not None:
            return self._taken_back(self.given.spend)
        if self.given.paid < self.gives.amount:
            return self._unpaid()
        if self.got.spend is not None:
            return self._refund_or_wait("the other side took back its payment")
        if self.got.paid < self.gets.amount:
            return self._refund_or_wait(
                f"a reorg has undone the other side's payment of {self.prize}, which usually comes again"
            )
        return self._refund_or_wait(
            f"both sides have paid, and the other side claims your {self.gift} next: look again within"
            f" {about(self.swap.terms.patience)}, its claim shows the secret with which you claim the {self.prize}",
            self.seen.now + self.swap.terms.patience,
        )

    def _shown(self) -> Step:
        if self.got.spend is not None and not (self.got.paid and self.got.spend.is_refund_that_waits):
            return Step(
                "over",
                f"the other side took back its {self.prize}, and has your {self.gift}: your claim came too late",
            )
        if not self.got.paid:
            return Step(
                "wait",
                f"the other side has your {self.gift}, and a reorg has undone its payment of {self.prize}: claim as"
                " soon as it is there again",
                self.seen.now,
            )
        return Step(
            "claim",
            f"claim the {self.prize} at once: the secret is shown, and the other side can take it back from"
            f" {utc_text(self.gets.refund_time)} on",
            self.gets.refund_time - self.gets_coin.clock_tolerance - self.swap.first_settle,
        )

    def _unpaid(self) -> Step:
        if self.got.spend is not None and not self.own.has_paid:
            return Step("over", "the other side took back its payment, and you have paid nothing")
        if self.got.spend is None and self.got.deep >= self.gets.amount:
            return self._pay(
                self.swap.second_until, f"the other side has paid {self.prize}; if it does not claim, {self.back}"
            )
        if self.own.has_paid:
            return Step("wait", f"your payment of {self.gift} is in no block; if it gets into one, {self.back}")
        if self.seen.clock > self.swap.second_until:
            return Step("over", "the other side has not paid in time, and you have paid nothing")
        return Step(
            "wait",
            f"{_awaited(self.got, self.gets, self.gets_coin)}; you have paid nothing",
            self.swap.second_until,
        )


def _awaited(seen: HalfSeen, half: Half, coin: Coin) -> str:
    """Why the other side's payment does not count yet."""
    amount = coin.in_coins(half.amount)
    if seen.paid >= half.amount:
        return f"the other side's {amount} are paid, and wait for {half.confirmations} confirmations"
    if seen.paid:
        return (
            f"the other side has paid {coin.in_coins(seen.paid)} of {amount}, which is too little: pay nothing for it"
        )
    return f"the other side has not paid its {amount} yet"
