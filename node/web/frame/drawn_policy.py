"""A policy as pages draw it: its tree with what is open now, and the same in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ...contracts.explain import InWords, in_words
from ...contracts.language import NameOf
from ...contracts.moment import Moment
from ...contracts.policy_tree import shown_tree
from ...core.coin import Coin
from ...core.policy import decode_policy
from ...core.types import KEY_KIND
from ...wallet.cosigning.contract_book import Contract
from ...wallet.names import name_key
from .name_book import Names
from .templating import short


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


def draw_policy(
    coin: Coin, raw: bytes, moment: Moment, name_of: NameOf, named: Collection[int] | None = None
) -> DrawnPolicy:
    """A policy's bytes as it stands at a moment. `named`: the leaves that a spend names, None where it is drawn alone.

    Keys without a name are told by the first and last letters of their address. Raises BadWitness.
    """
    policy = decode_policy(raw).policy

    def called(key: bytes) -> str:
        return name_of(key) or short(coin.address(bytes([KEY_KIND]) + key))

    tree = _node(shown_tree(policy, moment, called), coin, named or ())
    return DrawnPolicy(tree, in_words(policy, coin, moment, called), moment, named is not None)


def key_names(coin: Coin, names: Names, contract: Contract | None = None) -> NameOf:
    """What the owner calls a key: by the wallet's and the contacts' names, else as a contract's file does.

    A file's name that somebody else has here is not taken: two people would look like one.
    """
    given = {} if contract is None else contract.names
    by_file = Counter(name_key(name) for name in given.values())
    taken = {name_key(name) for name in names.of_address.values()} if given else set()

    def name_of(key: bytes) -> str | None:
        known = names.of_address.get(coin.address(bytes([KEY_KIND]) + key))
        name = given.get(key)
        if known is not None or name is None or name_key(name) in taken or by_file[name_key(name)] > 1:
            return known
        return name

    return name_of


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
