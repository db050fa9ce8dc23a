"""The calls of those who mine: the mode, the miners, and the door for tools."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.types import Coinbase
from tests.api.test_mining import height, worker
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.databases import database_words
from tests.kit.mining.stratum import Stratum
from tests.kit.nodes import Node
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases


def sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@pytest.fixture(scope="module")
def mined(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with a worker, of a coin that takes some thousand hashes a block."""
    folder = tmp_path_factory.mktemp("mined") / "node"
    with running(folder, rich_coin(pow_limit=0x1F7FFFFF)) as node, worker(node):
        yield node


def test_without_a_worker_the_mode_stands_all_the_same(fresh: RunningNode) -> None:
    told = fresh.get("/v1/mining").json
    assert (told["mode"], told["worker"]["alive"], told["stratum"]) == ("demand", False, None)
    answer = fresh.post("/v1/mining", {"mode": "interval:2.5"})
    assert (answer.status, answer.json["mode"]) == (200, "interval 2.5")
    assert fresh.get("/v1/mining").json["mode"] == "interval 2.5"


@pytest.mark.parametrize(
    "mode", ["", "fast", "interval", "interval:0", "interval:-1", "interval:1e3", "interval:99999", 5, None]
)
def test_a_mode_that_is_none_is_a_bad_field(node: RunningNode, mode: Any) -> None:
    answer = node.post("/v1/mining", {"mode": mode})
    assert (answer.status, answer.code) == (400, "bad_field")
    assert node.get("/v1/mining").json["mode"] == "demand"


def test_a_worker_is_switched_while_it_runs(mined: RunningNode) -> None:
    before = height(mined)
    assert mined.post("/v1/mining", {"mode": "continuous"}).json["mode"] == "continuous"
    wait_until(lambda: height(mined) > before + 1, 30, "blocks that nobody asked for")
    assert mined.post("/v1/mining", {"mode": "demand"}).json["mode"] == "demand"
    told = wait_until(
        lambda: (seen := mined.get("/v1/status").json["worker"])["mode"] == "demand" and seen["blocks"] and seen
    )
    assert (told["processes"], told["share"], told["stale_share"]) == (1, 1.0, 0.0)


def test_miners_of_the_stratum_server_are_shown(mined: RunningNode) -> None:
    server = Stratum(mined.config.data, *database_words(mined.config), "--difficulty", "0.0000001")
    try:
        server.wait_ready()
        with server.started("miner.shown") as miner:
            assert miner.submit(miner.search(miner.jobs[-1])) is True
            shown = wait_until(
                lambda: (seen := mined.get("/v1/mining").json["stratum"]) and seen["accepted"] and seen, 20
            )
            assert (shown["port"], shown["connections"]) == (server.port, 1)
            assert [each["name"] for each in shown["miners"]] == ["miner.shown"]
            assert "moneyer_stratum_shares_total 1.0" in mined.get("/metrics").body.decode()
    finally:
        server.kill()
    wait_until(lambda: mined.get("/v1/mining").json["stratum"] is None, 10, "its end to be seen")


def template_of(node: RunningNode, who: str = "") -> dict[str, Any]:
    answer = node.get(f"/v1/mining/template{who}")
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json
    return told


def solve(told: dict[str, Any], header: bytes) -> int:
    """A nonce, by nothing but what the template says."""
    for nonce in range(2**32):
        raw = header[:76] + nonce.to_bytes(4, "little")
        if sha256d(raw)[::-1].hex() <= told["target"]:
            return nonce
    raise AssertionError


def test_a_tool_solves_a_template_and_hands_the_nonce_back(fresh: RunningNode) -> None:
    signed = transfer(fresh.coin, ALICE, BOB, 5, 7)
    assert fresh.post("/v1/transactions", {"raw": codec.encode_transaction(signed).hex()}).status == 201
    told = template_of(fresh, f"?address={BOB.address(fresh.coin)}")
    assert (told["height"], told["address"], len(told["transactions"])) == (1, BOB.address(fresh.coin), 2)
    assert told["min_time"] <= told["timestamp"] <= told["max_time"]
    assert told["timestamp"] <= time.time()
    nonce = solve(told, bytes.fromhex(told["header"]))
    answer = fresh.post("/v1/mining/submit", {"job": told["job"], "nonce": nonce})
    assert (answer.status, answer.json["status"], answer.json["height"]) == (200, "extended", 1)
    block = fresh.get("/v1/blocks/1").json
    assert (block["hash"], block["miner"], block["fees"]) == (answer.json["hash"], BOB.address(fresh.coin), 7)
    again = fresh.post("/v1/mining/submit", {"job": told["job"], "nonce": nonce})
    assert (again.status, again.json["status"]) == (200, "already_known")


