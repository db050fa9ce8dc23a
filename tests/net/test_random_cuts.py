"""A small world through random cuts and heals: it ends on one tip, and no transfer that a node took is lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from moneyer import Network
from tests.kit.waiting import wait_until

SENDERS = ("alice", "bob", "carol", "dave", "erin")


@dataclass
class Torn:
    """What a run does to a network, and what its nodes have acknowledged."""

    net: Network
    rng: random.Random
    taken: dict[str, str] = field(default_factory=dict)
    """txid -> the sender's name."""

    def step(self) -> None:
        self.rng.choice((self.cut, self.cut, self.split, self.heal))()
        for _ in range(self.rng.randrange(3)):
            self.send()
        if self.rng.random() < 0.7:
            self.net.mine(self.rng.choice(list(self.net.nodes)))

    def cut(self) -> None:
        edge = self.rng.choice(self.net.plan.edges)
        self.net.cut(edge.a, edge.b)

    def split(self) -> None:
        names = list(self.net.nodes)
        self.net.split(self.rng.sample(names, self.rng.randrange(1, len(names) - 1)))

    def heal(self) -> None:
        cut = [edge for edge in self.net.plan.edges if edge.is_cut]
        for edge in self.rng.sample(cut, len(cut) // 2):
            self.net.heal(edge.a, edge.b)

    def send(self) -> None:
        """Each sender by a node of its own: two nodes that do not see each other would take the same sequence twice."""
        names = list(self.net.nodes)
        number = self.rng.randrange(len(SENDERS))
        sender = SENDERS[number]
        receiver = self.rng.choice([name for name in SENDERS if name != sender])
        sent = self.net.send(sender, receiver, self.rng.randrange(1, 10**6), node=names[number % len(names)])
        self.taken[sent.txid] = sender

    def come_together(self) -> None:
        """All heal; the next block decides between branches of equal work; further ones take what waits."""
        net = self.net
        net.heal()
        net.wait_linked()
        *_, last = net.nodes
        net.mine(last)
        net.wait_one_tip()
        wait_until(lambda: len({node.status()["mempool"]["count"] for node in net}) == 1, 30, "the same transfers")
        net.mine(last, 2)
        net.wait_one_tip()

    def check(self) -> None:
        """Each transfer is in the one chain; what the accounts have is what was ever made."""
        first, *_, last = self.net
        for node in (first, last):
            found = [node.client.transaction(txid) for txid in self.taken]
            assert all(each["confirmations"] > 0 for each in found), [each for each in found if not each["height"]]
        senders = list(self.taken.values())
        for name in set(senders):
            assert node.client.account(node.address(name))["sequence"] == senders.count(name)


def tear(nodes: int, steps: int, seed: int) -> None:
    with Network(f"smallworld:{nodes}:4", seed=seed) as net:
        torn = Torn(net, random.Random(seed))
        for _ in range(steps):
            torn.step()
        torn.come_together()
        assert torn.taken
        torn.check()


def test_a_small_world_that_was_torn_ends_on_one_tip_and_loses_nothing() -> None:
    tear(nodes=6, steps=6, seed=7)


@pytest.mark.crash
def test_ten_nodes_through_fifty_cuts_and_heals_end_on_one_tip_and_lose_nothing() -> None:
    tear(nodes=10, steps=50, seed=random.randrange(2**32))
