"""Thousands of operations at random, each held against a model; neither money nor assets are made or lost."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import NO_ACCOUNT, Block
from moneyer.node.store import accounts
from moneyer.node.store.assets import asset_pages
from moneyer.node.store.tables import mempool
from moneyer.node.store.unconfirmed import claims
from tests.chain.model import Model, Place
from tests.chain.model_of_all_versions import ModelOfAllVersions
from tests.kit.chains import block_on, easy_coin, key, mine
from tests.kit.databases import POSTGRESQL
from tests.kit.nodes import NOW, Node, OpenNode

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {number}") for number in range(6)]
RICH = [(person, 100_000) for person in PEOPLE[:4]]
MODELS: dict[int, type[Model]] = {1: Model, 2: ModelOfAllVersions}
COINS = {rules: easy_coin(premine=RICH, reward=1000, halving_interval=400, rules=rules) for rules in MODELS}
"""By rules."""


class Run:
    """One node and its model. Each method is one operation, or says how many it was."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.coin = node.coin
        self.random = Random(seed)
        self.model = MODELS[self.coin.rules](self.coin, PEOPLE, self.random)
        self.statuses: dict[str, int] = {}

    def offer(self, parent: Place, block: Block) -> None:
        expected = self.model.accepted(parent, block)
        found = self.node.offer(block).status
        assert found == expected
        self.statuses[found] = self.statuses.get(found, 0) + 1

    def extend(self) -> int:
        tip = self.model.tip
        self.offer(tip, self.model.block(tip, self.model.transfers(tip, self.random.randint(0, 3))))
        return 1

    def fork(self) -> int:
        """A block somewhere near the tip, and sometimes more on it, so that it wins."""
        parent = self.random.choice(self.model.recent)
        count = self.random.choice((1, 1, 2, 3, 4))
        for _ in range(count):
            transfers = self.model.transfers(parent, self.random.randint(0, 3))
            self.offer(parent, self.model.block(parent, transfers))
            parent = self.model.recent[-1]
        return count

    def batch(self) -> int:
        """Several at once, as sync brings them; sometimes with a bad one at the end, on top of the best chain."""
        is_bad = self.random.random() < 0.3
        parent = self.model.tip if is_bad else self.random.choice(self.model.recent)
        raws = []
        for _ in range(self.random.randint(1, 6)):
            block = self.model.block(parent, self.model.transfers(parent, self.random.randint(0, 3)))
            self.model.accepted(parent, block)
            parent = self.model.recent[-1]
            raws.append(codec.encode_block(block))
        if is_bad:
            block, code = self.model.bad_block(parent)
            with pytest.raises(RuleError) as refused:
                self.node.chain.accept_blocks([*raws, codec.encode_block(block)], NOW)
            assert refused.value.code == code
        else:
            self.node.chain.accept_blocks(raws, NOW)
        return len(raws) + is_bad

    def bad_block(self) -> int:
        """On the tip; or beside it, where only a child, with which it would win, shows what it is."""
        tip = self.model.tip
        beside = [place for place in self.model.recent if place.height == tip.height - 1]
        parent = self.random.choice([tip, *beside])
        block, code = self.model.bad_block(parent)
        if parent is not tip:
            assert self.node.offer(block).status == "side_branch"
            block = block_on(self.coin, block.header, tip.height + 1, extra=self.random.randbytes(8))
        with pytest.raises(RuleError) as refused:
            self.node.offer(block)
        assert refused.value.code == code
        return 1

    def mine_template(self) -> int:
        """What the node makes of its own pool always connects, and has all of it that is ready."""
        tip = self.model.tip
        now = tip.block.header.timestamp + 1
        block = mine(self.node.chain.template(PEOPLE[0].payload, now, self.random.randbytes(8)).block)
        assert len(block.transactions) - 1 == sum(self.node.pool().values())
        self.model.made += 1
        self.offer(tip, block)
        return 1

    def send(self) -> int:
        """Transfers that may or may not apply: some too dear, some ahead, some twice."""
        sent = list(self.model.transfers(self.model.tip, self.random.randint(4, 12)))
        self.random.shuffle(sent)
        self.node.mempool.accept_transfers(sent + sent[:1])
        return len(sent) + 1

    def look(self) -> None:
        tip = self.model.tip
        with self.node.store.read() as conn:
            assert accounts.total(conn) == self.coin.issued(tip.height)
            costs = select(mempool.c.sender, func.sum(mempool.c.cost)).group_by(mempool.c.sender)
            for sender, cost in conn.execute(costs):
                assert cost <= tip.accounts.get(sender, NO_ACCOUNT).balance
            assert asset_pages.everything(conn) == tip.ledger.assets
            assert asset_pages.all_holdings(conn) == tip.ledger.holdings
            assert claims.uncovered(conn, [sender for (sender,) in conn.execute(select(mempool.c.sender))]) == set()
        assert self.node.tip_hash == tip.block_hash
        assert self.node.accounts() == {who: state for who, state in tip.accounts.items() if any(state)}


@pytest.mark.parametrize(("rules", "operations"), [(1, 3_000), pytest.param(2, 10_000, marks=pytest.mark.slow)])
def test_random_operations_keep_all_money_and_all_assets(
    rules: int, operations: int, memory_folder: Path, open_node: OpenNode, database: str
) -> None:
    if database == POSTGRESQL:
        operations //= 4  # each waits for a server
    coin = COINS[rules]
    run = Run(open_node(coin, memory_folder, min_fee=0, mempool_bytes=8_000), seed=2026)
    done = 0
    while done < operations:
        operation = run.random.choices(
            (run.extend, run.fork, run.batch, run.bad_block, run.mine_template, run.send), (20, 18, 8, 6, 14, 60)
        )[0]
        done += operation()
        run.look()
        if run.random.random() < 0.004:
            run.node.store.close()
            run.node = open_node(coin, memory_folder, min_fee=0, mempool_bytes=8_000)
            run.look()
    assert run.statuses["reorganized"] > operations // 200
    assert run.statuses["side_branch"] > operations // 200
    verified = verify_chain(run.node.store)
    assert verified.height == run.model.tip.height
    assert verified.transfers > operations // 20
