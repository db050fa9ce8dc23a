"""The tutorial's calls, as a beginner makes them."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.api.parts import chain_cache
from moneyer.node.api.parts.chain_cache import ChainChecks
from moneyer.node.chain.verify import Verified, verify_chain
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.service import Node
from moneyer.node.store.engine import Store
from moneyer.node.wallet.derive import development_keys
from tests.kit.chains import easy_coin, key, transfer
from tests.kit.damage import change
from tests.kit.running import RunningNode, running
from tests.kit.waiting import Clock

pytestmark = pytest.mark.both_databases

DEVELOPERS = development_keys()
UNIT = 10**6


def developers_coin() -> Any:
    from moneyer.node.core.address import encode_address

    return easy_coin(premine=[(encode_address("easy", each.payload), 1000 * UNIT) for each in DEVELOPERS.values()])


@pytest.fixture
def rich(tmp_path: Path) -> Any:
    """A node in whose wallet alice, bob and the others have a thousand coins each."""
    with running(tmp_path / "rich", developers_coin()) as node:
        yield node


@pytest.fixture(scope="module")
def steady(database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same, for tests in which nothing comes to be."""
    with running(tmp_path_factory.mktemp("steady") / "node", developers_coin()) as node:
        yield node


def add(node: RunningNode, sender: str = "alice", receiver: str = "bob", amount: Any = 1, **more: Any) -> Any:
    return node.post("/add_transaction", {"sender": sender, "receiver": receiver, "amount": amount, **more})


def test_the_chain_is_told_in_the_tutorials_words(rich: RunningNode) -> None:
    rich.extend()
    told = json.loads(rich.get("/get_chain").body, parse_float=Decimal)
    first, second = told["chain"]
    assert told["length"] == 2
    assert "next" not in told
    assert (first["index"], second["index"]) == (1, 2)
    assert second["previous_hash"] == first["hash"] == show(rich.coin.chain_id)
    assert second["timestamp"] == "2023-11-14T22:13:30+00:00"
    assert second["proof"] == rich.chain.tip.header.nonce
    assert (first["height"], second["height"]) == (0, 1)
    assert set(second) == {"index", "height", "timestamp", "proof", "previous_hash", "hash", "transactions"}
    minted = second["transactions"][0]
    assert set(minted) == {"sender", "receiver", "amount", "fee", "memo", "txid"}
    assert (minted["sender"], minted["amount"], minted["fee"]) == ("coinbase", 10, 0)


def test_amounts_are_exact_numbers_of_coins(rich: RunningNode) -> None:
    answer = rich.post(
        "/add_transaction",
        b'{"sender":"alice","receiver":"bob","amount":0.000001,"fee":1.10e-5}',
        {"Content-Type": "application/json"},
    )
    assert answer.status == 201, answer.body
    held = rich.get("/v1/mempool").json["transactions"][0]
    assert (held["amount"], held["fee"]) == (1, 11)
    signed = codec.decode_spend(rich.get("/p2p/mempool").body)
    rich.extend(transfers=[signed])
    told = rich.get("/get_chain?from=2").body
    assert b'"amount":0.000001,"fee":0.000011' in told
    assert b'"amount":10.000011' in told


def test_a_long_chain_comes_in_pages(fresh: RunningNode) -> None:
    for _ in range(5):
        fresh.extend()
    page = fresh.get("/get_chain?limit=4").json
    assert [block["index"] for block in page["chain"]] == [1, 2, 3, 4]
    assert (page["length"], page["next"]) == (6, 5)
    last = fresh.get("/get_chain?from=5&limit=2").json
    assert [block["index"] for block in last["chain"]] == [5, 6]
    assert "next" not in last
    assert fresh.get("/get_chain?from=7").json == {"chain": [], "length": 6}
    assert fresh.get("/get_chain?from=0").status == 400


