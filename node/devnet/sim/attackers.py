"""Miners that keep blocks to themselves: a double spend on a private chain, and selfish mining.

The network asks an attacker two things: what it does with a block of its own (`found`), and with the public tip that
has moved (`heard`). It answers with a block to show to its peers, and all that leads there, or with None; and it says
what it mines on. It relays blocks of others only while it has no secret.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from .block_tree import BlockTree

_HOPELESS: Final = 1e-3
"""A double spend is given up when its chance to catch up is below that."""
_LONGEST: Final = 60
"""Blocks behind at which it is given up at the latest: with more than half of the hash rate it always comes back."""


class Attacker(ABC):
    """One node that breaks the habits of the others. `public`: the tip that it would have as an honest node."""

    def __init__(self, tree: BlockTree, node: int) -> None:
        self.tree = tree
        self.node = node
        self.public = self.mining_on = len(tree) - 1

    def found(self, block: int) -> int | None:
        """It found `block`, on what it mines on. What it shows."""
        self.mining_on = block
        return self.on_found()

    def heard(self, block: int) -> int | None:
        """The public tip is now `block`. What it shows."""
        before, self.public = self.public, block
        return self.on_heard(self.tree.heights[before])

    @abstractmethod
    def on_found(self) -> int | None: ...

    @abstractmethod
    def on_heard(self, height_before: int) -> int | None: ...

    @property
    def lead(self) -> int:
        """Blocks that its own branch is higher than the public tip."""
        return self.tree.heights[self.mining_on] - self.tree.heights[self.public]

    def follow(self) -> int:
        """Mine on the public tip, and relay it."""
        self.mining_on = self.public
        return self.public

    def win(self) -> int:
        """Show the whole branch: it has more work than the public one."""
        self.public = self.mining_on
        return self.public

    def at_height(self, height: int) -> int:
        """The block of its own branch at that height."""
        block = self.mining_on
        while self.tree.heights[block] > height:
            block = self.tree.parents[block]
        return block


class SelfishMiner(Attacker):
    """Algorithm 1 of Eyal and Sirer, "Majority is not enough: Bitcoin mining is vulnerable" (2014)."""

    def __init__(self, tree: BlockTree, node: int) -> None:
        super().__init__(tree, node)
        self.races: list[tuple[int, int]] = []
        """(own block, height) of each race of two equal branches that it started."""
        self._is_racing = False

    def on_found(self) -> int | None:
        if self._is_racing:
            self._is_racing = False
            return self.win()
        return None

    def on_heard(self, height_before: int) -> int | None:
        lead = self.lead
        self._is_racing = False
        if lead < 0 or self.public == self.mining_on:
            return self.follow()
        if lead == 0:
            self._is_racing = True
            self.races.append((self.mining_on, self.tree.heights[self.mining_on]))
            return self.mining_on
        if lead == 1:
            return self.win()
        return self.at_height(self.tree.heights[self.public])


class DoubleSpender(Attacker):
    """Pays a merchant, and mines a private branch without the payment until that is longer, or hopeless.

    The merchant delivers after `confirmations` blocks. With `premined` 1 an attempt begins when the attacker has found
    a block in secret (it pays then), else at once.
    """

    def __init__(self, tree: BlockTree, node: int, share: float, confirmations: int, premined: int) -> None:
        super().__init__(tree, node)
        self.attempts = 0
        self.successes = 0
        self._confirmations = confirmations
        self._premined = premined
        self._give_up = give_up_at(share)
        self._base: int | None = None if premined else self.tree.heights[self.public]
        """Height of the block that both branches stand on, while an attempt runs."""

    def on_found(self) -> int | None:
        if self._base is None:
            self._base = self.tree.heights[self.mining_on] - 1
        return self._settle()

    def on_heard(self, height_before: int) -> int | None:
        if self._base is None:
            return self.follow()
        return self._settle()

    def _settle(self) -> int | None:
        if self._base is None:
            return None
        confirmed = self.tree.heights[self.public] - self._base
        if confirmed >= self._confirmations and self.lead > 0:
            self.successes += 1
            return self._end(self.win())
        if -self.lead >= self._give_up:
            return self._end(self.follow())
        return None

    def _end(self, shown: int) -> int:
        self.attempts += 1
        self._base = None if self._premined else self.tree.heights[self.public]
        return shown


def give_up_at(share: float) -> int:
    """Blocks behind at which catching up has a chance of less than one in a thousand: (q/p)^behind."""
    honest = 1.0 - share
    behind = 1
    while behind < _LONGEST and (share / honest) ** (behind + 1) >= _HOPELESS:
        behind += 1
    return behind
