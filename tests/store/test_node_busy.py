"""A running node beside a process that was stopped in the middle of a transaction: it reads on, and says not now."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.store.backends.sqlite.driver import has_safe_wal
from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, Answer, rich_coin, running
from tests.kit.system.processes import Child, children
from tests.store.children import write_and_stay_inside

pytestmark = pytest.mark.both_databases

COIN = rich_coin()


@pytest.mark.skipif(not has_safe_wal, reason="with a rollback journal a writer in mid-commit holds readers up")
def test_a_node_whose_worker_was_stopped_in_mid_transaction_answers_readers_and_tells_writers_to_wait(
    tmp_path: Path,
) -> None:
    raw = codec.encode_transaction(transfer(COIN, ALICE, BOB, 5, 1)).hex()
    answers: list[Answer] = []
    with running(tmp_path / "node", COIN) as node:
        node.extend()
        before = node.state()
        with children(Child(write_and_stay_inside, tmp_path / "node", COIN)) as (worker,):
            assert worker.hear() == "inside"
            os.kill(worker.pid, signal.SIGSTOP)
            writer = threading.Thread(target=lambda: answers.append(node.post("/v1/transactions", {"raw": raw})))
            writer.start()
            waited = []
            for _ in range(5):
                assert node.state() == before
                assert node.get("/v1/status").json["height"] == 1
                waited.append(not answers)
            assert waited[0], (
                "readers were answered while the writer waited"
            )  # for ten seconds; a busy machine reads on
            writer.join(60)
            (answer,) = answers
            assert (answer.status, answer.code) == (503, "busy")
            assert int(answer.headers["retry-after"]) >= 1
            assert node.state() == before
            worker.kill()
            assert node.post("/v1/transactions", {"raw": raw}).status == 201
            node.extend()
        assert node.get("/is_valid").json["valid"] is True
