"""Policies: who may spend from an address of kind 1, after when, against which secret (`docs/protocol.md`, rules 2).

A policy is a tree of leaves (a key, a hash, a height, a time) and thresholds (k of n). The address commits to its
bytes; a spend shows them, and names the leaves that it meets. Here stand the trees, their one encoding, the witness in
which a spend names its leaves, and the rule that these are exactly enough. Signatures and the clock are judged
elsewhere (`signing.signature_checks`, `ledger.check_locks`): nothing here depends on a block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from .codec import tag_prefix
from .errors import BadWitness
from .types import POLICY_KIND

MAX_NODES: Final = 64
"""Of one policy, thresholds included."""
MAX_KEYS: Final = 20
MAX_DEPTH: Final = 4
"""The root is at depth 1."""
MAX_CHILDREN: Final = 16
"""Of one threshold; it has two at least."""
_LAST_U32: Final = 2**32 - 1

_KEY_TAG, _HASH_TAG, _AFTER_HEIGHT_TAG, _AFTER_TIME_TAG, _THRESHOLD_TAG = range(5)
_TAG: Final = tag_prefix("moneyer/policy")
_KEPT_POLICIES: Final = 1_024
"""Decoded policies that are kept, some 10 MB at most: a contract's spends show the same one again and again."""


@dataclass(frozen=True, slots=True)
class Key:
    """True where this key signed."""

    key: bytes
    """32-byte x-only public key; whether it is on the curve is its owner's affair."""


@dataclass(frozen=True, slots=True)
class Hash:
    """True where the spend shows the 32 bytes that have this SHA-256."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class AfterHeight:
    """True in blocks of this height and above."""

    height: int


@dataclass(frozen=True, slots=True)
class AfterTime:
    """True in blocks whose median_time_past is at least this, Unix seconds."""

    time: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """True where `k` of the children are: all of them is *and*, one of them is *or*."""

    k: int
    children: tuple[Policy, ...]


Leaf = Key | Hash | AfterHeight | AfterTime
Policy = Leaf | Threshold


@dataclass(frozen=True, slots=True)
class Item:
    """A leaf that a witness names. `data`: a key's signature (64 bytes), a hash's preimage (32), else nothing."""

    index: int
    data: bytes


class Locks(NamedTuple):
    """The greatest height and median_time_past that the named leaves ask for; 0 where none does."""

    height: int
    time: int


NO_LOCKS = Locks(0, 0)


class Shape(NamedTuple):
    """A decoded policy and its leaves in pre-order: a leaf's index is its place there."""

    policy: Policy
    leaves: tuple[Leaf, ...]


def leaves_of(policy: Policy) -> Iterator[Leaf]:
    """The leaves in pre-order, thresholds not counted: leaf 0, leaf 1, …"""
    if isinstance(policy, Threshold):
        for child in policy.children:
            yield from leaves_of(child)
    else:
        yield policy


def nodes_of(policy: Policy) -> int:
    """How many nodes the tree has, thresholds included."""
    return 1 + sum(map(nodes_of, policy.children)) if isinstance(policy, Threshold) else 1


def depth_of(policy: Policy) -> int:
    """Levels of the tree: 1 for a single leaf."""
    return 1 + max(map(depth_of, policy.children)) if isinstance(policy, Threshold) else 1


def encode_policy(policy: Policy) -> bytes:
    """The bytes of a policy, in pre-order. Raises BadWitness for one that `decode_policy` would refuse."""
    try:
        raw = b"".join(_encoded(policy, 1))
    except (struct.error, ValueError) as error:
        raise BadWitness(f"this policy cannot be encoded: {error}") from None
    if decode_policy(raw).policy != policy:
        raise BadWitness("a key or a hash of this policy does not have 32 bytes")
    return raw


def _encoded(policy: Policy, depth: int) -> Iterator[bytes]:
    if depth > MAX_DEPTH:  # before Python's own stack ends
        raise BadWitness("the policy is too deep", expected=f"at most {MAX_DEPTH} levels")
    match policy:
        case Key(key):
            yield bytes([_KEY_TAG]) + key
        case Hash(digest):
            yield bytes([_HASH_TAG]) + digest
        case AfterHeight(height):
            yield struct.pack("<BI", _AFTER_HEIGHT_TAG, height)
        case AfterTime(time):
            yield struct.pack("<BI", _AFTER_TIME_TAG, time)
        case Threshold(k, children):
            yield bytes([_THRESHOLD_TAG, k, len(children)])
            for child in children:
                yield from _encoded(child, depth + 1)


