"""What maker and taker of a swap agree on, the two policies that follow from it, and the checks of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ...core.coin import Coin
from ...core.errors import MoneyerError
from ...core.policy import AfterTime, Policy, encode_policy, payload_of_policy
from ...core.types import MAX_MONEY
from ..moment import about, utc_text
from ..ready_made import swap as swap_policy
from ..safety import check_safe

NO_KEY: Final = bytes(32)
"""Stands for the taker's keys in an offer."""
LEAST_PATIENCE: Final = 5
"""Seconds."""
MOST_PATIENCE: Final = 7 * 86_400
_UNHURRIED: Final = 600
"""Seconds."""
MOST_CONFIRMATIONS: Final = 1_000
_LONGEST: Final = 90 * 86_400
"""Seconds until the last refund: nobody's coins are held longer."""
_LAG_BLOCKS: Final = 6
"""Blocks by which median_time_past lies behind the tip: half of the 11 that it is taken over."""


class BadSwap(MoneyerError):
    """A swap that cannot be read, is not what it says, or is not safe to enter."""

    code = "bad_swap"


@dataclass(frozen=True, slots=True)
class Half:
    """One of the two payments."""

    chain_id: bytes
    """Raw bytes."""
    amount: int
    """Base units that the contract has to hold."""
    confirmations: int
    """That make the payment, and a spend of it, count as settled."""
    refund_time: int
    """median_time_past from which the payer may take it back, Unix seconds."""
    payer_key: bytes
    """32-byte x-only key; NO_KEY: not known yet."""
    receiver_key: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides agree on."""

    digest: bytes
    """SHA-256 of the maker's 32 secret bytes."""
    patience: int
    """Seconds that either side may be away."""
    first: Half
    """The maker pays it, before the other."""
    second: Half
    """The taker pays it."""

    @property
    def swap_id(self) -> str:
        """The first 12 hex digits of the digest: each swap has a secret of its own."""
        return self.digest.hex()[:12]

    @property
    def is_answered(self) -> bool:
        """Whether the taker's keys are known."""
        return NO_KEY not in (self.first.receiver_key, self.second.payer_key)

    @property
    def as_offered(self) -> Terms:
        """Without the taker's keys."""
        return self.answered(NO_KEY, NO_KEY)

    def answered(self, first_key: bytes, second_key: bytes) -> Terms:
        """With the taker's keys on the first and the second chain."""
        return replace(
            self,
            first=replace(self.first, receiver_key=first_key),
            second=replace(self.second, payer_key=second_key),
        )

    def policy(self, half: Half) -> Policy:
        """The policy behind one payment. Raises BadPolicy."""
        return swap_policy(half.receiver_key, half.payer_key, self.digest, AfterTime(half.refund_time))

    def raw_policy(self, half: Half) -> bytes:
        """Its bytes."""
        return encode_policy(self.policy(half))

    def payload(self, half: Half) -> bytes:
        """33 bytes: of the address that is paid."""
        return payload_of_policy(self.raw_policy(half))


@dataclass(frozen=True, slots=True)
class Swap:
    """Terms, and the coins that they are about."""

    terms: Terms
    first: Coin
    second: Coin

    @property
    def first_settle(self) -> int:
        """Seconds in which a transaction settles on the first chain; see `settle`."""
        return settle(self.first, self.terms.first.confirmations)

    @property
    def second_settle(self) -> int:
        return settle(self.second, self.terms.second.confirmations)

    @property
    def claim_until(self) -> int:
        """Unix time until which the maker can begin to claim: his claim settles before the refund can open."""
        return self.terms.second.refund_time - self.second.clock_tolerance - self.second_settle

    @property
    def second_until(self) -> int:
        """Unix time until which the taker can pay, and the maker still has time to claim."""
        return self.claim_until - self.terms.patience - self.second_settle

    @property
    def first_until(self) -> int:
        """Unix time until which the maker can pay, and the taker still has time to."""
        return self.second_until - self.terms.patience - self.first_settle

    @property
    def least_gap(self) -> int:
        """Seconds by which the first refund has to open later than the second."""
        lag = settle(self.second, _LAG_BLOCKS)
        return lag + 2 * self.terms.patience + self.second_settle + self.first_settle + self.first.clock_tolerance


def settle(coin: Coin, confirmations: int) -> int:
    """Seconds in which a transaction has that many confirmations, but for one in a thousand.

    Blocks are a Poisson process: at n = 1, 6, 12 the 0.999 quantile is 6.9, 16.5 and 25.7 block times, under 2n + 6.
    """
    return coin.block_time * (2 * confirmations + 6)


