"""Workers and Stratum servers on a server's database: any number, without a data folder and without a node beside."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from moneyer.node.core import codec
from moneyer.node.store import mining
from moneyer.worker import miner as worker_miner
from moneyer.worker.shared.paced_pool import PacedPool
from tests.kit.chains import ChainBuilder
from tests.kit.commands import moneyer
from tests.kit.mining.miners import Miner
from tests.kit.mining.workers import MILD
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until
from tests.scale.machines import PAID, Machines, machines, submit


@pytest.fixture
def here(tmp_path: Path, fresh_database: str) -> Iterator[Machines]:
    with machines(tmp_path, fresh_database, rich_coin(pow_limit=MILD)) as made:
        yield made


def has(node: RunningNode, workers: int) -> bool:
    return bool(node.get("/v1/mining").json["worker"]["count"] == workers)


def stratum(node: RunningNode, what: str) -> int:
    """A figure of its Stratum servers together; 0 where it knows of none just now."""
    return int((node.get("/v1/mining").json["stratum"] or {}).get(what) or 0)


def test_two_workers_mine_exactly_what_a_job_asks_for(here: Machines) -> None:
    node = here.node("api")
    for _ in range(2):
        here.worker()
    wait_until(lambda: has(node, 2), 60, "two workers")
    height = 0
    for wanted in (1, 1, 1, 6):
        job = node.post("/v1/mine", {"blocks": wanted}).json["job"]
        wait_until(lambda job=job: node.get(f"/v1/jobs/{job}").json["state"] == "done", 60, "the job")  # type: ignore[misc]
        height += wanted
        assert node.height == height
    # Nothing is under way: both have said what they did, and neither has a block in hand that would come now.
    wait_until(
        lambda: (said := node.get("/v1/mining").json["worker"])["blocks"] == height and not said["searching"],
        10,
        "both to rest, and to have told of their blocks",
    )
    assert node.height == height


def test_who_lives_is_told_and_whoever_is_killed_is_not(here: Machines) -> None:
    node = here.node("api")
    assert node.get("/v1/mining").json["worker"]["alive"] is False
    assert node.get("/v1/mining").json["stratum"] is None
    workers = [here.worker("--mode", "continuous"), here.worker("--processes", "2")]
    wait_until(lambda: has(node, 2), 60, "two workers")
    said = wait_until(
        lambda: (now := node.get("/v1/mining").json["worker"])["processes"] == 3 and now["searching"] and now,
        30,
        "what both say",
    )
    assert said["alive"]
    assert said["mode"] == "continuous"
    assert "2, on the node's database" in moneyer("mining", "--node", node.url).stdout
    assert "moneyer_workers 2.0" in node.get("/metrics").body.decode()
    servers = [here.stratum(free_port()) for _ in range(2)]
    wait_until(lambda: stratum(node, "servers") == 2, 60, "two servers")
    workers[0].kill()
    servers[0].kill()
    wait_until(lambda: has(node, 1), 10, "one worker to be gone")
    wait_until(lambda: stratum(node, "servers") == 1, 10, "one server to be gone")
    assert workers[1].end() == 0
    assert servers[1].end() == 0
    wait_until(lambda: has(node, 0) and node.get("/v1/mining").json["stratum"] is None, 10, "all to be gone")


def test_instant_mines_one_block_for_one_transfer_whoever_is_quicker(here: Machines) -> None:
    node = here.node("api")
    for _ in range(2):
        here.worker("--mode", "instant")
    wait_until(lambda: has(node, 2), 60, "two workers")
    chain = ChainBuilder(here.coin)
    for height in (1, 2, 3):
        submit(node, codec.encode_transaction(chain.transfer(ALICE, BOB, 5, fee=1)))
        node.wait_for_height(height)
        wait_until(lambda: not node.get("/v1/mining").json["worker"]["searching"], 10, "both to rest")
        assert node.height == height
        chain.append(codec.decode_block(_raw(node, height)))


def test_the_worker_pays_its_address_and_each_has_an_extra_of_its_own(here: Machines) -> None:
    node = here.node("api")
    addresses = {here.coin.address(who.payload) for who in (ALICE, PAID)}
    for address in addresses:
        here.worker("--mode", "continuous", "--address", address)
    paid: Counter[str] = Counter()
    seen = 0

    def both_found() -> bool:
        nonlocal seen
        for height in range(seen + 1, node.height + 1):
            paid[codec.decode_block(_raw(node, height)).transactions[0].receiver.hex()] += 1
            seen = height
        return len(paid) == 2

    wait_until(both_found, 60, "a block of each")


def test_a_worker_and_a_stratum_server_wait_for_their_chain(here: Machines) -> None:
    worker, stratum = here.worker(), here.stratum(free_port())
    for process in (worker, stratum):
        wait_until(lambda process=process: "holds no chain yet" in process.log, 20, "what it says")  # type: ignore[misc]
        assert process.process.poll() is None
    node = here.node("api")
    wait_until(lambda: has(node, 1), 60, "the worker")
    wait_until(lambda: node.get("/v1/mining").json["stratum"], 60, "the Stratum server")
    assert "user: a payout address" in stratum.log
    assert "wallet" not in stratum.log, "there is none without a data folder"


def test_a_miner_of_any_stratum_server_finds_blocks_of_the_chain(here: Machines) -> None:
    node = here.node("api")
    ports = [free_port(), free_port()]
    for port in ports:
        here.stratum(port)
    wait_until(lambda: stratum(node, "servers") == 2, 60, "two servers")
    for height, port in enumerate(ports, 1):
        with Miner(port, here.coin.address(PAID.payload)) as miner:
            miner.start()
            while miner.jobs[-1].prev_hash != node.tip_hash:  # of the other server's block it may not have heard yet
                miner.wait_new_job()
            job = miner.jobs[-1]
            assert miner.submit(miner.search(job, job.block_target)) is True
            node.wait_for_height(height)
    wait_until(lambda: stratum(node, "blocks") >= 2, 10, "both servers to count theirs")


def test_a_kept_worker_is_started_again(here: Machines) -> None:
    node = here.node("api")
    keeper = here.worker("--keep", "--mode", "continuous")
    wait_until(lambda: has(node, 1), 60, "the worker")
    for child in psutil.Process(keeper.process.pid).children():
        child.kill()
    wait_until(lambda: "it is started again" in keeper.log, 20, "the keeper")
    height = node.height
    wait_until(lambda: node.height > height, 60, "a block of the worker's that was started again")
    wait_until(lambda: has(node, 1), 10, "it to be alive, and the killed one no longer")
    assert keeper.end() == 0
    wait_until(lambda: has(node, 0), 20, "its end")


def test_a_worker_lives_through_the_servers_restart(tmp_path: Path) -> None:
    with PostgresServer() as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE beach")
        with machines(tmp_path, server.url("beach"), rich_coin()) as here:
            node, worker = here.node("api"), here.worker("--mode", "interval:0.2")
            node.wait_for_height(1)
            for how in (signal.SIGINT, signal.SIGKILL):
                server.restart(how)
                height = wait_until(lambda: _height(node), 30, "the node to answer")
                wait_until(lambda height=height: (_height(node) or 0) > height, 60, "more blocks")  # type: ignore[misc]
            assert worker.process.poll() is None
            assert worker.end() == 0


def test_a_job_that_another_worker_did_meanwhile_is_not_done_again(tmp_path: Path, fresh_database: str) -> None:
    """Two workers in this process, step by step: the second reads the job, then the first does it."""
    coin = rich_coin()
    with (
        Node(tmp_path / "one", coin, database_url=fresh_database) as one,
        Node(tmp_path / "two", coin, database_url=fresh_database) as two,
    ):
        miners = [
            worker_miner.Miner(each.store, PacedPool(0.0), mining.DEFAULT, lambda: PAID.payload) for each in (one, two)
        ]
        job = one.store.write(lambda conn: mining.create(conn, 1, None, 1)).job_id
        build = two.chain.template
        seen: list[str] = []

        def late(*given: object) -> object:
            while one.height == 0:
                miners[0].step()
            seen.append("late")
            return build(*given)  # type: ignore[arg-type]

        miners[1]._chain.template = late  # type: ignore[method-assign,assignment]
        for _ in range(20):
            miners[1].step()
        assert seen
        assert one.height == 1
        with one.store.read() as conn:
            row = mining.get(conn, job)
        assert row is not None
        assert (row.state, row.mined) == (mining.DONE, 1)


def _height(node: RunningNode) -> int | None:
    answer = node.get("/v1/status")
    return int(answer.json["height"]) if answer.status == 200 else None


def _raw(node: RunningNode, height: int) -> bytes:
    return node.get(f"/v1/blocks/{height}/raw").body
