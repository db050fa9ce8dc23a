"""A policy as pages draw it: its tree with what is open now, and the same in words."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ...contracts.explain import InWords, in_words
from ...contracts.moment import Moment
from ...contracts.policy_tree import shown_tree
from ...core.coin import Coin
from ...core.policy import decode_policy
from ...core.types import KEY_KIND
from ...service import Node
from ...store import blocks
from .templating import short

Naming = Callable[[str], str | None]
"""The name of an address, where one is known."""


@dataclass(frozen=True, slots=True)
class PolicyNode:
    """A node of a drawn tree; the first fields are those of `policy_tree.shown_tree`."""

    kind: str
    label: str
    is_open_now: bool
    address: str | None
    """Of a key."""
    digest: str | None
    """Of a hash."""
    is_named: bool
    """Whether the spend that it is drawn for names this leaf."""
    children: tuple[PolicyNode, ...]


@dataclass(frozen=True, slots=True)
class DrawnPolicy:
    """What `m.policy` of the templates draws."""

    tree: PolicyNode
    words: InWords
    moment: Moment
    is_spend: bool
    """Whether it is drawn for a spend, which names leaves."""


def next_moment(node: Node) -> Moment:
    """Height and median_time_past of the block that follows the tip."""
    with node.store.read() as conn:
        tip = blocks.tip_id(conn)
        return Moment(tip.height + 1, blocks.median_time_past_of(conn, tip.block_hash))


def draw_policy(
    coin: Coin, raw: bytes, moment: Moment, naming: Naming, named: Collection[int] | None = None
) -> DrawnPolicy:
    """A policy's bytes as it stands at a moment. `named`: the leaves that a spend names, None where it is drawn alone.

    Keys without a name are told by the first and last letters of their address. Raises BadWitness.
    """
    policy = decode_policy(raw).policy

    def name_of(key: bytes) -> str:
        address = coin.address(bytes([KEY_KIND]) + key)
        return naming(address) or short(address)

    tree = _node(shown_tree(policy, moment, name_of), coin, named or ())
    return DrawnPolicy(tree, in_words(policy, coin, moment, name_of), moment, named is not None)


def _node(tree: dict[str, Any], coin: Coin, named: Collection[int]) -> PolicyNode:
    return PolicyNode(
        kind=tree["kind"],
        label=tree["label"],
        is_open_now=tree["is_open_now"],
        address=coin.address(bytes([KEY_KIND]) + bytes.fromhex(tree["key"])) if "key" in tree else None,
        digest=tree.get("hash"),
        is_named=tree.get("leaf") in named,
        children=tuple([_node(child, coin, named) for child in tree.get("of", ())]),
    )
