"""Which leaves a spend names, given the keys and preimages at hand; and what is missing where they don't suffice.

A spend names exactly enough leaves (`core.policy.check_exactly_enough`). Of all such choices the best has the fewest
signatures, then the fewest preimages (what is revealed is public for ever), then the fewest locks (a reorg can close
what a lock opened), then the first leaves. The costs of children add up, so each threshold takes its k cheapest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..core.coin import Coin
from ..core.policy import (
    NO_LOCKS,
    AfterHeight,
    AfterTime,
    Hash,
    Key,
    Leaf,
    Locks,
    Policy,
    Threshold,
    leaves_of,
    locks_of,
)
from .explain import who
from .language import NameOf
from .moment import Moment, about, utc_text
from .policy_tree import reduced


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a spend can be made with."""

    keys: Collection[bytes]
    """32-byte x-only keys that can sign, or have signed."""
    digests: Collection[bytes] = ()
    """The hashes of which the preimage is known."""

    def has(self, leaf: Key | Hash) -> bool:
        return leaf.key in self.keys if isinstance(leaf, Key) else leaf.digest in self.digests


@dataclass(frozen=True, slots=True)
class Choice:
    """The leaves that a spend names."""

    leaves: tuple[int, ...]
    """Indexes, ascending: exactly enough."""
    keys: tuple[bytes, ...]
    """Of the named keys, in their order: each has to sign."""
    digests: tuple[bytes, ...]
    """Of the named hashes, in their order."""
    locks: Locks
    """The greatest height and time that are named."""


class _Cost(NamedTuple):
    """Compared in this order."""

    signatures: int
    preimages: int
    locks: int


class _Best(NamedTuple):
    cost: _Cost
    leaves: tuple[int, ...]


_COSTS = {Key: _Cost(1, 0, 0), Hash: _Cost(0, 1, 0), AfterHeight: _Cost(0, 0, 1), AfterTime: _Cost(0, 0, 1)}


def choose(policy: Policy, at_hand: AtHand, moment: Moment) -> Choice | None:
    """The best choice of leaves that are at hand and open at this moment; None where there is none."""

    def is_met(leaf: Leaf) -> bool:
        return moment.has_come(leaf) if isinstance(leaf, AfterHeight | AfterTime) else at_hand.has(leaf)

    best = _best(policy, iter(range(1_000)), is_met)
    if best is None:
        return None
    leaves = list(leaves_of(policy))
    named = [leaves[index] for index in best.leaves]
    return Choice(
        leaves=best.leaves,
        keys=tuple([leaf.key for leaf in named if isinstance(leaf, Key)]),
        digests=tuple([leaf.digest for leaf in named if isinstance(leaf, Hash)]),
        locks=locks_of(leaves, best.leaves),
    )


def _best(node: Policy, indexes: Iterator[int], is_met: Callable[[Leaf], bool]) -> _Best | None:
    """`indexes`: of the leaves that are still to come, in pre-order."""
    if not isinstance(node, Threshold):
        index = next(indexes)
        return _Best(_COSTS[type(node)], (index,)) if is_met(node) else None
    children = [_best(child, indexes, is_met) for child in node.children]
    met = sorted([child for child in children if child is not None])[: node.k]
    if len(met) < node.k:
        return None
    cost = _Cost(*[sum(amounts) for amounts in zip(*[child.cost for child in met], strict=True)])
    return _Best(cost, tuple(sorted([index for child in met for index in child.leaves])))


def opens_for(policy: Policy, at_hand: AtHand, moment: Moment, coin: Coin) -> Locks | None:
    """What those who hold `at_hand` wait for before they can spend without anybody else: the soonest height and time.

    0 stands for what has come, so `Locks(0, 0)` means now. None where waiting does not help. Where heights and times
    are mixed, the coin's block_time says which way opens sooner.
    """
    wait = _wait(policy, at_hand, moment, coin)
    return None if wait is None else wait.locks


class _Wait(NamedTuple):
    seconds: int
    locks: Locks


