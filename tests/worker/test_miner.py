"""The miner step by step in this process: real hashing processes, a real database."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path

import pytest

from moneyer.node.core import codec, pow
from moneyer.node.core.types import Block
from moneyer.node.store import mining
from moneyer.node.store.mining import parse_mode
from moneyer.node.store.snapshots.restore import rows_of
from moneyer.node.store.snapshots.take import take
from moneyer.worker.engines.hashlib_engine import HashlibEngine
from moneyer.worker.hasher import Unit
from moneyer.worker.miner import AGE, Miner
from moneyer.worker.pool import PAUSE, SHORT_LIFE, HasherPool
from moneyer.worker.work import new_extra
from tests.kit.chains import easy_coin, key
from tests.kit.mining.workers import HARD, HOPELESS, MILD, NodeFolder
from tests.kit.waiting import wait_until


@contextmanager
def miner_of(
    node: NodeFolder,
    mode: str = "continuous",
    *,
    processes: int = 1,
    nonces: int = 2**32,
    max_age: float = AGE,
    short_life: float = SHORT_LIFE,
    pause: float = PAUSE,
) -> Iterator[tuple[Miner, HasherPool]]:
    pool = HasherPool("hashlib", processes, short_life=short_life, pause=pause)
    try:
        receiver = key("miner").payload
        yield Miner(node.store, pool, parse_mode(mode), lambda: receiver, nonces=nonces, max_age=max_age), pool
    finally:
        pool.stop()


def steps(miner: Miner, pool: HasherPool, condition: Callable[[], object], timeout: float = 30) -> None:
    """Run the miner until `condition`."""

    def step() -> object:
        for _ in range(100):
            seconds = miner.step()
            if seconds > 0:
                wait_for_any(pool.waitables(), min(seconds, 0.02))
                break
        return condition()

    wait_until(step, timeout)


def solved(block: Block) -> Block:
    from dataclasses import replace

    header, target = codec.encode_header(block.header), pow.decode_bits(block.header.bits)
    nonce = next(
        found
        for start in range(0, 2**32, 1 << 16)
        if (found := HashlibEngine().search(header, target, start, 1 << 16)) is not None
    )
    return Block(replace(block.header, nonce=nonce), block.transactions)


def searched(pool: HasherPool) -> list[Unit]:
    """The units that processes have been seen to work on."""
    return [slot.unit for slot in pool.slots if slot.unit is not None and slot.position > slot.unit.start]


def test_a_new_tip_drops_the_stale_search_in_every_process_within_a_second(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=0x1E0FFFFF)) as node, miner_of(node, processes=2) as both:
        miner, pool = both
        other = solved(node.chain.template(key("other").payload, int(time.time()), new_extra()).block)
        steps(miner, pool, lambda: len(searched(pool)) == 2)
        node.chain.accept_block(codec.encode_block(other), int(time.time()))
        tips = {node.tip.block_hash}

        def all_on_tip() -> bool:
            tips.add(node.tip.block_hash)
            on_it = [unit for unit in searched(pool) if unit.header[4:36] in tips]
            return len(on_it) == 2 and all(unit.header[4:36] != node.coin.chain_id for unit in on_it)

        steps(miner, pool, all_on_tip, timeout=1 + 3)  # one second is promised, the rest is for a busy machine


def test_once_a_block_is_found_that_was_asked_for_no_process_searches_on(tmp_path: Path) -> None:
    with (
        NodeFolder(tmp_path / "node", easy_coin(pow_limit=0x1E0FFFFF)) as node,
        miner_of(node, "demand", processes=2) as (miner, pool),
    ):
        pool.start()
        steps(miner, pool, lambda: all(slot.ready for slot in pool.slots))
        job_id = node.ask(1)
        steps(miner, pool, lambda: node.job(job_id).state == mining.DONE, 120)
        assert [slot.unit for slot in pool.slots] == [None, None]
        assert miner.hashrate == 0


def test_when_all_nonces_are_used_the_extra_moves_on_until_a_block_is_found(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node, miner_of(node, nonces=4096) as (miner, pool):
        steps(miner, pool, lambda: node.height >= 1)
        assert miner.offers.blocks == node.height


def test_the_extra_moves_on_for_a_target_that_the_supervisor_searches_itself(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=0x2000FFFF)
    with NodeFolder(tmp_path / "node", coin) as node, miner_of(node, nonces=2) as (miner, pool):
        steps(miner, pool, lambda: node.height >= 3)
        assert pool.waitables() == []


def test_the_range_of_a_killed_process_is_searched_by_another(tmp_path: Path) -> None:
    # A new template would begin anew.
    coin = easy_coin(pow_limit=HOPELESS)
    with NodeFolder(tmp_path / "node", coin) as node, miner_of(node, max_age=600.0) as (miner, pool):
        steps(miner, pool, lambda: searched(pool))
        (slot,) = pool.slots
        assert slot.process is not None
        assert slot.unit is not None
        end, first_pid = slot.unit.start + slot.unit.count, slot.process.pid
        slot.process.kill()
        steps(miner, pool, lambda: slot.process and slot.process.pid != first_pid and searched(pool))
        assert slot.unit is not None
        assert 0 < slot.unit.start < end == slot.unit.start + slot.unit.count


def test_a_process_that_dies_young_is_replaced_though_nothing_is_mined(tmp_path: Path) -> None:
    """It rests for a while, and the miner must not sleep for longer: nothing else would wake it."""
    # The pause is shorter than the miner's sleep without news.
    with (
        NodeFolder(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as node,
        miner_of(node, "demand", short_life=60.0, pause=4.0) as (miner, pool),
    ):
        pool.start()
        (slot,) = pool.slots
        assert slot.process is not None
        slot.process.kill()
        slot.process.join()
        sleeps = miner.step()
        assert pool.waitables() == []
        assert 0 < sleeps <= 4
        steps(miner, pool, pool.waitables)


def test_a_wrong_result_of_an_engine_is_not_offered_and_the_third_brings_hashlib(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=HARD)) as node, miner_of(node) as (miner, pool):
        steps(miner, pool, lambda: miner.work)
        pool.engine = "fast but wrong"
        work = miner.work
        assert work is not None
        for _ in range(3):
            miner.offer(work, work.source.take(1), 0)
        assert not miner.offers.waiting
        assert pool.engine == "hashlib"
        assert "which solves nothing: not offered" in caplog.text


def test_a_block_solved_too_late_is_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with NodeFolder(tmp_path / "node", easy_coin()) as node, miner_of(node, "demand") as (miner, pool):
        work = miner.new_work(*_template(node), receiver=key("miner").payload, job_id=None)
        late = solved(work.source.template)
        node.chain.accept_block(codec.encode_block(solved(_template(node)[0])), int(time.time()))
        miner.offers.add(late, work)
        steps(miner, pool, lambda: not miner.offers.waiting)
        assert (miner.offers.stale, miner.offers.blocks, node.height) == (1, 0, 1)
        assert "came too late" in caplog.text


def test_when_the_node_goes_back_to_a_snapshot_its_worker_mines_on_from_there(tmp_path: Path) -> None:
    """Also where a block was solved whose parent is not there any more."""
    with NodeFolder(tmp_path / "node", easy_coin()) as node, miner_of(node) as (miner, pool):
        take({"node": node.config.database}, tmp_path / "snapshots" / "begin")
        steps(miner, pool, lambda: node.height >= 2)
        work = miner.new_work(*_template(node), receiver=key("miner").payload, job_id=None)
        with rows_of(tmp_path / "snapshots" / "begin" / "node.db") as replace_rows:
            node.store.submit(replace_rows, alone=True).result()
        assert node.height == 0
        stale = miner.offers.stale
        miner.offers.add(solved(work.source.template), work)
        assert miner.offers.submit(work.parent_hash)
        assert (miner.offers.stale, node.height) == (stale + 1, 0)
        steps(miner, pool, lambda: node.height >= 2)


def _template(node: NodeFolder) -> tuple[Block, bytes]:
    template = node.chain.template(key("other").payload, int(time.time()), new_extra())
    return template.block, template.parent.block_hash


def test_a_job_whose_blocks_the_chain_refuses_fails_and_says_why(tmp_path: Path) -> None:
    from dataclasses import replace

    with NodeFolder(tmp_path / "node", easy_coin()) as node, miner_of(node, "demand") as (miner, pool):
        job_id = node.ask(1)
        block, parent = _template(node)
        wrong = Block(replace(block.header, version=7), block.transactions)
        work = miner.new_work(wrong, parent, key("miner").payload, job_id)
        for _ in range(5):
            miner.offers.add(solved(work.source.template), work)
            assert not miner.offers.submit(node.tip.block_hash)
        assert node.job(job_id).state == "failed"
        assert "its blocks are refused: the block's version" in node.job(job_id).message
        assert pool.waitables() == []


def test_without_a_wallet_the_worker_says_so_and_mines_once_there_is_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from moneyer.node.wallet.keystore import open_wallet

    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        wallet, away = node.config.wallet_file, tmp_path / "away.json"
        wallet.rename(away)

        def receiver() -> bytes:
            payload = open_wallet(wallet).payload_of("miner")
            assert payload is not None
            return payload

        miner = Miner(node.store, HasherPool("hashlib", 1), parse_mode("continuous"), receiver)
        wait_until(lambda: miner.step() and "cannot mine" in caplog.text)
        away.rename(wallet)
        wait_until(lambda: miner.step() >= 0 and node.height >= 1)


def test_a_mode_can_be_switched_while_it_runs(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node, miner_of(node, "demand") as (miner, pool):
        assert miner.step() > 0
        assert node.height == 0
        miner.switch(parse_mode("continuous"))
        steps(miner, pool, lambda: node.height >= 2)
        miner.switch(parse_mode("demand"))
        steps(miner, pool, lambda: not miner.searching)
