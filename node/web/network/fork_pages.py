"""Forks: the newest part of the tree of blocks with every node's own tip on it, and what became of a branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from ...api.calls.explore.v1_chain import MAX_DEPTH, TreeQuery, tree
from ...api.calls.v1_blocks import BlockQuery, PartQuery, block_transactions, list_blocks, show_block_summary
from ...api.calls.v1_transactions import show_transaction
from ...api.http.errors import NotFound
from ...api.shapes.v1 import BlockStanding, BlockSummary, TransactionView
from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, content_of, page
from . import fork_tree
from .known_nodes import KnownTip, labels_of, neighbours_of

DEPTHS: Final = (12, 24, 50, 200)
"""Heights that the page offers to draw."""
MAX_LEFT: Final = 100
"""Blocks of a branch that are looked at; a deeper one says so."""
MAX_CAME: Final = 10
"""Blocks of the main chain that are listed beside a branch."""
MAX_BRANCHES: Final = 50
"""Branches that are listed."""
MAX_TIPS: Final = 24
"""Tips of nodes that are listed: anybody can tell of as many as they like."""
MAX_TRANSFERS: Final = 200
"""Transfers of a branch that are looked up."""


class ForksQuery(Struct):
    depth: Annotated[int, Meta(ge=1, le=MAX_DEPTH)] = DEPTHS[1]
    """How many of the newest heights."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tip that some nodes are at, and what this node knows of it."""

    tip: KnownTip
    where: str
    """main_chain, side_branch, invalid, or unknown: this node has no such block."""


@page("/forks", query=ForksQuery, bound=DEAR_READS, kept_seconds=1.0)
def forks(visit: Visit[ForksQuery]) -> Page:
    depth = visit.query.depth
    found, _ = content_of(visit.ask(tree, TreeQuery(depth=depth)))
    tips = neighbours_of(visit).tips
    drawn = {each.hash: each.status for each in found.blocks}
    labels = {each.hash: labels_of(each) for each in tips if each.hash in drawn}
    return Page(
        "forks.html",
        {
            "picture": fork_tree.draw(found.blocks, labels),
            "truncated": found.truncated,
            "max_branches": MAX_BRANCHES,
            "places": [Place(each, _where(visit, each, drawn)) for each in tips[:MAX_TIPS]],
            "more_tips": max(0, len(tips) - MAX_TIPS),
            "height": max(each.height for each in found.blocks if each.main_chain),
            "depth": depth,
            "depths": DEPTHS,
            "is_manual": visit.node.config.manual,
        },
    )


def _where(visit: Visit[Any], tip: KnownTip, drawn: dict[str, str]) -> str:
    status = drawn.get(tip.hash)
    if status is None:
        try:
            status = content_of(visit.ask(show_block_summary, block=tip.hash))[0].status
        except NotFound:
            return "unknown"
    return "main_chain" if status == "active" else status


@dataclass(frozen=True, slots=True)
class Fate:
    """A transfer of a block that is not on the main chain, and where it is now."""

    transfer: TransactionView
    now: TransactionView | None
    """As it is confirmed on the main chain or waits in the mempool; None where it is in neither."""


@page("/forks/branch/{block}", bound=DEAR_READS, kept_seconds=1.0)
def branch(visit: Visit[None]) -> Page:
    """What became of the branch that ends in a block."""
    tip, _ = content_of(visit.ask(show_block_summary, block=visit.call.path["block"]))
    left = _branch(visit, tip)
    fork_height = left[-1].height - 1 if left else tip.height
    came: list[BlockSummary] = []
    newest: int | None = None
    if left and len(left) < MAX_LEFT:
        latest, _ = content_of(visit.ask(list_blocks, BlockQuery(limit=1)))
        newest = latest.blocks[0].height
        lowest, _ = content_of(visit.ask(list_blocks, BlockQuery(before=fork_height + 1 + MAX_CAME, limit=MAX_CAME)))
        came = [each for each in lowest.blocks if each.height > fork_height]
    fates, is_cut = _fates(visit, left)
    return Page(
        "branch.html",
        {
            "tip": tip,
            "left": left,
            "fork_height": fork_height,
            "is_deep": len(left) == MAX_LEFT,
            "came": came,
            "came_count": 0 if newest is None else max(newest - fork_height, 0),
            "fates": fates,
            "is_cut": is_cut,
        },
    )


def _branch(visit: Visit[Any], tip: BlockStanding) -> list[BlockStanding]:
    """From the tip down to above the main chain, at most MAX_LEFT blocks."""
    found: list[BlockStanding] = []
    at = tip
    while not at.main_chain and len(found) < MAX_LEFT:
        found.append(at)
        at, _ = content_of(visit.ask(show_block_summary, block=at.prev_hash))
    return found


def _fates(visit: Visit[Any], left: Sequence[BlockStanding]) -> tuple[list[Fate], bool]:
    """Of the transfers in these blocks, the oldest first; and whether some were left out."""
    found: list[Fate] = []
    for block in reversed(left):
        if block.tx_count <= 1 or block.status == "invalid":
            continue
        room = MAX_TRANSFERS - len(found)
        if room <= 0:
            return found, True
        part, _ = content_of(visit.ask(block_transactions, PartQuery(start=1, limit=room), block=block.hash))
        found += [Fate(each, _now(visit, each.txid)) for each in part.transactions]
        if part.next is not None:
            return found, True
    return found, False


def _now(visit: Visit[Any], txid: str) -> TransactionView | None:
    try:
        found, _ = content_of(visit.ask(show_transaction, txid=txid))
    except NotFound:
        return None
    now: TransactionView = found
    return now
