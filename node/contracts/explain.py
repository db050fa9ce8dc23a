"""A policy in plain English: what it is, who can spend now, and what opens when.

What can be spent now is found by cutting down the policy (`policy_tree.reduced`): locks that have come count as met,
the others as never met, and what is left says who and with which secret. Each lock that is still to come is then added
in its order, and where the rest changes, a new way opens. There is no "before" in a policy, so ways only open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.coin import Coin
from ..core.policy import AfterHeight, AfterTime, Hash, Key, Leaf, Policy, Threshold, leaves_of
from .language import NameOf, operator_of
from .moment import Lock, Moment, about, lock_text
from .policy_tree import name_text, reduced


@dataclass(frozen=True, slots=True)
class Opening:
    """A new way to spend, from some block on."""

    height: int
    """The height that has to come; 0 where only a time has to."""
    time: int
    """The median_time_past that has to come, Unix seconds; 0 where only a height has to."""
    seconds: int
    """Until it is expected."""
    who: str
    """Who can spend then, beside those who could before."""

    @property
    def sentence(self) -> str:
        """`from block 5000 on (in about 3 days): bob alone`."""
        locks: list[Lock] = [AfterHeight(self.height)] if self.height else []
        locks += [AfterTime(self.time)] if self.time else []
        return f"from {' and '.join(map(lock_text, locks))} on (in {about(self.seconds)}): {self.who}"


@dataclass(frozen=True, slots=True)
class InWords:
    """A policy in words, at one moment."""

    what: str
    """The whole policy, whatever the moment."""
    now: str | None
    """Who can spend at this moment; None for nobody."""
    later: tuple[Opening, ...]
    """What opens when, the soonest first."""

    def lines(self) -> list[str]:
        """All of it, line by line."""
        now = f"now: {self.now}" if self.now else "now: nobody, it is locked"
        return [self.what, now, *[opening.sentence for opening in self.later]]


def in_words(policy: Policy, coin: Coin, moment: Moment, name_of: NameOf = lambda key: None) -> InWords:
    """What a policy says, who can spend at this moment, and what opens when (heights by the coin's block_time)."""
    now = _left(policy, moment, ())
    return InWords(
        what=what(policy, name_of),
        now=None if now is False else ways_text(_ways(now), name_of),
        later=tuple(_openings(policy, coin, moment, name_of)),
    )


def _left(policy: Policy, moment: Moment, come: Sequence[Lock]) -> Policy | bool:
    """What is left to be met when all that has come at this moment, and `come`, is true, and other locks are not."""
    added = set(come)

    def truth(leaf: Leaf) -> bool | None:
        return (moment.has_come(leaf) or leaf in added) if isinstance(leaf, AfterHeight | AfterTime) else None

    return reduced(policy, truth)


def _openings(policy: Policy, coin: Coin, moment: Moment, name_of: NameOf) -> list[Opening]:
    waiting = {
        leaf for leaf in leaves_of(policy) if isinstance(leaf, AfterHeight | AfterTime) and not moment.has_come(leaf)
    }
    order = sorted(waiting, key=lambda lock: (moment.seconds_until(lock, coin), isinstance(lock, AfterTime)))
    found = []
    before = _left(policy, moment, ())
    for count, lock in enumerate(order, 1):
        come = order[:count]
        left = _left(policy, moment, come)
        old, before = set(_ways(before)), left
        new = [way for way in _ways(left) if way not in old]
        if not new:
            continue
        clock = [each for each in come if type(each) is type(lock)]
        needed = clock if len(clock) == len(come) or set(new) <= set(_ways(_left(policy, moment, clock))) else come
        found.append(
            Opening(
                height=max([each.height for each in needed if isinstance(each, AfterHeight)], default=0),
                time=max([each.time for each in needed if isinstance(each, AfterTime)], default=0),
                seconds=moment.seconds_until(lock, coin),
                who=ways_text(new, name_of),
            )
        )
    return found


def _ways(left: Policy | bool) -> list[Policy | bool]:
    """The alternatives of what is left; none where nothing can be met."""
    if isinstance(left, bool):
        return [True] if left else []
    return list(dict.fromkeys(_flat(left, "or")))


# phrases


def ways_text(ways: Sequence[Policy | bool], name_of: NameOf) -> str:
    """`alice alone, or bob with the secret of 9f86d081…`."""
    return _joined([_alone(way, name_of) for way in ways], "or")


def _alone(way: Policy | bool, name_of: NameOf) -> str:
    match way:
        case bool():
            return "anybody"
        case Key(key):
            return f"{name_text(key, name_of)} alone"
        case Hash(digest):
            return f"whoever knows the secret of {digest.hex()[:8]}…"
        case _:
            return who(way, name_of)


def what(policy: Policy, name_of: NameOf) -> str:
    """The whole policy in one phrase: `alice; or bob, from block 5000 on`."""
    return who(policy, name_of)


def who(policy: Policy, name_of: NameOf, *, is_inner: bool = False) -> str:
    """A policy as a phrase. `is_inner`: within another one, where brackets keep it together."""
    match policy:
        case Key(key):
            return name_text(key, name_of)
        case Hash(digest):
            return f"the secret of {digest.hex()[:8]}…"
        case AfterHeight() | AfterTime():
            return f"{lock_text(policy)} reached"
        case Threshold(k, children):
            operator = operator_of(policy)
            if operator == "and":
                text = _together(_flat(policy, operator), name_of)
            else:
                mates = _flat(policy, "or") if operator else children
                parts = [who(child, name_of, is_inner=k > 1) for child in mates]
                text = _joined(parts, "or") if operator == "or" else f"any {k} of {', '.join(parts)}"
            return f"({text})" if is_inner else text


def _flat(policy: Policy, operator: str) -> list[Policy]:
    """The children of an *and* (or an *or*), those of the like children in their place: in words these are the same."""
    if isinstance(policy, Threshold) and operator_of(policy) == operator:
        return [part for child in policy.children for part in _flat(child, operator)]
    return [policy]


def _together(children: Sequence[Policy], name_of: NameOf) -> str:
    """All of several: who signs, with which secret, from when on."""
    signers = [child for child in children if isinstance(child, Key | Threshold)]
    secrets = [child for child in children if isinstance(child, Hash)]
    locks = [child for child in children if isinstance(child, AfterHeight | AfterTime)]
    names = [who(child, name_of, is_inner=len(signers) > 1) for child in signers]
    text = f"{_listed(names)} together" if len(names) > 1 else names[0] if names else "whoever"
    if secrets:
        verb = "with" if names else "knows"
        text += f" {verb} the secret of {_listed([secret.digest.hex()[:8] + '…' for secret in secrets])}"
    if locks:
        text += f"{',' if names or secrets else ' comes'} from {_listed([lock_text(lock) for lock in locks])} on"
    return text


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _joined(parts: Sequence[str], word: str) -> str:
    """`a or b`, `a, b or c`; with semicolons where a part has commas or an "and" of its own."""
    if len(parts) > 1 and any("," in part or " and " in part for part in parts):
        return f"; {word} ".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else parts[0]