def test_a_transfer_by_name_is_added_to_the_next_block(rich: RunningNode) -> None:
    answer = add(rich, amount=12.5, memo="for lunch")
    assert answer.status == 201
    assert answer.json["message"] == "transaction added in the block 2"
    assert answer.json["index"] == 2
    told = rich.get(f"/v1/transactions/{answer.json['txid']}").json
    assert (told["amount"], told["memo"], told["status"]) == (12_500_000, "for lunch", "ready")
    assert told["receiver"] == rich.coin.address(DEVELOPERS["bob"].payload)


def test_an_address_will_do_for_a_name(rich: RunningNode) -> None:
    alice, stranger = rich.coin.address(DEVELOPERS["alice"].payload), key("stranger").address(rich.coin)
    assert add(rich, alice, stranger).status == 201
    assert add(rich, alice.upper(), stranger).status == 201


def test_two_sends_at_once_take_two_sequences(rich: RunningNode) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: add(rich, amount=1, memo=str(number)), range(24)))
    assert [answer.status for answer in answers] == [201] * 24
    held = rich.get("/v1/mempool").json["transactions"]
    assert sorted(each["sequence"] for each in held) == list(range(24))


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({}, ["sender", "receiver", "amount"]),
        ({"sender": "alice"}, ["receiver", "amount"]),
        ({"sender": "alice", "receiver": "bob"}, ["amount"]),
    ],
)
@pytest.mark.sqlite_only("it is about words alone")
def test_fields_that_lack_are_named(steady: RunningNode, body: dict[str, str], missing: list[str]) -> None:
    answer = steady.post("/add_transaction", body)
    assert (answer.status, answer.code, answer.json["error"]["details"]["missing"]) == (400, "missing_fields", missing)


@pytest.mark.parametrize("field", ["amount", "fee"])
@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "1e400",
        "true",
        '"12"',
        "-1",
        "-0.5",
        str(2**63),
        "1" + "0" * 400,
        "null",
        "{}",
        "1.0000001",
        "1e-9",
        "1e99",
        "0." + "0" * 60 + "1",
        "9" * 41,
    ],
)
@pytest.mark.sqlite_only("it is about words alone")
def test_an_amount_that_is_none_is_a_bad_field(steady: RunningNode, field: str, number: str) -> None:
    before = steady.state()
    values = {"sender": '"alice"', "receiver": '"bob"', "amount": "1", field: number}
    body = "{" + ",".join(f'"{name}":{value}' for name, value in values.items()) + "}"
    answer = steady.call("POST", "/add_transaction", body.encode(), {"Content-Type": "application/json"})
    assert (answer.status, answer.code, answer.json["error"]["details"]["field"]) == (400, "bad_field", field)
    assert steady.state() == before


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"sender": "<alise>"}, 400, "bad_name"),
        ({"receiver": "coinbase"}, 400, "bad_name"),
        ({"receiver": "easy1qqqq"}, 400, "bad_address"),
        ({"sender": key("stranger").address(easy_coin())}, 400, "unknown_key"),
        ({"receiver": easy_coin().address(bytes(32) + b"\x07")}, 400, "bad_address"),
        ({"amount": 1001}, 422, "insufficient_funds"),
        ({"amount": 0}, 422, "bad_amount"),
        ({"amount": 9007199254, "fee": 9007199254}, 422, "bad_amount"),
        ({"memo": "x" * 141}, 400, "bad_field"),
        ({"sender": 7}, 400, "bad_field"),
        ({"fees": 1}, 400, "bad_field"),
        ({"to": "carol"}, 400, "bad_field"),
    ],
)
def test_a_send_that_cannot_be_says_why(steady: RunningNode, changes: dict[str, Any], status: int, code: str) -> None:
    before = steady.state()
    answer = steady.post("/add_transaction", {"sender": "alice", "receiver": "bob", "amount": 1, **changes})
    assert (answer.status, answer.code) == (status, code), answer.body
    assert steady.state() == before


