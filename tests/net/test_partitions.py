"""Five real nodes through random partitions and heals, money moving all the while: they agree, and nothing is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.core.codec import unshow
from moneyer.node.core.ledger import spends_of
from moneyer.node.core.types import Block, Spend
from moneyer.node.store import accounts, blocks
from moneyer.node.store.engine import Store
from moneyer.node.store.tables import mempool, transactions
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.net.gossip import COIN, Member, heal, post_transfer, tear, torn_network
from tests.kit.running import ALICE, BOB, CAROL
from tests.kit.waiting import wait_until

SIZE = 5
HEALED = 100.0
"""Seconds: a peer that is away is tried at least once a minute."""
PEOPLE = (ALICE, BOB, CAROL)


@dataclass(frozen=True)
class State:
    """What a node's database says, all of one moment. `digest`: of every account; `kept`: txids in chain and pool."""

    tip: bytes
    height: int
    digest: bytes
    total: int
    confirmed: frozenset[bytes]
    pool: frozenset[bytes]


def state_of(store: Store) -> State:
    with store.read() as conn:
        tip = blocks.tip(conn)
        rows = sorted((who, each.balance, each.sequence) for who, each in accounts.everyone(conn).items())
        return State(
            tip.block_hash,
            tip.height,
            sha256(repr(rows).encode()).digest(),
            accounts.total(conn),
            frozenset(txid[::-1] for txid in conn.execute(select(transactions.c.shown_txid)).scalars()),
            frozenset(conn.execute(select(mempool.c.txid)).scalars()),
        )


@dataclass
class World:
    """The network, and all that was ever mined and acknowledged in it. Every block is made here."""

    members: list[Member]
    stores: list[Store]
    draw: random.Random
    blocks: dict[bytes, Block] = field(default_factory=dict)
    acknowledged: set[bytes] = field(default_factory=set)
    sequences: dict[str, int] = field(default_factory=dict)
    homes: dict[str, int] = field(default_factory=dict)

    # money

    def move_house(self) -> None:
        """Each person uses one node until the next time: a sequence spent on both sides of a split must lose one."""
        self.homes = {who.name: self.draw.randrange(SIZE) for who in PEOPLE}

    def pay(self, count: int, group: Sequence[int]) -> None:
        """Transfers of those who are at home in `group`, acknowledged one by one."""
        for _ in range(count):
            here = [who for who in PEOPLE if self.homes[who.name] in group]
            if not here:
                return
            sender, receiver = self.draw.choice(here), self.draw.choice(PEOPLE)
            sequence = self.sequences.get(sender.name, 0)
            made = transfer(COIN, sender, receiver, self.draw.randint(1, 1000), self.draw.randint(0, 9), sequence)
            txid = post_transfer(self.members[self.homes[sender.name]].node, made)
            self.acknowledged.add(unshow(txid))
            self.sequences[sender.name] = sequence + 1

    # blocks

    def mine(self, number: int, count: int, name: str) -> None:
        """Blocks on a node's own tip, of what is in its pool; `name` keeps them apart from all others."""
        node = self.members[number].node
        chain = self.chain_to(state_of(self.stores[number]).tip, name)
        for _ in range(count):
            pool = codec.decode_spends(node.get("/p2p/mempool").body)
            block = chain.add(_in_order(chain, pool))
            self.blocks[chain.tip_hash] = block
            assert node.push(codec.encode_block(block)).json["status"] == "extended"

    def chain_to(self, tip: bytes, name: str) -> ChainBuilder:
        way = []
        while tip != COIN.chain_id:
            way.append(self.blocks[tip])
            tip = way[-1].header.prev_hash
        chain = ChainBuilder(COIN, name)
        for block in reversed(way):
            chain.append(block)
        return chain

    # what must be

    def wait_until_agreed(self, tip: bytes) -> None:
        """One tip, the one with the most work, and every acknowledged transfer in each node's chain or pool."""

        def together() -> bool:
            for store in self.stores:
                with store.read() as conn:
                    if blocks.tip(conn).block_hash != tip:
                        return False
            return all(self.acknowledged <= each.confirmed | each.pool for each in map(state_of, self.stores))

        wait_until(together, HEALED, "five nodes to agree and to have every transfer")
        states = [state_of(store) for store in self.stores]
        assert {state.tip for state in states} == {tip}
        assert len({state.digest for state in states}) == 1
        assert {state.total for state in states} == {COIN.issued(states[0].height)}
        assert not any(state.confirmed & state.pool for state in states)

    def tip(self, number: int) -> bytes:
        return state_of(self.stores[number]).tip