_NOW = _Wait(0, Locks(0, 0))


def _wait(node: Policy, at_hand: AtHand, moment: Moment, coin: Coin) -> _Wait | None:
    if isinstance(node, Threshold):
        children = [_wait(child, at_hand, moment, coin) for child in node.children]
        met = sorted([child for child in children if child is not None])[: node.k]
        if len(met) < node.k:
            return None
        heights, times = zip(*[child.locks for child in met], strict=True)
        return _Wait(met[-1].seconds, Locks(max(heights), max(times)))
    if isinstance(node, Key | Hash):
        return _NOW if at_hand.has(node) else None
    if moment.has_come(node):
        return _NOW
    seconds = moment.seconds_until(node, coin)
    return _Wait(seconds, Locks(node.height, 0) if isinstance(node, AfterHeight) else Locks(0, node.time))


@dataclass(frozen=True, slots=True)
class Missing:
    """What those who hold something lack for a spend."""

    now: str | None
    """Who has to sign (or which secret has to be shown) beside what is at hand; None while it is locked."""
    wait: Locks | None
    """From where on nobody else is needed; None if that never comes."""
    sentence: str


def missing(
    policy: Policy, at_hand: AtHand, moment: Moment, coin: Coin, name_of: NameOf = lambda key: None
) -> Missing | None:
    """What is missing to spend at this moment; None where nothing is."""
    left = _left(policy, at_hand, moment)
    if left is True:
        return None
    now = None if left is False else who(left, name_of)
    wait = opens_for(policy, at_hand, moment, coin)
    parts = [] if now is None else [f"now it still needs {now}"]
    if wait is not None:
        parts.append(f"from {_when(wait, moment, coin)} nobody else is needed")
    elif now is None:
        parts.append(_locked_text(policy, at_hand, moment, coin, name_of))
    return Missing(now, wait, "; ".join(parts))


def _left(policy: Policy, at_hand: AtHand, moment: Moment) -> Policy | bool:
    """What is left to be met beside what is at hand; False while heights or times are in the way."""

    def truth(leaf: Leaf) -> bool | None:
        if isinstance(leaf, AfterHeight | AfterTime):
            return moment.has_come(leaf)
        return at_hand.has(leaf) or None

    return reduced(policy, truth)


def _locked_text(policy: Policy, at_hand: AtHand, moment: Moment, coin: Coin, name_of: NameOf) -> str:
    """Until when it is locked for everybody, and who is needed then beside what is at hand."""
    leaves = list(leaves_of(policy))
    everything = AtHand(
        [leaf.key for leaf in leaves if isinstance(leaf, Key)],
        [leaf.digest for leaf in leaves if isinstance(leaf, Hash)],
    )
    locks = opens_for(policy, everything, moment, coin) or NO_LOCKS
    then = Moment(max(moment.height, locks.height), max(moment.median_time_past, locks.time))
    left = _left(policy, at_hand, then)
    needed = "" if isinstance(left, bool) else f"; from then on it still needs {who(left, name_of)}"
    return f"nobody can spend before {locks_text(locks)}{_in_about(locks, moment, coin)}{needed}"


def _when(locks: Locks, moment: Moment, coin: Coin) -> str:
    return f"{locks_text(locks)} on{_in_about(locks, moment, coin)}"


def locks_text(locks: Locks) -> str:
    """`block 5000`, `2027-01-01 00:00 UTC`, or both."""
    texts = [f"block {locks.height}"] if locks.height else []
    texts += [utc_text(locks.time)] if locks.time else []
    return " and ".join(texts) or "now"


def _in_about(locks: Locks, moment: Moment, coin: Coin) -> str:
    waits = [moment.seconds_until(AfterHeight(locks.height), coin)] if locks.height else []
    waits += [moment.seconds_until(AfterTime(locks.time), coin)] if locks.time else []
    seconds = max(waits, default=0)
    return f" (in {about(seconds)})" if seconds > 0 else ""