def test_a_tool_may_change_extra_time_and_version(fresh: RunningNode) -> None:
    for number in range(3):
        signed = transfer(fresh.coin, ALICE, BOB, 5, 7, sequence=number)
        fresh.post("/v1/transactions", {"raw": codec.encode_transaction(signed).hex()})
    told = template_of(fresh)
    extra = b"a tool of my own"
    coinbase = bytes.fromhex(told["coinbase_start"]) + bytes([len(extra)]) + extra
    root = sha256d(coinbase)
    for sibling in told["branch"]:
        root = sha256d(root + bytes.fromhex(sibling)[::-1])
    version, timestamp = 1 | 0x00ABC000 & 0x1FFFE000, told["timestamp"] + 1
    header = (
        version.to_bytes(4, "little")
        + bytes.fromhex(told["prev_hash"])[::-1]
        + root
        + timestamp.to_bytes(4, "little")
        + bytes.fromhex(told["bits"])[::-1]
        + bytes(4)
    )
    changed = {"extra": extra.hex(), "timestamp": timestamp, "version": version}
    solved = {"job": told["job"], "nonce": solve(told, header), **changed}
    assert fresh.post("/v1/mining/submit", solved).json["status"] == "extended"
    block = fresh.get("/v1/blocks/1").json
    assert (block["version"], block["timestamp"]) == (version, timestamp)
    assert block["transactions"][0]["extra"] == extra.hex()
    assert fresh.coin.payload(block["miner"])


def test_a_whole_block_may_be_handed_in(fresh: RunningNode) -> None:
    told = template_of(fresh)
    transactions = [bytes.fromhex(each) for each in told["transactions"]]
    header = bytearray.fromhex(told["header"])
    header[76:] = solve(told, bytes(header)).to_bytes(4, "little")
    raw = bytes(header) + bytes([len(transactions)]) + b"".join(transactions)
    assert isinstance(codec.decode_block(raw).transactions[0], Coinbase)
    answer = fresh.post("/v1/mining/submit", {"raw": raw.hex()})
    assert (answer.status, answer.json["status"], answer.json["hash"]) == (
        200,
        "extended",
        show(sha256d(bytes(header))),
    )


def test_what_is_no_solution_is_told_what_is_wrong_with_it(fresh: RunningNode) -> None:
    told = template_of(fresh)
    wrong = next(
        nonce
        for nonce in range(100)
        if sha256d(bytes.fromhex(told["header"])[:76] + nonce.to_bytes(4, "little"))[::-1].hex() > told["target"]
    )
    before = fresh.state()
    job = told["job"]
    tries: list[tuple[dict[str, Any], int, str]] = [
        ({"job": job, "nonce": wrong}, 422, "high_hash"),
        ({"job": "0" * 16, "nonce": 1}, 404, "not_found"),
        ({"job": job}, 400, "bad_field"),
        ({}, 400, "bad_field"),
        ({"job": job, "nonce": -1}, 400, "bad_field"),
        ({"job": job, "nonce": 2**32}, 400, "bad_field"),
        ({"job": job, "nonce": 1, "extra": "xy"}, 400, "bad_field"),
        ({"job": job, "nonce": 1, "extra": "00" * 17}, 422, "malformed"),
        ({"job": job, "nonce": 1, "extra": "00" * 101}, 400, "bad_field"),
        ({"job": job, "nonce": 1, "version": 2}, 422, "bad_version"),
        ({"raw": "00"}, 422, "malformed"),
        ({"raw": "xyz"}, 400, "bad_field"),
        ({"raw": "00", "job": job}, 400, "bad_field"),
    ]
    for body, status, code in tries:
        answer = fresh.post("/v1/mining/submit", body)
        assert (answer.status, answer.code) == (status, code), (body, answer.body)
    assert fresh.get("/v1/mining/template?address=nobody").code == "bad_address"
    assert fresh.state() == before


def test_the_door_wants_the_token(guarded: RunningNode) -> None:
    for method, path in (("GET", "/v1/mining/template"), ("POST", "/v1/mining/submit"), ("POST", "/v1/mining")):
        assert guarded.call(method, path, {} if method == "POST" else None).status == 401
    assert guarded.get("/v1/mining").status == 200
    assert guarded.get("/v1/mining/template", guarded.bearer).status == 200


def test_templates_given_out_are_bounded(fresh: RunningNode, tmp_path: Path) -> None:
    first = template_of(fresh)
    for _ in range(300):
        last = template_of(fresh)
    answer = fresh.post("/v1/mining/submit", {"job": first["job"], "nonce": 0})
    assert (answer.status, answer.code) == (404, "not_found")
    nonce = solve(last, bytes.fromhex(last["header"]))
    assert fresh.post("/v1/mining/submit", {"job": last["job"], "nonce": nonce}).json["status"] == "extended"


def test_a_chain_at_the_last_second_of_a_header_has_no_template_and_says_so(tmp_path: Path) -> None:
    coin = rich_coin(timestamp=2**32 - 2)
    chain = ChainBuilder(coin)
    before = Node(tmp_path / "node", coin)
    last = codec.encode_block(chain.add(timestamp=2**32 - 1))
    assert before.chain.accept_block(last, 2**32).status == "extended"
    before.store.close()
    with running(tmp_path / "node", coin) as node:
        for _ in range(2):
            answer = node.get("/v1/mining/template")
            assert (answer.status, answer.code) == (503, "no_timestamp")
            assert "no block can follow block 1" in answer.json["error"]["message"]
        assert node.get("/v1/status").json["height"] == 1
