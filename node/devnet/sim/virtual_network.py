"""The nodes, on a virtual clock: blocks are found, travel over links, and move tips, in the order of time.

One heap of arrivals: (microsecond, order, node, block, sender). Of a block that is on its way to a node more than once
only the first arrival counts, so `_due` keeps when that is, and later ones are not even queued. Finding blocks is a
Poisson process: the time to the next one is drawn at the rate of whoever has the easiest work, then a miner by its
share, and those with harder work drop theirs as often as it is harder (thinning). So each miner finds blocks at its own
rate on its own tip, exactly, for one draw a block.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from heapq import heappop, heappush
from itertools import accumulate
from typing import Final

from ...core.rules import route, wins
from ...p2p.gossip.relay_policy import MAX_PATH, is_news, path_to
from ...p2p.peer.conditioned import MOST_LOST, RETRANSMIT_SECONDS
from .attackers import Attacker
from .block_tree import BlockTree
from .chances import MICROS, Chances
from .topology import Topology

NEVER: Final = 1 << 62
"""A block is not on its way to that node."""
HERE: Final = -1
"""The node has the block, and all its ancestors."""
HELD: Final = -2
"""The node holds the block as an orphan."""
FREE: Final = -1
"""In the place of a block: a link has its answer, and is free."""
LEVELS: Final = (0.5, 0.9, 0.99, 1.0)
"""Shares of the nodes whose time is noted, when a block has reached so many."""

Due = list[int]
"""By node: when a block arrives there (microseconds), or NEVER, HERE or HELD."""


class VirtualNetwork:
    """A network from its start until it has found its blocks, and the last of them have arrived."""

    def __init__(
        self, tree: BlockTree, topology: Topology, chances: Chances, hash_rate: float, attacker: Attacker | None = None
    ) -> None:
        """`tree`: what all nodes have; the nodes begin on its last block. `hash_rate`: hashes a second of all."""
        count = len(topology.links)
        self.tree = tree
        self.first = len(tree)
        """Number of the first block that is found here; those before are the warm-up."""
        self.now = tree.found_at[-1]
        """The virtual clock: microseconds since its start."""
        self.tips = [self.first - 1] * count
        """What each node mines on; the attacker's may be its own secret."""
        self.reached: list[int] = []
        """By block (from `first` on): how many nodes have it."""
        self.times: tuple[list[int], ...] = tuple([] for _ in LEVELS)
        """For each of LEVELS: microseconds from a block's finding until it had reached so many nodes."""
        self.reorgs: Counter[int] = Counter()
        """By depth: how often a node left so many blocks of its main chain."""
        self.pushes = 0
        """Blocks that were sent over a link (at most: some cross each other)."""
        self.delay_shares = [0.0, 0.0]
        """Sums over blocks and nodes of share of hash rate × seconds until the block is there, and of the shares."""
        self._links = topology.links
        self._shares = topology.shares
        self._cumulative = list(accumulate(topology.shares))
        self._chance = chances.blocks
        self._hash_rate = hash_rate
        self._losses = chances.losses.unit
        self._attacker = attacker
        self._evil = -1 if attacker is None else attacker.node
        self._marks: dict[int, list[list[int]]] = {}
        """By count of nodes: the lists of `times` that take a block which has reached so many."""
        for level, times in zip(LEVELS, self.times, strict=True):
            self._marks.setdefault(max(1, math.ceil(count * level - 1e-9)), []).append(times)
        self._heap: list[tuple[int, int, int, int, int]] = []
        self._order = 0
        """Counts events; also a block's place in the order in which it joined a node's tree."""
        self._tip_joined = [0] * count
        self._due: list[Due | None] = []
        """By block; None where all have it."""
        self._sent: list[bytearray] = []
        """By block and node: whether it was the node's public tip, and so went to its peers."""
        self._public = list(self.tips)
        """What each node last told its peers of."""
        self._free = [[0] * len(links) for links in topology.links]
        """By node and link: when its last push is answered. A link makes one request at a time, as in `p2p.gossip`."""
        self._behind: dict[tuple[int, int], set[int]] = {}
        """By (node, link): blocks that were to be sent while the link was busy."""
        self._nowhere = [HERE] * count
        """In the place of `_due` of a block that all have."""
        self._waiting: dict[tuple[int, int], list[tuple[int, int]]] = {}
        """Orphans by (node, missing parent): (block, sender)."""
        self._tip_counts = Counter({self.first - 1: count})
        self._live = [self.first - 1]
        """Blocks that are a tip, or may become one."""

    def run(self, blocks: int, swings: tuple[tuple[int, float], ...] = ()) -> None:
        """Find `blocks` blocks, and let them arrive. `swings`: (block, factor of the first hash rate)."""
        heap, due_lists, first = self._heap, self._due, self.first
        waiting_swings, factor = list(swings), 1.0
        last = first + blocks
        tries = self._next_try(factor)
        while True:
            if heap and (heap[0][0] <= tries or len(self.tree) >= last):
                self.now, _, node, block, sender = heappop(heap)
                if block == FREE:
                    self._flush(node, sender)
                    continue
                due = due_lists[block - first]
                if due is not None and due[node] == self.now:
                    self._arrive(node, block, sender)
            elif len(self.tree) < last:
                self.now = tries
                self._try()
                while waiting_swings and len(self.tree) - first >= waiting_swings[0][0]:
                    factor = waiting_swings.pop(0)[1]
                tries = self._next_try(factor)
            else:
                return

    # finding

    def _next_try(self, factor: float) -> int:
        """When the next block is found, if its finder's work is the easiest that there is."""
        counts, works = self._tip_counts, self.tree.works
        least = min(works[tip] for tip in self._live if counts[tip])
        self._live = [block for block in self._live if works[block] >= least]
        self._easiest = min(self.tree.child_works[block] for block in self._live)
        mean = self._easiest / (self._hash_rate * factor) * MICROS
        return self.now + round(mean * self._chance.exponential())

    def _try(self) -> None:
        node = min(bisect_right(self._cumulative, self._chance.unit() * self._cumulative[-1]), len(self.tips) - 1)
        parent = self.tips[node]
        work = self.tree.child_works[parent]
        if work > self._easiest and self._chance.unit() * work >= self._easiest:
            return
        header = self.tree.template(parent, self.now)
        if header is None:
            return
        block = self.tree.add(header, parent, node, self.now)
        count = len(self.tips)
        due = [NEVER] * count
        due[node] = HERE
        self._due.append(due)
        self._sent.append(bytearray(count))
        self.reached.append(0)
        self._live.append(block)
        if self._attacker is None or node != self._evil:
            self._join(node, block, node)
        else:
            self._mark(node, block)
            self._do(self._attacker.found(block), node)

    # arriving

    def _has(self, node: int, block: int) -> bool:
        if block < self.first:
            return True
        due = self._due[block - self.first]
        return due is None or due[node] == HERE

    def _arrive(self, node: int, block: int, sender: int) -> None:
        parent, due = self.tree.parents[block], self._due[block - self.first]
        is_orphan = not self._has(node, parent)
        if due is not None:
            due[node] = HELD if is_orphan else HERE
        if is_orphan:
            self._waiting.setdefault((node, parent), []).append((block, sender))
            self._fetch(node, parent, sender)
            return
        self._join(node, block, sender)
        if self._waiting:
            # Those that waited for it; each may be waited for in turn.
            for orphan, from_peer in self._waiting.pop((node, block), ()):
                self._arrive(node, orphan, from_peer)

    def _fetch(self, node: int, block: int, sender: int) -> None:
        """Ask the sender of an orphan for what is missing below it: its headers, then the bodies (`node.p2p.sync`)."""
        link = next(link for link in self._links[sender] if link.peer == node)
        at = self.now + link.trip + link.delay
        while not self._has(node, block):
            self._push(at, node, block, sender)
            block = self.tree.parents[block]

    def _join(self, node: int, block: int, sender: int) -> None:
        """The block joins the node's tree; its ancestors are there."""
        self._mark(node, block)
        self._order += 1
        works, tip = self.tree.works, self.tips[node]
        if node == self._evil and self._attacker is not None:
            if wins(works[block], self._order, works[self._attacker.public], self._tip_joined[node]):
                self._tip_joined[node] = self._order
                shown = self._attacker.heard(block)
                self._do(shown, sender if shown == block else node)
        elif wins(works[block], self._order, works[tip], self._tip_joined[node]):
            self._tip_joined[node] = self._order
            self._adopt(node, block, sender)

    def _mark(self, node: int, block: int) -> None:
        """Note that one node more has the block."""
        index = block - self.first
        reached = self.reached[index] = self.reached[index] + 1
        share = self._shares[node]
        took = self.now - self.tree.found_at[block]
        if share and self.tree.miners[block] != self._evil:
            self.delay_shares[0] += share * took / MICROS
            self.delay_shares[1] += share
        if reached in self._marks and self.tree.miners[block] != self._evil:
            for times in self._marks[reached]:
                times.append(took)
        if reached == len(self.tips):
            self._due[index] = None

    # moving the tip, and telling the peers

    def _adopt(self, node: int, block: int, sender: int) -> None:
        old, tree = self.tips[node], self.tree
        if tree.parents[block] != old:
            way = route((old, tree.heights[old]), (block, tree.heights[block]), tree.parents.__getitem__)
            if way.disconnect:
                self.reorgs[len(way.disconnect)] += 1
        self._mine_on(node, block)
        self._announce(node, block, sender)

    def _mine_on(self, node: int, block: int) -> None:
        self._tip_counts[self.tips[node]] -= 1
        self.tips[node] = block
        self._tip_counts[block] += 1

    def _announce(self, node: int, block: int, sender: int) -> None:
        """The node's public tip is `block`, which it has from `sender` (itself, if it found it): its peers are told."""
        parent, first, now = self.tree.parents[block], self.first, self.now
        self._public[node] = block
        if parent >= first and not self._sent[parent - first][node]:
            self._announce_branch(node, block)
            return
        self._sent[block - first][node] = 1
        due, work = self._due[block - first] or self._nowhere, self.tree.works[block]
        heap, order, free, behind = self._heap, self._order, self._free[node], self._behind
        for index, (peer, delay, trip, loss) in enumerate(self._links[node]):
            if peer == sender:
                continue
            if free[index] > now or (behind and (node, index) in behind):
                self._wait(node, index, block)
                continue
            self.pushes += 1
            free[index] = now + trip
            at = now + delay
            if loss:
                at += self._resent(loss)
            if is_news(work, has_tip=due[peer] <= at, peer_work=0):
                due[peer] = at
                order += 1
                heappush(heap, (at, order, peer, block, node))
        self._order = max(order, self._order)

    def _announce_branch(self, node: int, block: int) -> None:
        """After a reorg: the peers lack more than the tip."""
        branch = []
        while block >= self.first and not self._sent[block - self.first][node]:
            self._sent[block - self.first][node] = 1
            branch.append(block)
            block = self.tree.parents[block]
        for index in range(len(self._links[node])):
            self._wait(node, index, *branch)
            if self._free[node][index] <= self.now:
                self._flush(node, index)

    def _wait(self, node: int, index: int, *blocks: int) -> None:
        """The link is busy: it sends the tip that there is when it is free."""
        at, behind = self._free[node][index], self._behind.get((node, index))
        if behind is None:
            behind = self._behind[node, index] = set()
            if at > self.now:
                self._order += 1
                heappush(self._heap, (at, self._order, node, FREE, index))
        behind.update(blocks)

    def _flush(self, node: int, index: int) -> None:
        """Send the peer the node's public tip, and what leads there, one block after the other."""
        tree, first, block = self.tree, self.first, self._public[node]
        peer, delay, trip, loss = self._links[node][index]
        behind = self._behind.pop((node, index), ())

        def has(each: int) -> bool:
            sent = self._sent[each - first]
            return bool(sent[peer] or (sent[node] and each not in behind))

        def parent_of(each: int) -> int | None:
            return tree.parents[each] if tree.parents[each] >= first else None

        if not is_news(tree.works[block], has_tip=has(block), peer_work=0):
            return
        at = self.now
        for each in path_to(block, parent_of, has, MAX_PATH):
            self.pushes += 1
            self._push(at + delay + (self._resent(loss) if loss else 0), peer, each, node)
            at += trip
        self._free[node][index] = at

    def _push(self, at: int, node: int, block: int, sender: int) -> None:
        due = self._due[block - self.first]
        if due is not None and due[node] > at:
            due[node] = at
            self._order += 1
            heappush(self._heap, (at, self._order, node, block, sender))

    def _resent(self, loss: float) -> int:
        """Microseconds that a message comes later for being lost, maybe more than once."""
        lost = 0
        while lost < MOST_LOST and self._losses() < loss:
            lost += 1
        return round(RETRANSMIT_SECONDS * MICROS) * ((1 << lost) - 1)

    def _do(self, published: int | None, sender: int) -> None:
        """What the attacker decided: it mines on its choice, and shows a block with all below it, or nothing.

        `sender`: of the block that it shows; itself, if that is its own.
        """
        attacker = self._attacker
        if attacker is None:
            return
        self._mine_on(attacker.node, attacker.mining_on)
        if published is not None:
            self._announce(attacker.node, published, sender)