def _in_order(chain: ChainBuilder, pool: Sequence[Spend]) -> list[Spend]:
    """Those that a block on `chain` can take, each sender's in sequence. Everyone here has money for all of theirs."""
    following = {payload: account.sequence for payload, account in chain.accounts.items()}
    taken = []
    for each in sorted(pool, key=lambda each: each.sequence):
        if following.get(each.sender) == each.sequence:
            following[each.sender] = each.sequence + 1
            taken.append(each)
    return taken


@contextmanager
def world(folder: Path, seed: int) -> Iterator[World]:
    with ExitStack() as stack:
        members = stack.enter_context(torn_network(folder, SIZE))
        stores = []
        for member in members:
            store = Store.open(member.node.config, COIN, check_file=False)
            stack.callback(store.close)
            stores.append(store)
        yield World(members, stores, random.Random(seed))


def partition(draw: random.Random) -> list[list[int]]:
    """Two to four groups; each node is in one."""
    numbers = list(range(SIZE))
    draw.shuffle(numbers)
    cuts = sorted(draw.sample(range(1, SIZE), draw.choice([1, 1, 1, 2, 2, 3])))
    return [numbers[start:end] for start, end in zip([0, *cuts], [*cuts, SIZE], strict=True)]


def one_round(here: World, number: int) -> None:
    """Split, live apart for a while, come together. The heights differ, so that one side has more work."""
    draw = here.draw
    here.move_house()
    groups = partition(draw)
    for member in here.members:
        member.proxy.delay, member.proxy.drip = draw.choice([(0.0, 65_536)] * 3 + [(0.01, 65_536), (0.001, 128)])
    tear(here.members, *groups)
    counts = draw.sample(range(1, 6), len(groups))
    tips: dict[int, bytes] = {}
    for part, (group, count) in enumerate(zip(groups, counts, strict=True)):
        miner = draw.choice(group)
        for step in range(count):
            here.pay(draw.randint(0, 3), group)
            here.mine(miner, 1, f"round {number} part {part} block {step}")
        here.pay(draw.randint(0, 2), group)
        tips[count] = here.tip(miner)
    # Each part lives on by itself, and hears nothing of the others.
    for group, count in zip(groups, counts, strict=True):
        wait_until(lambda: {here.tip(each) for each in group} == {tips[count]}, HEALED, f"the part {group}")  # noqa: B023
    assert len(set(tips.values())) == len(groups)
    heal(here.members)
    here.pay(2, range(SIZE))
    here.wait_until_agreed(tips[max(counts)])


def live_through(folder: Path, seed: int, rounds: int) -> None:
    with world(folder, seed) as here:
        for number in range(rounds):
            started = time.monotonic()
            one_round(here, number)
            print(f"round {number}: together after {time.monotonic() - started:.1f} s")
        # What is left in the pools is mined, and then everything acknowledged is in the chain.
        here.mine(here.draw.randrange(SIZE), 1, "last")
        last = max(map(state_of, here.stores), key=lambda state: state.height)
        here.wait_until_agreed(last.tip)
        for store in here.stores:
            assert state_of(store).confirmed >= here.acknowledged
            assert state_of(store).pool == frozenset()
        assert verify_chain(here.stores[0]).transfers == len(here.acknowledged)
        paid = sum(len(spends_of(block)) for block in here.chain_to(last.tip, "paid").blocks)
        assert paid == len(here.acknowledged) > rounds


@pytest.mark.timeout(300)
def test_five_nodes_agree_after_a_few_random_partitions(tmp_path: Path) -> None:
    live_through(tmp_path, seed=1, rounds=6)


@pytest.mark.crash
@pytest.mark.timeout(2400)
def test_five_nodes_agree_after_twenty_random_partitions(tmp_path: Path) -> None:
    live_through(tmp_path, seed=20, rounds=20)


def test_a_partition_has_every_node_once() -> None:
    draw = random.Random(3)
    for _ in range(200):
        groups = partition(draw)
        assert sorted(each for group in groups for each in group) == list(range(SIZE))
        assert 2 <= len(groups) <= 4