def least_confirmations(coin: Coin, *, is_development: bool) -> int:
    """What is asked for unless a person says otherwise: as many as wallets of Bitcoin ask for, 1 where all is free."""
    return 1 if is_development else 6


def propose(first: Coin, second: Coin, terms: Terms, now: int) -> Terms:
    """The terms with the times of both refunds: as soon as is safe where the taker answers within `patience`.

    `terms`: their times are replaced. `now`: Unix seconds.
    """
    swap = Swap(replace(terms, second=replace(terms.second, refund_time=0)), first, second)
    second_time = _rounded(now + terms.patience - swap.first_until, terms.patience)
    first_time = _rounded(second_time + swap.least_gap, terms.patience)
    return replace(
        terms,
        first=replace(terms.first, refund_time=first_time),
        second=replace(terms.second, refund_time=second_time),
    )


def _rounded(time: int, patience: int) -> int:
    """Up to a whole minute, which can be said, where a minute does not matter."""
    return -(-time // 60) * 60 if patience >= _UNHURRIED else time


def check_offer(swap: Swap, now: int) -> None:
    """Whether a swap is safe to enter, whoever proposed it. Raises BadSwap, BadPolicy. `now`: Unix seconds."""
    check_chains(swap)
    check_amounts(swap.terms)
    check_times(swap, now)


def check_chains(swap: Swap) -> None:
    """Two coins, both of rules 2, and those that are meant."""
    terms = swap.terms
    if terms.first.chain_id == terms.second.chain_id:
        raise BadSwap("both sides of this swap are on the same chain: there is nothing to swap")
    for half, coin in ((terms.first, swap.first), (terms.second, swap.second)):
        if half.chain_id != coin.chain_id:
            raise BadSwap(
                f"this swap is about another coin than {coin.symbol}: its chain is {half.chain_id[::-1].hex()[:12]}…,"
                f" and this one {coin.chain_id[::-1].hex()[:12]}…",
                expected=half.chain_id[::-1].hex(),
                found=coin.chain_id[::-1].hex(),
            )
        if coin.rules < 2:
            raise BadSwap(f"{coin.symbol} is a coin of rules 1, which has no contracts: it cannot be swapped")


def check_amounts(terms: Terms) -> None:
    """Amounts, confirmations and patience are within their bounds."""
    for half in (terms.first, terms.second):
        if not 1 < half.amount <= MAX_MONEY:
            raise BadSwap(f"each side pays more than 1 base unit, of which a fee is left, and this one {half.amount}")
        if not 1 <= half.confirmations <= MOST_CONFIRMATIONS:
            raise BadSwap(f"a swap waits for 1 to {MOST_CONFIRMATIONS} confirmations, not {half.confirmations}")
    if not LEAST_PATIENCE <= terms.patience <= MOST_PATIENCE:
        raise BadSwap(f"the patience is {LEAST_PATIENCE} to {MOST_PATIENCE} seconds, not {terms.patience}")


def check_times(swap: Swap, now: int) -> None:
    """Both refunds are far enough away, and from each other."""
    terms = swap.terms
    gap = terms.first.refund_time - terms.second.refund_time
    if gap < swap.least_gap:
        raise BadSwap(
            f"the two refunds open too close to each other: the first has to open {about(swap.least_gap)} after the"
            f" second, not {about(max(0, gap))}, so that who pays second can still claim",
            expected=swap.least_gap,
            found=gap,
        )
    if now > swap.first_until:
        raise BadSwap(
            f"it is too late for this swap: the second refund opens at {utc_text(terms.second.refund_time)}, and"
            " two payments and a claim take longer. Ask for a new offer",
            expected=swap.first_until,
            found=now,
        )
    if terms.first.refund_time > now + _LONGEST:
        raise BadSwap(f"this swap would hold coins until {utc_text(terms.first.refund_time)}: that is too long")


def check_answer(swap: Swap) -> None:
    """The keys of both sides are four different ones, and both policies are safe. Raises BadSwap, BadPolicy."""
    terms = swap.terms
    if not terms.is_answered:
        raise BadSwap("this is an offer without the other side's keys: the answer to it is needed")
    for half in (terms.first, terms.second):
        if half.payer_key == half.receiver_key:
            raise BadSwap("both sides have the same key in this swap: it was made by one of them alone")
    check_safe(terms.policy(terms.first), swap.first)
    check_safe(terms.policy(terms.second), swap.second)