def test_what_is_missing_is_said_in_coins(steady: RunningNode) -> None:
    message = steady.post("/add_transaction", {"sender": "alice", "receiver": "bob", "amount": 5000.5}).json["error"]
    assert "amount and fee are 5000.5 EASY" in message["message"]


def test_nodes_connect_and_the_longer_chain_replaces_the_shorter(tmp_path: Path) -> None:
    coin = developers_coin()
    with running(tmp_path / "one", coin) as one, running(tmp_path / "two", coin) as two:
        for _ in range(3):
            two.extend()
        answer = one.post("/connect_node", {"node": [two.url]})
        assert (answer.status, answer.json["nodes"]) == (201, [f"127.0.0.1:{two.port}"])
        assert "failed" not in answer.json
        replaced = one.get("/replace_chain").json
        assert replaced["message"] == "nodes updated."
        assert len(replaced["new_chain"]) == 4
        again = one.get("/replace_chain").json
        assert again["message"] == "already largest chain"
        assert again["new_chain"] == replaced["new_chain"] == two.get("/get_chain").json["chain"]
        assert [(each["asked"], each["answered"]) for each in (replaced, again)] == [(1, 1), (1, 1)]


def test_where_no_node_answers_replace_chain_says_so(tmp_path: Path) -> None:
    with running(tmp_path / "one") as one:
        nobody = one.get("/replace_chain").json
        assert (nobody["message"], nobody["asked"], nobody["answered"]) == ("already largest chain", 0, 0)
        with running(tmp_path / "two") as two:
            one.post("/connect_node", {"node": [two.url]})
        down = one.get("/replace_chain").json
        assert down["message"].startswith("no answer from the other node")
        assert (down["asked"], down["answered"]) == (1, 0)


def test_one_node_is_one_peer_and_needs_no_scheme(tmp_path: Path) -> None:
    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        named = f"127.0.0.1:{two.port}"
        for spelling in (named, f"localhost:{two.port}", two.url, f"http://localhost:{two.port}"):
            answer = one.post("/connect_node", {"node": [spelling]})
            assert (answer.status, answer.json["nodes"], answer.json.get("failed")) == (201, [named], None)
            assert one.post("/v1/peers", {"url": spelling}).json["url"] == two.url
        assert one.call("DELETE", f"/v1/peers/localhost:{two.port}").status == 200
        assert one.get("/v1/peers").json["peers"] == []


def test_a_node_of_another_coin_or_itself_is_not_connected(tmp_path: Path) -> None:
    with running(tmp_path / "one") as one, running(tmp_path / "two", easy_coin(message="another")) as two:
        answer = one.post(
            "/connect_node", {"node": [two.url, one.url, f"http://localhost:{one.port}", "http://127.0.0.1:1"]}
        )
        assert answer.json["nodes"] == []
        assert [each["code"] for each in answer.json["failed"]] == ["other_coin", "self", "self", "unreachable"]


@pytest.mark.parametrize("body", [{}, {"node": []}, {"nodes": []}, {"node": " "}, {"NODES": None}])
@pytest.mark.sqlite_only("it is about words alone")
def test_connecting_nobody_is_no_node(node: RunningNode, body: dict[str, Any]) -> None:
    assert (node.post("/connect_node", body).status, node.post("/connect_node", body).code) == (400, "no_node")


@pytest.mark.parametrize("body", [{"node": 5}, {"node": [1]}, {"node": ["http://x"] * 65}, {"nodes": {}}, {"nods": []}])
@pytest.mark.sqlite_only("it is about words alone")
def test_a_list_of_nodes_that_is_none_is_a_bad_field(node: RunningNode, body: dict[str, Any]) -> None:
    assert (node.post("/connect_node", body).status, node.post("/connect_node", body).code) == (400, "bad_field")