@lru_cache(maxsize=_KEPT_POLICIES)
def decode_policy(raw: bytes) -> Shape:
    """The policy whose bytes these are, all of them. Raises BadWitness."""
    reader = _Reader(raw)
    policy = reader.node(1)
    if reader.at != len(raw):
        raise BadWitness("bytes follow the policy", expected=reader.at, found=len(raw))
    return Shape(policy, tuple(reader.leaves))


class _Reader:
    """Reads one policy from its bytes. The bounds are checked on the way: nothing is read beyond them."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0
        self.leaves: list[Leaf] = []
        self._nodes = 0
        self._keys: set[bytes] = set()

    def node(self, depth: int) -> Policy:
        """The node that begins here, at this depth."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise BadWitness("the policy has too many nodes", expected=f"at most {MAX_NODES}")
        if depth > MAX_DEPTH:
            raise BadWitness("the policy is too deep", expected=f"at most {MAX_DEPTH} levels")
        tag = self._take(1)[0]
        if tag == _THRESHOLD_TAG:
            return self._threshold(depth)
        leaf = self._leaf(tag)
        self.leaves.append(leaf)
        return leaf

    def _leaf(self, tag: int) -> Leaf:
        if tag == _KEY_TAG:
            key = self._take(32)
            if key in self._keys:
                raise BadWitness("a key stands twice in the policy", found=key.hex())
            self._keys.add(key)
            if len(self._keys) > MAX_KEYS:
                raise BadWitness("the policy has too many keys", expected=f"at most {MAX_KEYS}")
            return Key(key)
        if tag == _HASH_TAG:
            return Hash(self._take(32))
        if tag == _AFTER_HEIGHT_TAG:
            return AfterHeight(int.from_bytes(self._take(4), "little"))
        if tag == _AFTER_TIME_TAG:
            return AfterTime(int.from_bytes(self._take(4), "little"))
        raise BadWitness("no node of a policy has this tag", expected="0 to 4", found=tag)

    def _threshold(self, depth: int) -> Threshold:
        k, n = self._take(2)
        if not 2 <= n <= MAX_CHILDREN or not 1 <= k <= n:
            raise BadWitness(
                "a threshold asks for k of n, 1 <= k <= n and 2 <= n <= 16", expected="1 <= k <= n", found=f"{k} of {n}"
            )
        return Threshold(k, tuple([self.node(depth + 1) for _ in range(n)]))

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._raw):
            raise BadWitness("the policy is cut short", expected=end, found=len(self._raw))
        taken = self._raw[self.at : end]
        self.at = end
        return taken


def policy_hash(raw: bytes) -> bytes:
    """The 32 bytes that an address holds of a policy's bytes."""
    return sha256(_TAG + raw).digest()


def payload_of_policy(raw: bytes) -> bytes:
    """The 33-byte payload of the address of a policy's bytes, on every coin of rules 2."""
    return bytes([POLICY_KIND]) + policy_hash(raw)


# the witness of a spend


def encode_witness(raw_policy: bytes, items: Sequence[Item]) -> bytes:
    """The witness that shows a policy's bytes and names leaves, `items` by ascending index."""
    named = b"".join([bytes([item.index]) + item.data for item in items])
    return struct.pack("<H", len(raw_policy)) + raw_policy + bytes([len(items)]) + named


def decode_witness(witness: bytes) -> tuple[bytes, Shape, list[Item]]:
    """A policy's bytes, the policy, and the items that a witness of kind 1 holds. Raises BadWitness."""
    if len(witness) < 2:
        raise BadWitness(
            "the witness is cut short", expected="a policy and the leaves that are met", found=len(witness)
        )
    end = 2 + int.from_bytes(witness[:2], "little")
    if end >= len(witness):
        raise BadWitness("the witness is cut short within its policy", expected=f"over {end} bytes", found=len(witness))
    raw_policy = witness[2:end]
    shape = decode_policy(raw_policy)
    return raw_policy, shape, _items(witness, end, shape.leaves)


