"""Policies as JSON trees, and policies cut down to what is still to be met.

A node of a tree is spelled as in the vectors of rules 2: `{"key": hex}`, `{"hash": hex}`, `{"after_height": n}`,
`{"after_time": n}`, `{"threshold": k, "of": [node, …]}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..core.errors import BadWitness
from ..core.policy import (
    MAX_CHILDREN,
    MAX_DEPTH,
    MAX_NODES,
    AfterHeight,
    AfterTime,
    Hash,
    Key,
    Leaf,
    Policy,
    Threshold,
    encode_policy,
)
from ..system.text import shown
from .errors import BadPolicy
from .language import KEYWORDS, NameOf, operator_of
from .moment import Moment, lock_text

_LAST_U32: Final = 2**32 - 1
_HEX_32: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME: Final = 76
"""Characters of a name that are shown: `name_of` may also answer with an address."""

_SPOKEN: Final = frozenset(
    (
        *KEYWORDS,
        "alone",
        "any",
        "anybody",
        "each",
        "from",
        "key",
        "nobody",
        "nothing",
        "now",
        "the",
        "together",
        "until",
    )
)
"""Words of the sentences that names stand in."""

Truth = Callable[[Leaf], bool | None]
"""Whether a leaf is true, false, or to be kept as it is."""


def name_text(key: bytes, name_of: NameOf) -> str:
    """A key for a reader: its name, made safe to show, or its first digits.

    In quotes where it could be read as more than a name: a co-signer's file may call its maker `bob and carol`.
    """
    name = name_of(key)
    if not name:
        return f"key {key.hex()[:8]}…"
    words = {word.casefold() for word in name.split()}
    text = shown(name, _LONGEST_NAME)
    return f'"{text}"' if words & _SPOKEN or any(word[0].isdigit() for word in words) else text


def numbered(policy: Policy) -> Iterator[Policy]:
    """All nodes in pre-order: the place of a node here is the number by which errors name it."""
    yield policy
    if isinstance(policy, Threshold):
        for child in policy.children:
            yield from numbered(child)


def tree_of(policy: Policy) -> dict[str, Any]:
    """A policy as a JSON-ready tree."""
    match policy:
        case Key(key):
            return {"key": key.hex()}
        case Hash(digest):
            return {"hash": digest.hex()}
        case AfterHeight(height):
            return {"after_height": height}
        case AfterTime(time):
            return {"after_time": time}
        case Threshold(k, children):
            return {"threshold": k, "of": [tree_of(child) for child in children]}


def shown_tree(policy: Policy, moment: Moment, name_of: NameOf = lambda key: None) -> dict[str, Any]:
    """`tree_of` with more for each node, for a page to draw.

    `kind`: key, hash, after_height, after_time, threshold. `label`: a few words. `is_open_now`: no height or time
    stands against it at `moment` (a key or a hash is always open). `leaf`: of a leaf, its index in a witness.
    """
    leaves = iter(range(MAX_NODES))

    def shown_node(node: Policy) -> dict[str, Any]:
        spelled = tree_of(node)
        kind = next(iter(spelled))
        about = {"kind": kind, "label": _label(node, name_of), "is_open_now": is_open(node, moment)}
        if isinstance(node, Threshold):
            return {**about, "threshold": node.k, "of": [shown_node(child) for child in node.children]}
        return {**about, **spelled, "leaf": next(leaves)}

    return shown_node(policy)


def _label(node: Policy, name_of: NameOf) -> str:
    match node:
        case Key(key):
            return name_text(key, name_of)
        case Hash(digest):
            return f"the secret of {digest.hex()[:8]}…"
        case AfterHeight() | AfterTime():
            return f"from {lock_text(node)} on"
        case Threshold(k, children):
            operator = operator_of(node)
            return {"and": "all of", "or": "one of", None: f"{k} of {len(children)}"}[operator]


def policy_of_tree(tree: object) -> Policy:
    """The policy that a JSON tree spells. Raises BadPolicy; `details.field` is the way to the wrong node: `of[1].key`.

    Bounded: no more nodes are looked at than a policy may have, and none deeper.
    """
    policy = _Trees().read(tree, "", 1)
    try:
        encode_policy(policy)
    except BadWitness as error:
        raise BadPolicy(error.message, **error.details) from None
    return policy


class _Trees:
    """Reads one JSON tree."""

    def __init__(self) -> None:
        self._nodes = 0

    def read(self, tree: object, field: str, depth: int) -> Policy:
        """The node that stands at `field`, at this depth."""
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise BadPolicy(f"a policy has at most {MAX_NODES} nodes and {MAX_DEPTH} levels", field=field)
        match tree:
            case {"key": str(text), **more} if not more:
                return Key(_bytes32(text, f"{field}.key"))
            case {"hash": str(text), **more} if not more:
                return Hash(_bytes32(text, f"{field}.hash"))
            case {"after_height": int(height), **more} if not more:
                return AfterHeight(_u32(height, f"{field}.after_height"))
            case {"after_time": int(time), **more} if not more:
                return AfterTime(_u32(time, f"{field}.after_time"))
            case {"threshold": int(k), "of": list(children), **more} if not more:
                return self._threshold(k, children, field, depth)
        expected = "an object with key, hash, after_height or after_time, or with threshold and of"
        raise BadPolicy(f"a node of a policy is {expected}", field=field.removeprefix("."), expected=expected)

    def _threshold(self, k: int, children: list[object], field: str, depth: int) -> Threshold:
        count = len(children)
        if isinstance(k, bool) or not 2 <= count <= MAX_CHILDREN or not 1 <= k <= count:
            raise BadPolicy(
                f"a threshold asks for 1 of 2 to {MAX_CHILDREN} of {MAX_CHILDREN}",
                field=f"{field}.threshold".lstrip("."),
            )
        nodes = [self.read(child, f"{field}.of[{number}]", depth + 1) for number, child in enumerate(children)]
        return Threshold(k, tuple(nodes))


def _bytes32(text: str, field: str) -> bytes:
    if not _HEX_32.fullmatch(text):
        raise BadPolicy("a key or a hash is written as 64 hex digits, in small letters", field=field.removeprefix("."))
    return bytes.fromhex(text)


def _u32(number: int, field: str) -> int:
    if isinstance(number, bool) or not 0 <= number <= _LAST_U32:
        raise BadPolicy(f"a height or a time is a whole number from 0 to {_LAST_U32}", field=field.removeprefix("."))
    return number


# cut down


def reduced(policy: Policy, truth: Truth) -> Policy | bool:
    """What is left of a policy when some of its leaves are known: True where they meet it, False where none can any
    more.

    True leaves lower the number that a threshold asks for, false ones leave it. What is left may be no policy that
    could be encoded (a threshold of one is replaced by that one).
    """
    if not isinstance(policy, Threshold):
        known = truth(policy)
        return policy if known is None else known
    kept: list[Policy] = []
    k = policy.k
    for child in policy.children:
        left = reduced(child, truth)
        if left is True:
            k -= 1
        elif left is not False:
            kept.append(left)
    if k <= 0:
        return True
    if k > len(kept):
        return False
    return kept[0] if len(kept) == 1 else Threshold(k, tuple(kept))


def is_open(policy: Policy, moment: Moment) -> bool:
    """Whether heights and times allow to meet a policy at this moment, if all keys sign and all preimages are known."""
    return (
        reduced(policy, lambda leaf: moment.has_come(leaf) if isinstance(leaf, AfterHeight | AfterTime) else True)
        is True
    )
