"""Other people's miners on a real server: shares, blocks, and what they pay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moneyer.node.core import codec
from moneyer.node.store import accounts
from moneyer.node.store.explore.tree import Leaves
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.mining.miners import DIFFICULTY_1, Miner
from tests.kit.mining.stratum import Stratum, serving
from tests.kit.mining.workers import HOPELESS, MILD, NodeFolder
from tests.kit.waiting import END_SECONDS, wait_until

ALICE, BOB = key("alice"), key("bob")
EASY_SHARES = ("--difficulty", "0.000001")
"""Some four thousand hashes a share."""


def mine_block(node: NodeFolder, miner: Miner) -> None:
    """On the node's tip, of which the server may not have heard yet."""
    while miner.jobs[-1].prev_hash != node.tip.block_hash:
        miner.wait_new_job()
    job = miner.jobs[-1]
    share = miner.search(job, job.block_target)
    assert miner.submit(share) is True


def test_a_miner_that_knows_only_the_protocol_mines_blocks_that_pay_whom_it_names(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=MILD)
    with serving(tmp_path / "node", coin) as (node, server):
        users = ["miner", "miner.rig-7", ALICE.address(coin), f"{BOB.address(coin)}.attic"]
        for height, user in enumerate(users, 1):
            with server.started(user) as miner:
                mine_block(node, miner)
                wait_until(lambda height=height: node.reached(height), 10, "the block")  # type: ignore[misc]
        own = node.wallet.payload_of("miner")
        assert [node.block(height).miner for height in (1, 2, 3, 4)] == [own, own, ALICE.payload, BOB.payload]
        said = server.wait_status(blocks=4)
        assert {each["name"]: each["blocks"] for each in said["miners"]} == dict.fromkeys(users, 1)


def test_every_miner_gets_a_clean_job_when_the_tip_moves_and_the_old_ones_are_over(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=MILD)
    with serving(tmp_path / "node", coin, *EASY_SHARES) as (node, server):
        miners = [server.started(f"miner.{number}") for number in range(5)]
        old = miners[0].search(miners[0].jobs[0], above=miners[0].jobs[0].block_target)
        mine_block(node, miners[1])
        wait_until(lambda: node.height == 1, 10, "the block")
        for miner in miners:
            while miner.jobs[-1].prev_hash != node.tip.block_hash:
                miner.wait_new_job()
            assert miner.jobs[-1].clean
        assert miners[0].submit_code(old) == 21
        assert node.height == 1
        for miner in miners:
            miner.socket.close()


def test_the_tip_of_another_process_of_the_node_brings_a_job_too(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=MILD)
    with serving(tmp_path / "node", coin) as (node, server), server.started() as miner:
        block = ChainBuilder(coin).add()
        node.chain.accept_block(codec.encode_block(block), block.header.timestamp)
        wanted = codec.block_hash(block.header)
        while (job := miner.wait_new_job()).prev_hash != wanted:  # it renews a job now and then
            pass
        assert job.clean


def test_transfers_get_into_the_block_through_the_merkle_branch(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=MILD, premine=[(ALICE, 1000)])
    with serving(tmp_path / "node", coin) as (node, server):
        # In one commit: a branch of three is that of five transactions too, and no job may have those only.
        answers = node.mempool.accept_transfers([transfer(coin, ALICE, BOB, 10, 1, sequence) for sequence in range(6)])
        assert {getattr(answer, "status", answer) for answer in answers} == {"ready"}
        with server.started() as miner:
            while len(miner.jobs[-1].branch) < 3:
                miner.wait_new_job(30)
            assert not miner.jobs[-1].clean or len(miner.jobs) == 1
            mine_block(node, miner)
            wait_until(lambda: node.height == 1, 10, "the block")
        assert (node.block(1).tx_count, node.block(1).fees) == (7, 6)
        with node.store.read() as conn:
            assert accounts.account(conn, BOB.payload).balance == 60


def test_shares_are_counted_for_each_miner_and_a_share_is_no_block(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin(pow_limit=HOPELESS), *EASY_SHARES) as (node, server):
        with server.started("miner.a") as first, server.started("miner.b") as second:
            assert first.difficulty == 0.000001
            for number in range(3):
                assert first.submit(first.search(first.jobs[-1], extranonce2=number)) is True
            assert second.submit(second.search(second.jobs[-1])) is True
            low = int(DIFFICULTY_1 / 0.000001) + 1
            assert second.submit_code(second.search(second.jobs[-1], 2**256 - 1, above=low)) == 23
            said = server.wait_status(rejected=1)
        assert (said["accepted"], said["connections"], said["blocks"], node.height) == (4, 2, 0, 0)
        shown = {each["name"]: each for each in said["miners"]}
        assert (shown["miner.a"]["accepted"], shown["miner.b"]["accepted"]) == (3, 1)
        assert shown["miner.b"]["low_difficulty"] == 1
        assert shown["miner.a"]["hashrate"] > shown["miner.b"]["hashrate"] > 0


def test_a_miner_that_brings_many_shares_gets_harder_ones(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as (_, server),
        server.started(password="d=0.00000001") as miner,
    ):
        assert miner.difficulty == 1e-8
        number = 0
        while len(miner.difficulties) < 2:
            number += 1
            assert miner.submit(miner.search(miner.jobs[-1], extranonce2=number)) is True
            miner.drain()
        assert miner.difficulty > 1e-8
        old, new = miner.jobs[0], miner.jobs[-1]
        assert old.job_id != new.job_id
        assert old.coinbase_1 != new.coinbase_1
        easy = miner.search(old, int(DIFFICULTY_1 / 1e-8), above=int(DIFFICULTY_1 / miner.difficulty), first=10**4)
        assert miner.submit(easy) is True  # a job keeps the difficulty that it was given with
        easy = miner.search(new, int(DIFFICULTY_1 / 1e-8), above=int(DIFFICULTY_1 / miner.difficulty))
        assert miner.submit_code(easy) == 23