def test_a_chain_that_was_tampered_with_is_not_valid(fresh: RunningNode) -> None:
    fresh.extend()
    fresh.extend(transfers=[transfer(fresh.coin, key("alice"), key("bob"), 5)])
    sound = fresh.get("/is_valid").json
    assert (sound["valid"], sound["index"], sound["height"]) == (True, 3, 2)
    assert "index 3 (height 2)" in sound["message"]
    whose = f"payload = x'{key('bob').payload.hex()}'"
    change(fresh.config.data, f"UPDATE accounts SET balance = balance + 1 WHERE {whose}")
    assert fresh.get("/is_valid").json == sound  # what was found within the last minute, at this tip
    fresh.extend()
    broken = fresh.get("/is_valid").json
    assert broken["valid"] is False
    assert "not valid" in broken["message"]


def test_a_check_is_not_done_again_within_a_minute_at_the_same_tip(fresh: RunningNode) -> None:
    """Counted in this process, on the node's own file."""
    fresh.extend()
    fresh.stop()
    node = Node.open(fresh.config)
    runs: list[int] = []

    def counted(store: Store) -> Verified:
        runs.append(1)
        return verify_chain(store)

    clock = Clock()
    try:
        checks = ChainChecks(node.store, check=counted, clock=clock)
        assert [checks.verdict().problem for _ in range(3)] == [None] * 3
        assert len(runs) == 1
        node.chain.accept_block(codec.encode_block(fresh.chain.add()), int(time.time()))
        assert checks.verdict().height == 2
        assert len(runs) == 2
        clock.now += chain_cache.CHECK_SECONDS
        assert checks.verdict().height == 2
        assert len(runs) == 3
    finally:
        node.close()


def test_asking_many_times_at_once_whether_it_is_valid_gets_one_answer(fresh: RunningNode) -> None:
    fresh.extend()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: fresh.get("/is_valid").json, range(12)))
    assert all(answer == answers[0] and answer["valid"] for answer in answers)


@pytest.mark.parametrize(
    "body",
    [
        {"sender": "alice", "recipient": "bob", "amount": 1},
        {"from": "alice", "to": "bob", "amount": 1},
        {"Sender": "alice", "Receiver": "bob", "Amount": 1},
        {"sender": "alice", "reciever": "bob", "amount": 1},
        {"sender": "alice", "receiver": "bob", "amount": 1, "time": "10:45", "id": 7},
    ],
)
@pytest.mark.sqlite_only("it is about words alone")
def test_the_spellings_of_the_tutorials_copies_are_taken(rich: RunningNode, body: dict[str, Any]) -> None:
    answer = rich.post("/add_transaction", body)
    assert answer.status == 201, answer.body
    held = rich.get("/v1/mempool").json["transactions"][0]
    assert held["receiver"] == rich.coin.address(DEVELOPERS["bob"].payload)


@pytest.mark.sqlite_only("it is about words alone")
def test_a_body_of_thousands_of_keys_is_not_compared_with_what_they_may_mean(steady: RunningNode) -> None:
    answer = steady.post("/add_transaction", {f"x{number:04}y": 1 for number in range(5_000)})
    assert (answer.status, answer.code) == (400, "bad_field")
    said = answer.json["error"]["message"]
    assert said == "the body has 5000 fields: this call takes sender, receiver, amount, fee and memo"


@pytest.mark.parametrize("key", ["node", "nodes", "Nodes"])
@pytest.mark.parametrize("in_a_list", [True, False])
@pytest.mark.sqlite_only("it is about words alone")
def test_nodes_connect_by_either_key_as_a_list_or_as_one(node: RunningNode, key: str, in_a_list: bool) -> None:
    url = "http://127.0.0.1:1"
    answer = node.post("/connect_node", {key: [url] if in_a_list else url, "extra": 1})
    assert (answer.status, [each["node"] for each in answer.json["failed"]]) == (201, [url])


@pytest.mark.sqlite_only("it is about words alone")
def test_a_key_near_a_known_one_is_refused_and_the_known_one_named(steady: RunningNode) -> None:
    answer = add(steady, memmo="for lunch")
    assert answer.code == "bad_field"
    assert "did you mean memo" in answer.json["error"]["message"]
