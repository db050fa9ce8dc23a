"""Blocks on demand: jobs, the worker that does them, and what is said where there is none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.service import Node
from moneyer.node.store import mining
from moneyer.node.store.backends.presence import WORKER
from moneyer.node.store.engine import Store
from tests.kit.chains import easy_coin, transfer
from tests.kit.databases import database_words
from tests.kit.running import ALICE, BOB, RunningNode, running
from tests.kit.system import warm
from tests.kit.waiting import END_SECONDS, wait_until

pytestmark = pytest.mark.both_databases


def has_worker(node: RunningNode) -> bool:
    return node.get("/v1/status").json["worker"]["alive"] is True


@contextlib.contextmanager
def worker(node: RunningNode) -> Iterator[None]:
    """A real mining worker of a node."""
    log = node.config.data.with_name("worker.reports")
    place = ["--data", str(node.config.data), *database_words(node.config)]
    with log.open("ab") as output:
        process = warm.Popen(
            [sys.executable, "-m", "moneyer.worker", *place, "--engine", "hashlib"],
            stdout=output,
            stderr=output,
            cwd=Path(__file__).resolve().parents[2],
        )
    try:
        wait_until(lambda: has_worker(node), 60, "the worker to live")
        yield
    finally:
        process.terminate()
        process.wait(END_SECONDS)


@pytest.fixture(scope="module")
def mined(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with a worker."""
    with running(tmp_path_factory.mktemp("mined") / "node") as node, worker(node):
        yield node


def height(node: RunningNode) -> int:
    found: int = node.get("/v1/status").json["height"]
    return found


def test_a_block_is_mined_when_it_is_asked_for(mined: RunningNode) -> None:
    before = height(mined)
    for method in ("GET", "POST"):
        answer = mined.call(method, "/mine_block")
        assert answer.status == 200, answer.body
        before += 1
        told = answer.json
        assert (told["index"], told["transactions"][0]["sender"]) == (before + 1, "coinbase")
        assert told["message"]
        assert mined.get(f"/v1/blocks/{before}").json["hash"] == told["hash"]
        assert mined.get(f"/v1/blocks/{before}").json["nonce"] == told["proof"]


def test_what_waits_is_mined_with_it(mined: RunningNode) -> None:
    signed = transfer(mined.coin, ALICE, BOB, 5, 7)
    sent = {
        "sender": mined.coin.address(signed.sender),
        "receiver": mined.coin.address(signed.receiver),
        **{name: getattr(signed, name) for name in ("amount", "fee", "sequence")},
        "signature": signed.signature.hex(),
    }
    txid = mined.post("/v1/transactions", sent).json["txid"]
    assert txid in [each["txid"] for each in mined.get("/mine_block").json["transactions"]]
    told = mined.get(f"/v1/transactions/{txid}").json
    assert (told["status"], told["confirmations"]) == ("confirmed", 1)
    again = mined.post("/v1/transactions", sent)
    assert (again.status, again.json) == (200, {"txid": txid, "status": "confirmed"})


def test_a_job_of_many_blocks_pays_whom_it_names(mined: RunningNode) -> None:
    before = height(mined)
    answer = mined.post("/v1/mine", {"blocks": 3, "address": BOB.address(mined.coin)})
    assert (answer.status, answer.json["state"], answer.json["mined"]) == (202, "open", 0)
    job = answer.json["job"]
    wait_until(lambda: mined.get(f"/v1/jobs/{job}").json["state"] == "done", 30)
    told = mined.get(f"/v1/jobs/{job}").json
    assert (told["mined"], told["wanted"], told["address"]) == (3, 3, BOB.address(mined.coin))
    blocks = mined.get("/v1/blocks?limit=3").json["blocks"]
    assert [block["height"] for block in blocks] == [before + 3, before + 2, before + 1]
    assert {block["miner"] for block in blocks} == {BOB.address(mined.coin)}
    assert blocks[0]["hash"] == told["last_hash"]


def test_the_status_tells_of_the_worker(mined: RunningNode) -> None:
    told = wait_until(lambda: mined.get("/v1/status").json["worker"]["engine"] and mined.get("/v1/status").json)
    assert told["worker"]["alive"] is True


@pytest.mark.parametrize(
    "body", [{"blocks": 0}, {"blocks": -1}, {"blocks": 100_001}, {"blocks": 1.5}, {"blocks": True}]
)
def test_a_number_of_blocks_that_is_none_is_a_bad_field(mined: RunningNode, body: dict[str, object]) -> None:
    before = height(mined)
    assert (mined.post("/v1/mine", body).status, mined.post("/v1/mine", body).code) == (400, "bad_field")
    assert height(mined) == before


def test_a_job_is_not_paid_to_a_wrong_address(mined: RunningNode) -> None:
    stranger = easy_coin(hrp="other").address(BOB.payload)
    answer = mined.post("/v1/mine", {"blocks": 1, "address": stranger})
    assert (answer.status, answer.code) == (400, "bad_address")
    assert mined.get("/v1/jobs/nosuchjob").status == 404


def test_without_a_worker_it_says_so_and_does_nothing(node: RunningNode) -> None:
    answer = node.get("/mine_block")
    assert (answer.status, answer.code) == (503, "no_worker")
    assert "moneyer worker" in answer.json["error"]["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert node.get("/v1/status").json["worker"]["alive"] is False
    with Store.open(node.config, node.coin).read() as conn:
        assert mining.next_open(conn) is None


def test_a_job_that_cannot_go_on_says_why(fresh: RunningNode) -> None:
    here = Node.open(fresh.config)
    living = here.store.backend.hold(WORKER)
    try:
        wait_until(lambda: has_worker(fresh), 20, "the worker to be seen")
        from threading import Thread

        def refuse() -> None:
            def found() -> mining.JobRow | None:
                with here.store.read() as conn:
                    return mining.next_open(conn)

            job = wait_until(found, 20)
            assert job is not None
            here.store.write(lambda conn: mining.fail(conn, job.job_id, "the machine is on fire", 0))

        refuser = Thread(target=refuse)
        refuser.start()
        answer = fresh.get("/mine_block")
        refuser.join()
    finally:
        living.release()
        here.close()
    assert (answer.status, answer.code) == (503, "job_failed")
    assert "the machine is on fire" in answer.json["error"]["message"]


def test_a_job_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        job = node.post("/v1/mine", {"blocks": 2}).json["job"]
        coin = node.coin
    with running(tmp_path / "node", coin) as node:
        assert node.get(f"/v1/jobs/{job}").json["state"] == "open"
        with worker(node):
            wait_until(lambda: node.get(f"/v1/jobs/{job}").json["state"] == "done", 30)
        assert height(node) == 2