def _items(witness: bytes, at: int, leaves: Sequence[Leaf]) -> list[Item]:
    items = []
    last = -1
    count, at = witness[at], at + 1
    for _ in range(count):
        if at >= len(witness):
            raise BadWitness("the witness is cut short: it names fewer leaves than it says", expected=count)
        index, at = witness[at], at + 1
        if not last < index < len(leaves):
            raise BadWitness(
                "the leaves of a witness are named once each, in order",
                expected=f"{last + 1} to {len(leaves) - 1}",
                found=index,
            )
        size = _data_size(leaves[index])
        if at + size > len(witness):
            raise BadWitness("the witness is cut short within an item", expected=at + size, found=len(witness))
        items.append(Item(index, witness[at : at + size]))
        last, at = index, at + size
    if at != len(witness):
        raise BadWitness("bytes follow the last item of the witness", expected=at, found=len(witness))
    return items


def _data_size(leaf: Leaf) -> int:
    return 64 if isinstance(leaf, Key) else 32 if isinstance(leaf, Hash) else 0


def check_exactly_enough(shape: Shape, named: Sequence[int]) -> None:
    """The named leaves satisfy the policy, and no proper subset of them does. Raises BadWitness.

    An unnamed leaf counts as false, true or not. `named`: leaf indexes, ascending. So nobody who holds no key can drop,
    move or exchange an item: there is no second witness for the same leaves.
    """
    chosen = set(named)
    indexes = iter(range(len(shape.leaves)))

    def is_met(node: Policy) -> tuple[bool, bool]:
        """Whether a node is met, and whether a leaf at or below it is named."""
        if not isinstance(node, Threshold):
            is_named = next(indexes) in chosen
            return is_named, is_named
        children = [is_met(child) for child in node.children]
        if any(is_named and not met for met, is_named in children):
            raise BadWitness("a leaf is named that does not help to meet the policy")
        count = sum(met for met, _ in children)
        if count > node.k:
            raise BadWitness("more leaves are named than the policy asks for", expected=node.k, found=count)
        return count == node.k, count > 0

    if not is_met(shape.policy)[0]:
        raise BadWitness("the named leaves do not meet the policy")


def check_preimages(shape: Shape, items: Sequence[Item]) -> None:
    """Each named hash has its preimage: 32 bytes, of which the SHA-256 (one pass) is the leaf's. Raises BadWitness."""
    for item in items:
        leaf = shape.leaves[item.index]
        if isinstance(leaf, Hash) and sha256(item.data).digest() != leaf.digest:
            raise BadWitness("a preimage does not have the hash of its leaf", expected=leaf.digest.hex())


def chosen_of(shape: Shape, named: Sequence[int]) -> bytes:
    """What every signature also covers: the index, one byte, of each named leaf that is not a key, ascending."""
    return bytes([index for index in named if not isinstance(shape.leaves[index], Key)])


def locks_of(leaves: Sequence[Leaf], named: Sequence[int]) -> Locks:
    """The greatest height and time that the named leaves ask for."""
    height = time = 0
    for index in named:
        leaf = leaves[index]
        if isinstance(leaf, AfterHeight):
            height = max(height, leaf.height)
        elif isinstance(leaf, AfterTime):
            time = max(time, leaf.time)
    return Locks(height, time)


def exact_choices(policy: Policy, met: Mapping[int, bool]) -> Iterator[tuple[int, ...]]:
    """Every set of leaf indexes, ascending, that is exactly enough and of leaves that `met` says are true.

    Lazy: a threshold of many children has very many.
    """
    yield from _choices(policy, 0, met)


def _choices(node: Policy, first: int, met: Mapping[int, bool]) -> Iterator[tuple[int, ...]]:
    """`first`: the index of the first leaf at or below the node."""
    if not isinstance(node, Threshold):
        if met.get(first, False):
            yield (first,)
        return
    starts = []
    for child in node.children:
        starts.append(first)
        first += sum(1 for _ in leaves_of(child))
    yield from _of_children(list(zip(node.children, starts, strict=True)), node.k, met)


def _of_children(children: list[tuple[Policy, int]], wanted: int, met: Mapping[int, bool]) -> Iterator[tuple[int, ...]]:
    if not wanted:
        yield ()
        return
    if len(children) < wanted:
        return
    (child, start), *others = children
    for own in _choices(child, start, met):
        for rest in _of_children(others, wanted - 1, met):
            yield (*own, *rest)
    yield from _of_children(others, wanted, met)
