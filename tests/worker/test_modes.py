"""What a worker process mines, and when."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from moneyer.node.core import codec, signing
from moneyer.node.core.codec import sighash
from moneyer.node.core.types import Transfer
from moneyer.node.store import mining
from moneyer.node.store.mining import parse_mode
from tests.kit.chains import EASY_BITS, ChainBuilder, easy_coin, key, transfer
from tests.kit.mining.workers import MILD, NodeFolder
from tests.kit.waiting import END_SECONDS, wait_until

ALICE, BOB = key("alice"), key("bob")


def test_a_job_of_many_blocks_is_mined_for_the_miner_account_and_no_block_more(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        worker = node.ready_worker()
        done = node.wait_done(node.ask(300), 100)
        assert (done.state, done.mined, node.height) == ("done", 300, 300)
        assert done.last_hash == node.tip.block_hash
        assert {node.block(height).miner for height in (1, 300)} == {node.wallet.payload_of("miner")}
        assert worker.hashers() == []  # so easy a target is searched without them
        assert worker.terminate() == 0
        assert node.height == 300


def test_a_job_names_who_is_paid_else_the_option_does(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        node.ready_worker("--address", BOB.address(node.coin))
        first, second = node.ask(1, ALICE.payload), node.ask(2)
        node.wait_done(first)
        node.wait_done(second)
        assert [node.block(height).miner for height in (1, 2, 3)] == [ALICE.payload, BOB.payload, BOB.payload]


def test_an_address_of_another_coin_ends_the_worker_with_a_sentence(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        worker = node.worker("--address", ALICE.address(easy_coin(hrp="other")))
        assert worker.process.wait(END_SECONDS) == 1
        assert "this is an address of another coin" in worker.errors()
        assert "Traceback" not in worker.errors()


def test_jobs_are_mined_by_hashing_processes_where_the_target_is_harder(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        worker = node.ready_worker("--processes", "2")
        assert node.wait_done(node.ask(5), 60).mined == 5
        assert node.height == 5
        assert len(worker.hashers()) == 2
        wait_until(lambda: worker.alive_status().get("blocks") == 5, 10, "the status")


def test_instant_mines_a_block_as_soon_as_a_transfer_is_ready_and_not_for_one_that_waits(tmp_path: Path) -> None:
    coin = easy_coin(premine=[(ALICE, 1000)])
    with NodeFolder(tmp_path / "node", coin) as node:
        node.ready_worker("--mode", "instant")
        node.mempool.accept_transfer(transfer(coin, ALICE, BOB, 10, fee=1, sequence=1))
        node.mempool.accept_transfer(transfer(coin, ALICE, BOB, 10, fee=1, sequence=0))
        wait_until(lambda: node.height == 1, 10, "a block")
        assert node.block(1).tx_count == 3
        node.mempool.accept_transfer(transfer(coin, ALICE, BOB, 10, fee=1, sequence=3))
        assert node.wait_done(node.ask(1)).mined == 1
        assert node.height == 2


def test_interval_mines_at_its_rhythm_without_being_asked(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        worker = node.ready_worker("--mode", "interval:0.3")
        wait_until(lambda: node.height >= 3, 20, "three blocks")
        assert worker.alive_status()["mode"] == "interval 0.3"
        assert worker.terminate() == 0


@pytest.mark.parametrize("pow_limit", [MILD, EASY_BITS], ids=["hashing processes", "by itself"])
def test_continuous_mines_on_and_says_how_fast(tmp_path: Path, pow_limit: int) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=pow_limit)) as node:
        worker = node.ready_worker("--mode", "continuous")
        wait_until(lambda: node.height >= 4, 60, "four blocks")
        wait_until(lambda: worker.alive_status().get("hashrate", 0) > 0, 20, "a hash rate")
        assert worker.alive_status()["engine"] == "hashlib"


def test_a_new_transfer_gets_into_the_block_that_is_being_searched(tmp_path: Path) -> None:
    coin = easy_coin(premine=[(ALICE, 1000)], pow_limit=0x1E0FFFFF)
    with NodeFolder(tmp_path / "node", coin) as node:
        worker = node.ready_worker("--mode", "continuous")
        wait_until(lambda: worker.alive_status().get("hashrate", 0) > 0, 20, "the search")
        sent = transfer(coin, ALICE, BOB, 10, fee=1)
        node.mempool.accept_transfer(sent)
        before = node.height
        wait_until(lambda: node.height >= before + 2, 90, "blocks")
        with node.store.read() as conn:
            from moneyer.node.store.accounts import account

            assert account(conn, BOB.payload).balance == 10


def test_a_template_from_the_future_is_waited_for(tmp_path: Path) -> None:
    coin = easy_coin(clock_tolerance=1)
    with NodeFolder(tmp_path / "node", coin) as node:
        worker = node.ready_worker()
        chain, ahead = ChainBuilder(coin), int(time.time()) + 15
        for raw in [codec.encode_block(chain.add(timestamp=ahead + later)) for later in range(2)]:
            node.chain.accept_block(raw, ahead)
        node.store.write(lambda conn: mining.set_mode(conn, parse_mode("continuous")))
        wait_until(lambda: "ahead of what this clock allows; waiting" in worker.errors(), 20, "the worker to wait")
        assert node.height == 2
        wait_until(lambda: node.height >= 3, 40, "the next block")
        assert worker.process.poll() is None


@pytest.mark.parametrize("bits", [EASY_BITS])
def test_a_job_goes_on_after_the_worker_was_killed(tmp_path: Path, bits: int) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=bits)) as node:
        is_over = True
        while is_over:  # where this test is held up, the worker may be done before it is killed
            first, before = node.ready_worker(), node.height
            job_id = node.ask(800)
            wait_until(partial(has_mined, node, job_id, 20), 20, "some blocks")
            first.kill()
            is_over = node.job(job_id).state == mining.DONE
        assert node.job(job_id).state == mining.OPEN
        assert node.job(job_id).mined == node.height - before
        node.ready_worker()
        assert node.wait_done(job_id, 100).mined == 800
        assert node.height == before + 800


def has_mined(node: NodeFolder, job_id: str, blocks: int) -> bool:
    return node.job(job_id).mined >= blocks


def test_the_wallets_own_signature_is_what_the_blocks_carry(tmp_path: Path) -> None:
    coin = easy_coin()
    with NodeFolder(tmp_path / "node", coin) as node:
        node.ready_worker("--mode", "instant")
        node.wait_done(node.ask(1))
        miner = node.wallet.payload_of("miner")
        assert miner is not None
        spend = Transfer(miner, BOB.payload, 5, 1, 0, b"", bytes(64))
        signature = signing.sign(node.wallet.secret_for(miner), sighash(coin.chain_id, spend), bytes(32))
        node.mempool.accept_transfer(Transfer(miner, BOB.payload, 5, 1, 0, b"", signature))
        wait_until(lambda: node.height == 2, 10, "the block")
        assert node.block(2).fees == 1
