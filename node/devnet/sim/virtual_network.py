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
from .attackers import Attacker
from .block_tree import BlockTree
from .chances import MICROS, Chance
from .topology import Topology

NEVER: Final = 1 << 62
"""A block is not on its way to that node."""
HERE: Final = -1
"""The node has the block, or holds it as an orphan."""
LEVELS: Final = (0.5, 0.9, 0.99, 1.0)
"""Shares of the nodes whose time is noted, when a block has reached so many."""

Due = list[int]
"""By node: when a block arrives there (microseconds), or NEVER or HERE."""


class VirtualNetwork:
    """A network from its start until it has found its blocks, and the last of them have arrived."""

    def __init__(
        self, tree: BlockTree, topology: Topology, chance: Chance, hash_rate: float, attacker: Attacker | None = None
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
        self._chance = chance
        self._hash_rate = hash_rate
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
                due = due_lists[block - first]
                if due is not None and due[node] == self.now:
                    due[node] = HERE
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
            self._join(node, block)
        else:
            self._mark(node, block)
            self._do(self._attacker.found(block))

    # arriving

    def _has(self, node: int, block: int) -> bool:
        if block < self.first:
            return True
        due = self._due[block - self.first]
        return due is None or due[node] == HERE

    def _arrive(self, node: int, block: int, sender: int) -> None:
        parent = self.tree.parents[block]
        if not self._has(node, parent) or (self._waiting and (node, parent) in self._waiting):
            self._waiting.setdefault((node, parent), []).append((block, sender))
            self._fetch(node, parent, sender)
            return
        self._join(node, block)
        if self._waiting:
            # Those that waited for it; each may be waited for in turn.
            for orphan, from_peer in self._waiting.pop((node, block), ()):
                self._arrive(node, orphan, from_peer)

    def _fetch(self, node: int, block: int, sender: int) -> None:
        """Ask the sender of an orphan for what is missing below it: its headers, then the bodies (`node.p2p.sync`)."""
        delay = next(delay for peer, delay in self._links[sender] if peer == node)
        at = self.now + 4 * delay
        while not self._has(node, block):
            self._push(at, node, block, sender)
            block = self.tree.parents[block]

    def _join(self, node: int, block: int) -> None:
        """The block joins the node's tree; its ancestors are there."""
        self._mark(node, block)
        self._order += 1
        works, tip = self.tree.works, self.tips[node]
        if node == self._evil and self._attacker is not None:
            if wins(works[block], self._order, works[self._attacker.public], self._tip_joined[node]):
                self._tip_joined[node] = self._order
                self._do(self._attacker.heard(block))
        elif wins(works[block], self._order, works[tip], self._tip_joined[node]):
            self._tip_joined[node] = self._order
            self._adopt(node, block)

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

    def _adopt(self, node: int, block: int) -> None:
        old, tree = self.tips[node], self.tree
        if tree.parents[block] != old:
            way = route((old, tree.heights[old]), (block, tree.heights[block]), tree.parents.__getitem__)
            if way.disconnect:
                self.reorgs[len(way.disconnect)] += 1
        self._mine_on(node, block)
        self._announce(node, block)

    def _mine_on(self, node: int, block: int) -> None:
        self._tip_counts[self.tips[node]] -= 1
        self.tips[node] = block
        self._tip_counts[block] += 1

    def _announce(self, node: int, block: int) -> None:
        """Send the node's new tip to its peers, and what leads there."""
        parent, first, now = self.tree.parents[block], self.first, self.now
        self._sent[block - first][node] = 1
        if parent >= first and not self._sent[parent - first][node]:
            self._announce_path(node, block)
            return
        due = self._due[block - first]
        if due is None:
            return
        heap, work, order = self._heap, self.tree.works[block], self._order
        links = self._links[node]
        self.pushes += len(links)
        for peer, delay in links:
            at = now + delay
            if is_news(work, has_tip=due[peer] <= at, peer_work=0):
                due[peer] = at
                order += 1
                heappush(heap, (at, order, peer, block, node))
        self._order = order

    def _announce_path(self, node: int, block: int) -> None:
        """After a reorg: each peer is sent what it is not known to have, one block after the other."""
        tree, first = self.tree, self.first

        def parent_of(each: int) -> int | None:
            return tree.parents[each] if tree.parents[each] >= first else None

        for peer, delay in self._links[node]:
            known = self._sent, node, peer

            def has(each: int, known: tuple[list[bytearray], int, int] = known) -> bool:
                sent, here, there = known
                return bool(sent[each - first][here] or sent[each - first][there])

            for turn, each in enumerate(path_to(block, parent_of, has, MAX_PATH)):
                self.pushes += 1
                self._push(self.now + delay * (2 * turn + 1), peer, each, node)  # each waits for the answer before

        while block >= first and not self._sent[block - first][node]:
            self._sent[block - first][node] = 1
            block = tree.parents[block]

    def _push(self, at: int, node: int, block: int, sender: int) -> None:
        due = self._due[block - self.first]
        if due is not None and due[node] > at:
            due[node] = at
            self._order += 1
            heappush(self._heap, (at, self._order, node, block, sender))

    def _do(self, published: int | None) -> None:
        """What the attacker decided: it mines on its choice, and shows a block with all below it, or nothing."""
        attacker = self._attacker
        if attacker is None:
            return
        self._mine_on(attacker.node, attacker.mining_on)
        if published is not None:
            self._announce(attacker.node, published)
