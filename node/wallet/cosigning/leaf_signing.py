"""Signs for a policy: chooses the leaves, signs the one digest, and encodes the witness that shows them.

`sign_leaves` does all of it for somebody who needs nobody else. The parts serve signers who pass a proposal around:
what they agree on is `chosen`, the named leaves that are not keys, because each signature covers these. Which keys sign
beside them stays open: of 2 of 3, any two may.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from ...contracts.choose import AtHand, choose, missing
from ...contracts.moment import Moment
from ...core.codec import sighash
from ...core.coin import Coin
from ...core.policy import Hash, Item, Key, Policy, Shape, Threshold, chosen_of, decode_policy, encode_witness
from ...core.rules import check_transaction_in_isolation
from ...core.signing import public_key, sign
from ...core.types import LATEST_RULES, SIGNATURE_SIZE, Burn, Issue, Mint, Payment
from .errors import CannotSign

PolicySpend = Payment | Issue | Mint | Burn
"""What an address with a policy can send."""

_PREIMAGE_SIZE = 32


def sign_leaves(
    raw_policy: bytes,
    spend: PolicySpend,
    coin: Coin,
    secrets: Iterable[bytes],
    preimages: Iterable[bytes],
    moment: Moment,
) -> PolicySpend:
    """The spend with its whole witness, by as few of these keys and preimages as suffice at this moment.

    `spend`: its witness is replaced. `secrets`: 32-byte secret keys; `preimages`: 32 bytes each. `moment`: of the block
    that the spend is to enter, usually the one behind the tip. Raises CannotSign, which says what is missing, and the
    rule's error for what no node would take: nothing of the kind gets signed.
    """
    shape = decode_policy(raw_policy)
    by_key = {public_key(secret): secret for secret in secrets}
    by_digest = {sha256(preimage).digest(): preimage for preimage in preimages}
    at_hand = AtHand(tuple(by_key), tuple(by_digest))
    choice = choose(shape.policy, at_hand, moment)
    if choice is None:
        lack = missing(shape.policy, at_hand, moment, coin)
        raise CannotSign(f"this cannot be signed alone: {lack.sentence if lack else 'something is missing'}")
    blank = {key: bytes(SIGNATURE_SIZE) for key in choice.keys}
    check_transaction_in_isolation(
        with_witness(spend, raw_policy, shape, choice.leaves, blank, by_digest), LATEST_RULES
    )
    digest = digest_of(coin, spend, chosen_of(shape, choice.leaves))
    signatures = {key: sign(by_key[key], digest, os.urandom(32)) for key in choice.keys}
    return with_witness(spend, raw_policy, shape, choice.leaves, signatures, by_digest)


def digest_of(coin: Coin, spend: PolicySpend, chosen: Iterable[int]) -> bytes:
    """The 32 bytes that each named key signs. `chosen`: the named leaves that are not keys."""
    return sighash(coin.chain_id, spend, bytes(sorted(chosen)))


def with_witness(
    spend: PolicySpend,
    raw_policy: bytes,
    shape: Shape,
    leaves: Iterable[int],
    signatures: Mapping[bytes, bytes],
    preimages: Mapping[bytes, bytes],
) -> PolicySpend:
    """The spend with a witness that names these leaves, ascending. `signatures` by key, `preimages` by their hash."""

    def data_of(index: int) -> bytes:
        leaf = shape.leaves[index]
        return (
            signatures[leaf.key] if isinstance(leaf, Key) else preimages[leaf.digest] if isinstance(leaf, Hash) else b""
        )

    return replace(spend, witness=encode_witness(raw_policy, [Item(index, data_of(index)) for index in leaves]))


def witness_size(raw_policy: bytes, shape: Shape, leaves: Iterable[int]) -> int:
    """Bytes of a witness that names these leaves."""
    named = [shape.leaves[index] for index in leaves]
    keys = sum(isinstance(leaf, Key) for leaf in named)
    hashes = sum(isinstance(leaf, Hash) for leaf in named)
    return 2 + len(raw_policy) + 1 + len(named) + keys * SIGNATURE_SIZE + hashes * _PREIMAGE_SIZE


class _Best(NamedTuple):
    price: int
    leaves: tuple[int, ...]


class _Found(NamedTuple):
    has_chosen: bool
    """Whether a chosen leaf is at or below this node, which must be met then: no leaf is named in vain."""
    best: _Best | None


def completed(shape: Shape, chosen: Collection[int], prices: Mapping[bytes, int]) -> tuple[int, ...] | None:
    """The leaves of the cheapest spend whose leaves that are not keys are exactly `chosen`; None where there is none.

    `prices`: of the keys that may sign. One pass over the tree, and of two that cost the same the first leaves, so that
    the same signatures always give the same transaction.
    """
    indexes = iter(range(len(shape.leaves)))
    best = _found(shape.policy, indexes, chosen, prices).best
    return None if best is None else best.leaves


def _found(node: Policy, indexes: Iterator[int], chosen: Collection[int], prices: Mapping[bytes, int]) -> _Found:
    if isinstance(node, Key):
        index = next(indexes)
        return _Found(False, _Best(prices[node.key], (index,)) if node.key in prices else None)
    if not isinstance(node, Threshold):
        index = next(indexes)
        return _Found(True, _Best(0, (index,))) if index in chosen else _Found(False, None)
    children = [_found(child, indexes, chosen, prices) for child in node.children]
    needed = [child.best for child in children if child.has_chosen]
    others = sorted([child.best for child in children if not child.has_chosen and child.best is not None])
    named = [*needed, *others[: max(0, node.k - len(needed))]]
    if len(named) != node.k or None in named:
        return _Found(bool(needed), None)
    met = [best for best in named if best is not None]
    leaves = sorted([index for best in met for index in best.leaves])
    return _Found(bool(needed), _Best(sum([best.price for best in met]), tuple(leaves)))


def most_leaves(shape: Shape, chosen: Collection[int]) -> tuple[int, ...] | None:
    """The leaves of the largest spend with these chosen ones: what a fee has to suffice for, whoever signs."""
    return completed(shape, chosen, {leaf.key: -1 for leaf in shape.leaves if isinstance(leaf, Key)})


_OTHERS, _SECRET, _LOCK = 10_000, 10, 1
"""Prices of a signature of somebody else, of a secret that becomes public, and of a lock. One's own are the less the
better where they suffice (`_OWN`), and wanted where they don't (`_WANTED`)."""
_OWN, _WANTED = 100, -1_000_000


