"""The contracts that people use most, ready made: a function each, with when to take it, and its risk.

Keys are 32-byte x-only keys. A lock is a leaf, `AfterHeight` or `AfterTime`; there are no locks that count from a
payment, so a delay is turned into one by `height_in` or `time_in`. All of them raise BadPolicy for what is no policy (a
key twice, 3 of 2); the rest is asked of `safety.check_safe`, like of any other policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..core.coin import Coin
from ..core.policy import MAX_CHILDREN, AfterHeight, AfterTime, Hash, Key, Policy, Threshold
from .errors import BadPolicy
from .moment import LAST_TIME, Lock, Moment
from .safety import check_bounds


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """What a person should know of a ready-made contract before taking it."""

    name: str
    when: str
    risk: str


READY_MADE: Final[Mapping[str, ReadyMade]] = {
    each.name: each
    for each in (
        ReadyMade(
            "multisig",
            "Several people, or several devices of one, hold money together, and some number of them has to agree.",
            "With as many signatures as people, one lost phone loses the money: ask for fewer, or add a key. Who"
            " loses the policy's text can spend only with somebody who has it.",
        ),
        ReadyMade(
            "vault",
            "Savings: the key in daily use can take them after a delay only, and the key in the drawer at once.",
            "The delay ends once, at a fixed block or time; from then on the daily key is as good as the other, so"
            " renew the vault before. Who finds the key in the drawer takes all at once.",
        ),
        ReadyMade(
            "escrow",
            "A buyer pays before the goods are there: buyer and seller agree on who gets the money, or an arbiter"
            " sides with one.",
            "The arbiter and either side can take all of it. If two of the three lose their keys, nobody can.",
        ),
        ReadyMade(
            "vesting",
            "Money that its owner may not touch before a date: a salary in parts, a gift to a child.",
            "Without somebody who can take it back, a lost key loses it. With one, that person can take it at any"
            " time, also after the date: who wants to keep it moves it on.",
        ),
        ReadyMade(
            "inherit",
            "An heir can take over when the owner has not moved the money before a date.",
            "From the date on both can spend, whether the owner lives or not: the owner renews it before, each time.",
        ),
        ReadyMade(
            "swap",
            "Half of a trade without trust: the receiver takes the money by showing a secret, or the sender has it"
            " back later.",
            "Who claims, claims well before the time: from then on both ways are open, and the secret is public once"
            " it was used. Of the two halves the one that is paid first, by whoever made the secret, has the later"
            " time, by far. A secret is used once.",
        ),
    )
}


def multisig(k: int, keys: Sequence[bytes]) -> Policy:
    """`k of (…)`: k of 2 to 16 keys sign. Raises BadPolicy."""
    if not 2 <= len(keys) <= MAX_CHILDREN:
        raise BadPolicy(
            f"a multisig has 2 to {MAX_CHILDREN} keys, not {len(keys)}", expected=MAX_CHILDREN, found=len(keys)
        )
    if not 1 <= k <= len(keys):
        raise BadPolicy(f"of {len(keys)} keys, 1 to {len(keys)} can be asked for, not {k}", expected=len(keys), found=k)
    return _checked(Threshold(k, tuple([Key(key) for key in keys])))


def vault(hot: bytes, cold: bytes, after: Lock) -> Policy:
    """`cold or (hot and after …)`: the cold key at once, the hot one after a delay. Raises BadPolicy."""
    return _now_or_later(cold, hot, after)


def escrow(buyer: bytes, seller: bytes, arbiter: bytes) -> Policy:
    """`2 of (buyer, seller, arbiter)`. Raises BadPolicy."""
    return multisig(2, [buyer, seller, arbiter])


def vesting(beneficiary: bytes, after: Lock, recall: bytes | None = None) -> Policy:
    """`beneficiary and after …`; with `recall`, the key of somebody who can take it back, in the other branch of an
    `or`.

    Raises BadPolicy.
    """
    if recall is not None:
        return _now_or_later(recall, beneficiary, after)
    return _checked(_and(Key(beneficiary), after))


def inherit(owner: bytes, heir: bytes, after: Lock) -> Policy:
    """`owner or (heir and after …)`. Raises BadPolicy."""
    return _now_or_later(owner, heir, after)


def swap(receiver: bytes, sender: bytes, digest: bytes, after: Lock) -> Policy:
    """`(receiver and hash …) or (sender and after …)`: half of an atomic swap (HTLC). Raises BadPolicy.

    `digest`: the SHA-256 of 32 fresh secret bytes.
    """
    return _checked(_or(_and(Key(receiver), Hash(digest)), _and(Key(sender), after)))


def height_in(seconds: int, coin: Coin, moment: Moment) -> AfterHeight:
    """The height that is expected after a delay, in whole blocks, rounded up. Raises BadPolicy if it never comes."""
    height = moment.height + -(-seconds // coin.block_time)
    if seconds < 0 or height > 2**32 - 1:
        raise BadPolicy("a delay is 0 seconds or more, and ends while the chain lasts", found=seconds)
    return AfterHeight(height)


def time_in(seconds: int, moment: Moment) -> AfterTime:
    """The median_time_past after a delay. Raises BadPolicy for one that never comes."""
    time = moment.median_time_past + seconds
    if seconds < 0 or time > LAST_TIME:
        raise BadPolicy("a delay is 0 seconds or more, and ends before 2106, as a chain's clock does", found=seconds)
    return AfterTime(time)


def _now_or_later(now: bytes, later: bytes, after: Lock) -> Policy:
    return _checked(_or(Key(now), _and(Key(later), after)))


def _and(*parts: Policy) -> Policy:
    return Threshold(len(parts), parts)


def _or(*parts: Policy) -> Policy:
    return Threshold(1, parts)


def _checked(policy: Policy) -> Policy:
    check_bounds(policy)
    return policy
