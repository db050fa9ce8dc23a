"""The shapes of policies (rules 2): what an address of a contract stands for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .fields import Address, Count, Hex, Json


class PolicyText(Struct, forbid_unknown_fields=True):
    policy: Annotated[str, Meta(max_length=8_192)]
    """As people write it: `2 of (alice, bob, carol)`. Names are of this node's wallet, and known to its owner alone."""


class PolicyBytes(Struct, forbid_unknown_fields=True):
    raw: Annotated[str, Meta(min_length=2, max_length=8_192, pattern="^([0-9a-fA-F]{2})+$", description="bytes in hex")]


class OpeningView(Struct):
    """A way to spend that opens later. `height`, `time`: what has to come, 0 for nothing."""

    height: Count
    time: Count
    who: str


class PolicyView(Struct):
    """A policy at the block that would follow the tip.

    `tree`: its nodes, each with `kind`, `label`, `is_open_now`, and `leaf`, its index in a witness. `problem`: why
    nobody should use it; null where it is safe.
    """

    address: Address
    raw: Hex
    policy: str
    means: str
    tree: dict[str, Json]
    now: str | None
    """Who can spend now; null: nobody."""
    later: list[OpeningView]
    problem: str | None
    cautions: list[str]
