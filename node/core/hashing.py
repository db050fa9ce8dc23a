"""SHA-256d, tagged hashes (BIP340), Merkle root and proof as in Bitcoin."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256, 32 bytes."""
    return sha256(sha256(data).digest()).digest()


def tag_prefix(tag: str) -> bytes:
    """The 64 bytes that a BIP340 tagged hash puts before the message."""
    return sha256(tag.encode()).digest() * 2


def show(block_hash_or_txid: bytes) -> str:
    """A hash as people see it: hex of the bytes reversed, so that work shows as leading zeros."""
    return block_hash_or_txid[::-1].hex()


def show_work(work: int) -> str:
    """Work as people and the API write it: 64 hex digits."""
    return f"{work:064x}"


def unshow(text: str) -> bytes:
    """Inverse of `show`. Raises ValueError unless `text` is 64 hex digits."""
    raw = bytes.fromhex(text)  # which passes over spaces
    if len(text) != 64 or len(raw) != 32:
        raise ValueError("a hash is 64 hex digits")
    return raw[::-1]


def _level_up(level: Sequence[bytes]) -> list[bytes]:
    if len(level) % 2:
        level = [*level, level[-1]]
    # `sha256d` written out: a call by name is a quarter of what a node of the tree costs.
    return [sha256(sha256(level[i] + level[i + 1]).digest()).digest() for i in range(0, len(level), 2)]


def merkle_root(txids: Sequence[bytes]) -> bytes:
    """Root over `txids` in block order; 32 zero bytes for none."""
    if not txids:
        return bytes(32)
    level: Sequence[bytes] = txids
    while len(level) > 1:
        level = _level_up(level)
    return level[0]


def merkle_levels(txids: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Every level of the tree over `txids`, the leaves first, the root (alone on its level) last."""
    levels = [txids]
    while len(levels[-1]) > 1:
        levels.append(_level_up(levels[-1]))
    return levels


def branch_in(levels: Sequence[Sequence[bytes]], position: int) -> list[bytes]:
    """`merkle_branch` where the tree's levels are known."""
    branch = []
    for level in levels[:-1]:
        branch.append(level[min(position ^ 1, len(level) - 1)])
        position //= 2
    return branch


def merkle_branch(txids: Sequence[bytes], position: int) -> list[bytes]:
    """Sibling hashes from the leaf at `position` up to (without) the root."""
    return branch_in(merkle_levels(txids), position)


def merkle_root_of_branch(leaf: bytes, position: int, branch: Sequence[bytes]) -> bytes:
    """The root that `branch` proves for `leaf` at `position`."""
    for sibling in branch:
        leaf = sha256d(sibling + leaf if position % 2 else leaf + sibling)
        position //= 2
    return leaf
