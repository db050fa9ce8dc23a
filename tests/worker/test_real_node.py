"""A worker and a Stratum server beside a real node that is killed."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.kit.chains import easy_coin
from tests.kit.mining.stratum import Stratum
from tests.kit.mining.workers import HOPELESS, MILD, WorkerProcess
from tests.kit.running import answers, running
from tests.kit.system.process_tree import children_of, is_gone
from tests.kit.waiting import END_SECONDS, wait_until

SOON = 30.0


def test_a_worker_and_its_hashing_processes_end_when_their_real_node_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as node:
        worker = WorkerProcess(node.config, "--engine", "hashlib", "--processes", "2", "--mode", "continuous")
        try:
            worker.wait_ready()
            wait_until(lambda: len(worker.hashers()) == 2, SOON, "hashing processes")
            hashers = worker.hashers()
            wait_until(lambda: node.get("/v1/status").json["worker"]["alive"], SOON, "the node to see its worker")
            node.process.send_signal(signal.SIGKILL)  # its main process: the other one follows by itself
            assert worker.process.wait(END_SECONDS) == 0
            wait_until(lambda: all(map(is_gone, hashers)), SOON, "the hashing processes to end")
            assert "the node has ended, and so does its worker" in worker.errors()
        finally:
            worker.kill()


def test_a_miner_stays_connected_while_its_real_node_is_killed_and_started_again(tmp_path: Path) -> None:
    with running(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        server = Stratum(node.config.data)
        try:
            server.wait_ready()
            with server.started() as miner:
                pids = [node.process.pid, *children_of(node.process.pid)]
                node.process.send_signal(signal.SIGKILL)
                node.process.wait(END_SECONDS)
                wait_until(lambda: all(map(is_gone, pids)), SOON, "the whole node to be gone")
                wait_until(lambda: "the node has ended" in server.log, SOON, "the server to see that its node is gone")
                node.start()
                wait_until(lambda: answers(node.port), SOON, "the node to be back")
                job = miner.wait_new_job(SOON)
                assert job.clean
                assert miner.submit(miner.search(job, job.block_target)) is True
                wait_until(lambda: node.get("/v1/status").json["height"] == 1, SOON, "the block")
        finally:
            server.kill()
        assert "Traceback" not in server.log
