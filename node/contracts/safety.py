"""Whether a policy is safe to use: why it is refused, and what its owners should know before they use it.

Consensus takes any policy: branches that nobody can reach and ways that everybody can take are their owner's affair
(`docs/protocol.md`, rules 2). Tools refuse what nobody can mean. One `check_` function a rule, each raising BadPolicy
with the `node` (pre-order) that is wrong; `cautions` are not refusals.

**How far apart times lie.** A time decides who comes first: the receiver of a swap before its time, the sender after
it. Where a miner or a reorg can move that border past both, it decides nothing. Miners can bring median_time_past up to
`clock_tolerance` ahead of the clock, and a heavier chain can be lower. So two locks that belong to different ways of
one policy are further apart than the tolerance, and than two blocks (`least_gap`); so is the first lock from now, if
the policy can be met without it: its other way needs time to be taken. Two locks that are always needed together, as in
`alice and after height 10 and after height 11`, decide nothing between them and may lie as they like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..core.coin import Coin
from ..core.errors import BadWitness
from ..core.policy import AfterHeight, AfterTime, Hash, Key, Policy, Threshold, encode_policy, leaves_of
from ..core.signing import is_on_curve
from .errors import BadPolicy
from .language import NameOf, Resolve, operator_of, read_policy
from .moment import LAST_TIME, Lock, Moment, about, genesis_moment, lock_text
from .policy_tree import is_open, name_text, numbered, reduced

_FAR: Final = 10 * 31_557_600
"""Seconds: a lock that is ten years away is more often a slip of the pen than meant."""
_ROOMY_BLOCKS: Final = 12
"""Two locks under this many block times apart are worth a caution: median_time_past lies some 6 blocks behind the
clock, and a claim wants a few confirmations."""


class Gap(NamedTuple):
    """How far two locks lie apart at least: in blocks, or in seconds."""

    blocks: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Caution:
    """What the owners of a policy should know; no reason to refuse it."""

    code: str
    """`all_needed`, `one_key`, `past`, `far`, `hash`, `close`, `mixed_clocks`, `both_open`."""
    message: str
    """A sentence or two for a person."""
    node: int | None = None
    """Number of the node in pre-order, where it is about one."""


def read_safe_policy(text: str, resolve: Resolve, coin: Coin, moment: Moment | None = None) -> Policy:
    """The policy that a text says, after all checks. Raises BadPolicy, which points into the text."""
    read = read_policy(text, resolve)
    try:
        check_safe(read.policy, coin, moment)
    except BadPolicy as error:
        raise read.pointing(error) from None
    return read.policy


def check_safe(policy: Policy, coin: Coin, moment: Moment | None = None) -> None:
    """All checks, in order. Raises BadPolicy.

    `moment`: the next block's; where it is not known, no lock counts as past, and none as too near to now.
    """
    check_bounds(policy)
    check_keys_on_curve(policy)
    check_needs_a_key(policy)
    check_can_be_met(policy, coin, moment)
    check_times_apart(policy, coin, moment)


def check_bounds(policy: Policy) -> None:
    """It can be encoded: nodes, keys, depth, each key once, numbers of 32 bits."""
    try:
        encode_policy(policy)
    except BadWitness as error:
        raise BadPolicy(error.message, **error.details) from None


def check_keys_on_curve(policy: Policy) -> None:
    """Each key is the x of a point of the curve: for another nobody can sign."""
    for number, node in enumerate(numbered(policy)):
        if isinstance(node, Key) and not is_on_curve(node.key):
            raise BadPolicy("nobody can sign with this key: it is not on the curve", node=number, found=node.key.hex())


def check_needs_a_key(policy: Policy) -> None:
    """Every way to meet it needs a signature. Else whoever sees such a spend pays himself instead."""
    if _fewest_keys(policy):
        return
    number = 0
    node = policy
    while isinstance(node, Threshold) and node.k == 1:  # to the way that is open to all
        number += 1
        for child in node.children:
            if not _fewest_keys(child):
                node = child
                break
            number += sum(1 for _ in numbered(child))
    raise BadPolicy(
        'this can be met without a key, so anybody could take the money: join a signer to it with "and"', node=number
    )


def _fewest_keys(policy: Policy) -> int:
    """How many signatures the way with the fewest needs."""
    if isinstance(policy, Threshold):
        return sum(sorted(map(_fewest_keys, policy.children))[: policy.k])
    return int(isinstance(policy, Key))


def check_can_be_met(policy: Policy, coin: Coin, moment: Moment | None = None) -> None:
    """Some way opens while the chain lasts: a block's timestamp has 32 bits, which end in 2106.

    Heights are turned into times by the coin's block_time.
    """
    start = moment or genesis_moment(coin)
    if _opens(policy, coin, start) <= LAST_TIME:
        return
    number, lock = next(
        (number, node)
        for number, node in enumerate(numbered(policy))
        if isinstance(node, AfterHeight | AfterTime) and _opens(node, coin, start) > LAST_TIME
    )
    raise BadPolicy(
        f"this can never be met: it waits until {lock_text(lock)}, and a chain's clock ends in 2106", node=number
    )


def _opens(policy: Policy, coin: Coin, start: Moment) -> int:
    """Unix seconds at which heights and times are expected to let somebody meet it; 0 where none is in the way."""
    if isinstance(policy, Threshold):
        return sorted([_opens(child, coin, start) for child in policy.children])[policy.k - 1]
    if isinstance(policy, AfterTime):
        return policy.time
    if isinstance(policy, AfterHeight):
        return max(0, start.median_time_past + start.seconds_until(policy, coin))
    return 0


# times


class _Placed(NamedTuple):
    """A lock, and the thresholds above it."""

    lock: Lock
    node: int
    path: tuple[tuple[int, bool], ...]
    """Of each threshold from the root down: its number, and whether it asks for all of its children."""

    @property
    def is_always_needed(self) -> bool:
        return all(is_all for _, is_all in self.path)


def least_gap(coin: Coin) -> Gap:
    """How far apart two locks of one policy lie at least on this coin: more than its clock_tolerance, and 2 blocks."""
    return Gap(
        blocks=max(2, coin.clock_tolerance // coin.block_time + 1),
        seconds=max(2 * coin.block_time, coin.clock_tolerance + 1),
    )


def check_times_apart(policy: Policy, coin: Coin, moment: Moment | None = None) -> None:
    """Locks of different ways lie `least_gap` apart, and the first of them from now (see the top of this file)."""
    gap = least_gap(coin)
    for early, late, distance in _distances(policy, coin, moment):
        least = gap.blocks * coin.block_time if isinstance(late.lock, AfterHeight) else gap.seconds
        if distance >= least:
            continue
        needed = f"{gap.blocks} blocks, or {gap.seconds} seconds of time"
        if early == late:
            raise BadPolicy(
                f"{lock_text(late.lock)} is too near to now: the other way would have no time to be taken; on this"
                f" coin leave {needed}",
                node=late.node,
                expected=needed,
            )
        raise BadPolicy(
            f"{lock_text(early.lock)} and {lock_text(late.lock)} lie too close to decide who comes first: on this coin"
            f" a miner or a reorg can pass both at once; leave {needed}",
            node=late.node,
            expected=needed,
        )


def _distances(policy: Policy, coin: Coin, moment: Moment | None) -> Iterator[tuple[_Placed, _Placed, int]]:
    """Pairs of locks that could be taken for each other: the earlier, the later, and the seconds between them.

    A pair of a lock with itself stands for the distance from now.
    """
    locks = [each for each in _placed(policy) if moment is None or not moment.has_come(each.lock)]
    start = moment or genesis_moment(coin)
    if moment is not None and is_open(policy, moment):
        for each in locks:
            if not each.is_always_needed:
                yield each, each, start.seconds_until(each.lock, coin)
    locks.sort(key=lambda each: start.seconds_until(each.lock, coin))
    for number, early in enumerate(locks):
        for late in locks[number + 1 :]:
            is_one_clock = type(early.lock) is type(late.lock)
            if early.lock == late.lock or _are_together(early, late) or (moment is None and not is_one_clock):
                continue
            yield early, late, start.seconds_until(late.lock, coin) - start.seconds_until(early.lock, coin)


def _placed(policy: Policy) -> list[_Placed]:
    found: list[_Placed] = []
    numbers = iter(range(1_000))

    def walk(node: Policy, path: tuple[tuple[int, bool], ...]) -> None:
        number = next(numbers)
        if isinstance(node, Threshold):
            for child in node.children:
                walk(child, (*path, (number, node.k == len(node.children))))
        elif isinstance(node, AfterHeight | AfterTime):
            found.append(_Placed(node, number, path))

    walk(policy, ())
    return found


def _are_together(one: _Placed, other: _Placed) -> bool:
    """Whether every way that needs one of the locks needs both."""
    shared = 0
    while one.path[shared : shared + 1] == other.path[shared : shared + 1] != ():
        shared += 1
    return all(is_all for _, is_all in (*one.path[shared - 1 :], *other.path[shared - 1 :]))


# what is no reason to refuse


def cautions(
    policy: Policy, coin: Coin, moment: Moment | None = None, name_of: NameOf = lambda key: None
) -> list[Caution]:
    """What the owners of a safe policy should know, the most important first."""
    return [
        *_about_keys(policy, name_of),
        *_about_locks(policy, coin, moment),
        *_about_clocks(policy, coin, moment),
        *(
            Caution(
                "hash",
                "the secret behind this hash is public for ever once it was used: each contract takes a fresh one,"
                " and whoever made it keeps it until the money is claimed",
                number,
            )
            for number, node in enumerate(numbered(policy))
            if isinstance(node, Hash)
        ),
    ]


def keys_always_needed(policy: Policy) -> list[bytes]:
    """The keys without which the policy cannot be met, in their order."""
    return [leaf.key for leaf in leaves_of(policy) if isinstance(leaf, Key) and not _can_do_without(policy, leaf)]


def _can_do_without(policy: Policy, key: Key) -> bool:
    return reduced(policy, lambda leaf: leaf != key) is True


def _about_keys(policy: Policy, name_of: NameOf) -> Iterator[Caution]:
    needed = [name_text(key, name_of) for key in keys_always_needed(policy)]
    if len(needed) > 1:
        yield Caution(
            "all_needed",
            f"every way needs the keys of {' and '.join(needed)}: if one of them is lost, so is the money. One key"
            f" more helps, on paper or with somebody else: {len(needed)} of {len(needed) + 1}",
        )
    elif needed and isinstance(policy, Threshold):
        yield Caution("one_key", f"every way needs the key of {needed[0]}: if it is lost, so is the money")


def _about_locks(policy: Policy, coin: Coin, moment: Moment | None) -> Iterator[Caution]:
    start = moment or genesis_moment(coin)
    opening: list[_Placed] = []
    for each in _placed(policy):
        seconds = start.seconds_until(each.lock, coin)
        if moment is not None and moment.has_come(each.lock):
            yield Caution("past", f"{lock_text(each.lock)} has come already: this part is open at once", each.node)
        elif moment is not None and seconds > _FAR:
            yield Caution("far", f"{lock_text(each.lock)} is far away: in {about(seconds)}", each.node)
        elif not each.is_always_needed:
            opening.append(each)
    if opening:
        yield Caution(
            "both_open",
            "what was open before stays open when another way opens: whoever is to come first has to spend before that",
            opening[0].node,
        )


def _about_clocks(policy: Policy, coin: Coin, moment: Moment | None) -> Iterator[Caution]:
    locks = [each for each in _placed(policy) if moment is None or not moment.has_come(each.lock)]
    heights = [each for each in locks if isinstance(each.lock, AfterHeight) and not each.is_always_needed]
    times = [each for each in locks if isinstance(each.lock, AfterTime) and not each.is_always_needed]
    if heights and times:
        yield Caution(
            "mixed_clocks",
            f"{lock_text(heights[0].lock)} and {lock_text(times[0].lock)} are on two clocks: blocks may come faster or"
            " slower than planned, so which of the two opens first is not certain",
            times[0].node,
        )
    close = [late for _, late, seconds in _distances(policy, coin, moment) if seconds < _ROOMY_BLOCKS * coin.block_time]
    if close:
        yield Caution(
            "close",
            f"there is little time before {lock_text(close[0].lock)}: under {_ROOMY_BLOCKS} blocks, in which a spend"
            " has to be signed, mined and deep enough to stay",
            close[0].node,
        )


def with_spare(policy: Policy, spare: bytes) -> Policy | None:
    """The policy with one key more in the first group that asks for all of its keys, so that one of them may be lost.

    `a and b` becomes `2 of (a, b, spare)`. `spare`: a 32-byte key. None where no such group is, or no room for the key.
    """
    made = _with_spare(policy, spare)
    if made is None:
        return None
    try:
        encode_policy(made)
    except BadWitness:
        return None
    return made


def _with_spare(policy: Policy, spare: bytes) -> Policy | None:
    if not isinstance(policy, Threshold):
        return None
    if operator_of(policy) == "and":
        keys = tuple([child for child in policy.children if isinstance(child, Key)])
        others = tuple([child for child in policy.children if not isinstance(child, Key)])
        if len(keys) > 1:
            group = Threshold(len(keys), (*keys, Key(spare)))
            return Threshold(len(others) + 1, (group, *others)) if others else group
    for number, child in enumerate(policy.children):
        made = _with_spare(child, spare)
        if made is not None:
            return Threshold(policy.k, (*policy.children[:number], made, *policy.children[number + 1 :]))
    return None