def chosen_for(
    shape: Shape, own: Collection[bytes], digests: Collection[bytes], moment: Moment
) -> tuple[int, ...] | None:
    """The leaves that are not keys of the way to propose now; None where none is open.

    The way that one's own keys suffice for, else one that they have a part in, else any. `digests`: the hashes whose
    preimage is known.
    """
    keys = [leaf.key for leaf in shape.leaves if isinstance(leaf, Key)]
    alone = dict.fromkeys([key for key in keys if key in own], _OWN)
    together = {key: _WANTED if key in own else _OTHERS for key in keys}
    for prices in (alone, together):
        best = _way(shape.policy, iter(range(len(shape.leaves))), prices, digests, moment)
        if best is not None:
            return tuple([index for index in best.leaves if not isinstance(shape.leaves[index], Key)])
    return None


def _way(
    node: Policy, indexes: Iterator[int], prices: Mapping[bytes, int], digests: Collection[bytes], moment: Moment
) -> _Best | None:
    if isinstance(node, Threshold):
        children = [_way(child, indexes, prices, digests, moment) for child in node.children]
        met = sorted([child for child in children if child is not None])[: node.k]
        if len(met) < node.k:
            return None
        leaves = sorted([index for best in met for index in best.leaves])
        return _Best(sum([best.price for best in met]), tuple(leaves))
    index = next(indexes)
    if isinstance(node, Key):
        return _Best(prices[node.key], (index,)) if node.key in prices else None
    if isinstance(node, Hash):
        return _Best(_SECRET, (index,)) if node.digest in digests else None
    return _Best(_LOCK, (index,)) if moment.has_come(node) else None