def test_a_miner_may_ask_for_a_difficulty(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as (_, server), server.started() as miner:
        assert miner.call("mining.suggest_difficulty", [0.5]) is True
        miner.job_of_difficulty(0.5)
        assert miner.call("mining.suggest_target", [f"{DIFFICULTY_1 // 4:064x}"]) is True
        miner.job_of_difficulty(4)
        assert miner.code_of("mining.suggest_difficulty", [-1]) == 20
        assert miner.code_of("mining.suggest_difficulty", ["1"]) == 20


def test_the_difficulty_is_never_more_than_a_blocks(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin(), "--difficulty", "1000") as (node, server), server.started() as miner:
        assert miner.difficulty < 1e-9
        mine_block(node, miner)
        wait_until(lambda: node.height == 1, 10, "the block")


def test_of_many_solutions_on_one_parent_one_becomes_a_block(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin()) as (node, server), server.started() as miner:
        shares = [miner.search(miner.jobs[0], extranonce2=number) for number in range(20)]
        codes = [miner.submit_code(share) for share in shares]
        assert codes[0] is None
        assert set(codes) <= {None, 21}  # over, as soon as the next job has been sent
        wait_until(lambda: node.height == 1, 10, "the block")
        with node.store.read() as conn:
            assert len(Leaves().look(conn)) == 1


def test_version_bits_may_be_rolled_once_that_is_agreed(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=MILD)
    with serving(tmp_path / "node", coin) as (node, server), server.miner() as miner:
        agreed = miner.call(
            "mining.configure",
            [
                ["version-rolling", "unheard-of"],
                {"version-rolling.mask": "ffffffff", "version-rolling.min-bit-count": 2},
            ],
        )
        assert agreed == {"version-rolling": True, "version-rolling.mask": "1fffe000", "unheard-of": False}
        miner.start()
        job = miner.jobs[-1]
        outside = miner.search(job, job.block_target)
        assert miner.code_of("mining.submit", [*outside.params("miner"), "00000008"]) == 20
        share = miner.search(job, job.block_target, version=job.version | 0x0ABCE000)
        while replace(share, header=miner.header(replace(share, version=job.version))).is_block:  # one in 65,536
            share = miner.search(job, job.block_target, version=share.version, first=share.nonce + 1)
        assert miner.submit_code(share, rolls_version=False) == 23  # it is another header without the bits
        assert miner.submit(share, rolls_version=True) is True
        wait_until(lambda: node.height == 1, 10, "the block")
        assert node.tip.header.version == 1 | 0x0ABCE000


def test_version_bits_are_refused_where_nothing_was_agreed(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=HOPELESS)
    with serving(tmp_path / "node", coin, *EASY_SHARES) as (_, server), server.started() as miner:
        share = miner.search(miner.jobs[-1], version=1 | 0x2000)
        assert miner.submit_code(share, rolls_version=True) == 20
        assert miner.submit_code(miner.search(miner.jobs[-1]), rolls_version=True) is None


def test_the_time_may_be_rolled_within_what_the_chain_takes(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=HOPELESS, clock_tolerance=600)
    with serving(tmp_path / "node", coin, *EASY_SHARES) as (_, server), server.started() as miner:
        job = miner.jobs[-1]
        assert miner.submit_code(miner.search(job, when=job.time + 30)) is None
        assert miner.submit_code(miner.search(job, when=job.time + 5000)) == 20
        assert miner.submit_code(miner.search(job, when=1)) == 20


def test_a_second_server_on_a_folder_and_a_taken_port_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin()) as (node, server):
        second = Stratum(node.config.data)
        assert second.process.wait(END_SECONDS) == 1
        assert "has a stratum server already" in second.log
        with NodeFolder(tmp_path / "other", easy_coin()) as other:
            third = Stratum(other.config.data, port=server.port)
            assert third.process.wait(END_SECONDS) == 1
            assert f"port {server.port} is taken" in third.log
        assert server.alive


def test_it_ends_at_once_on_sigterm_while_miners_are_connected(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as (_, server), server.started(), server.started():
        assert server.terminate() == 0


def test_the_server_waits_for_its_node_to_come_back_and_miners_stay_connected(tmp_path: Path) -> None:
    from moneyer.node.system.locks import hold

    coin = easy_coin(pow_limit=MILD)
    with serving(tmp_path / "node", coin) as (node, server), server.started() as miner:
        assert node.lock is not None
        node.lock.release()
        while_gone = miner.search(miner.jobs[-1], miner.jobs[-1].block_target)
        wait_until(lambda: "the node has ended" in server.log, 10, "the server to see that its node is gone")
        node.lock = hold(node.config.node_lock)
        assert miner.wait_new_job().clean
        assert miner.submit_code(while_gone) == 21
        mine_block(node, miner)
        wait_until(lambda: node.height == 1, 10, "the block")


def test_it_ends_with_its_node_where_it_was_told_so(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin(pow_limit=MILD), "--with-node") as (node, server), server.started():
        assert node.lock is not None
        node.lock.release()
        node.lock = None
        assert server.process.wait(END_SECONDS) == 0
