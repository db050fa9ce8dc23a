"""A tutorial reader's names: made and given coins on first use on a development network, refused elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core.coin import Coin
from moneyer.node.wallet.derive import development_key, development_keys
from moneyer.node.wallet.keystore import open_wallet
from tests.api.test_mining import worker
from tests.kit.chains import easy_coin
from tests.kit.running import RunningNode, running

UNIT = 10**6


def coin_with_a_faucet() -> Coin:
    from moneyer.node.core.address import encode_address

    held = {**dict.fromkeys(development_keys().values(), 1000), development_key("faucet"): 1_000_000}
    return easy_coin(premine=[(encode_address("easy", key.payload), coins * UNIT) for key, coins in held.items()])


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[RunningNode]:
    """A node of a development network, with a worker."""
    with running(tmp_path / "node", coin_with_a_faucet()) as node, worker(node):
        yield node


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[RunningNode]:
    """The same without a worker."""
    with running(tmp_path / "alone", coin_with_a_faucet()) as node:
        yield node


def add(node: RunningNode, sender: str, receiver: str, amount: Any = 100) -> Any:
    return node.post("/add_transaction", {"sender": sender, "receiver": receiver, "amount": amount})


def balance(node: RunningNode, name: str) -> int:
    address = node.coin.address(development_key(name).payload)
    return int(node.get(f"/v1/accounts/{address}").json["balance"])


def test_the_tutorials_names_work_at_the_first_request(taught: RunningNode) -> None:
    answer = add(taught, "Juhi", "Jaroli Sir")
    assert answer.status == 201, answer.body
    juhi, sir = (taught.coin.address(development_key(name).payload) for name in ("Juhi", "Jaroli Sir"))
    assert answer.json["made"] == [
        {"name": "Juhi", "address": juhi, "coins": 1000, "index": 2, "height": 1},
        {"name": "Jaroli Sir", "address": sir},
    ]
    assert (answer.json["message"], answer.json["index"], answer.json["height"]) == (
        "transaction added in the block 3",
        3,
        2,
    )
    mined = taught.get("/mine_block").json
    assert [(each["sender"], each["receiver"], each["amount"]) for each in mined["transactions"][1:]] == [
        (juhi, sir, 100)
    ]
    assert (balance(taught, "Juhi"), balance(taught, "Jaroli Sir")) == (900 * UNIT, 100 * UNIT)
    again = add(taught, "JUHI", "jaroli sir", 5)
    assert again.status == 201
    assert "made" not in again.json


def test_a_receiver_needs_nothing_more_and_a_sender_that_lacks_coins_is_paid_once(taught: RunningNode) -> None:
    received = add(taught, "alice", "Mia", 5)
    assert [each["name"] for each in received.json["made"]] == ["Mia"]
    assert "coins" not in received.json["made"][0]
    assert taught.get("/mine_block").status == 200
    paid = add(taught, "mia", "bob", 2_500)
    assert [(each["name"], each["coins"]) for each in paid.json["made"]] == [("mia", 2_500)]
    assert taught.get("/mine_block").status == 200
    poor = add(taught, "Mia", "bob", 3_000)
    assert (poor.status, poor.code) == (422, "insufficient_funds")
    rich = add(taught, "Noor", "bob", 2_000_000)
    assert (rich.status, rich.code) == (422, "insufficient_funds")
    assert (add(taught, "alice", "bob", 1_001).code) == "insufficient_funds"


def test_many_new_names_at_once_are_all_made(taught: RunningNode) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: add(taught, f"Person {number % 3}", f"Friend {number}", 1), range(6)))
    assert [answer.status for answer in answers] == [201] * 6, [answer.body for answer in answers]
    names = open_wallet(taught.config.wallet_file).names
    assert {f"Person {each}" for each in range(3)} | {f"Friend {each}" for each in range(6)} <= set(names)


def test_without_a_worker_a_new_sender_is_told_so_and_a_new_receiver_is_made(alone: RunningNode) -> None:
    assert add(alone, "alice", "Juhi").status == 201
    refused = add(alone, "Juhi", "alice")
    assert (refused.status, refused.code) == (503, "no_worker")
    assert len(alone.get("/v1/mempool").json["transactions"]) == 1


@pytest.mark.parametrize("name", ["<b>", "", "a\u202eb", "coinbase", "x" * 33, "easy1qqqq"])
def test_what_is_no_name_makes_no_account(alone: RunningNode, name: str) -> None:
    before = open_wallet(alone.config.wallet_file).names
    answer = add(alone, "alice", name)
    assert answer.status == 400
    assert answer.code in ("bad_name", "bad_address")
    assert open_wallet(alone.config.wallet_file).names == before


def test_elsewhere_a_refusal_says_which_names_there_are_and_how_to_make_one(tmp_path: Path) -> None:
    with running(tmp_path / "own", easy_coin(), development=False) as node:
        answer = node.post("/add_transaction", {"sender": "Juhi", "receiver": "Miner", "amount": 1}, node.bearer)
        error = answer.json["error"]
        assert (answer.status, error["code"], error["details"]["known"]) == (400, "unknown_name", ["miner"])
        assert "It knows miner; `moneyer wallet new NAME` makes one" in error["message"]
        near = node.post("/add_transaction", {"sender": "mienr", "receiver": "miner", "amount": 1}, node.bearer)
        assert "did you mean miner" in near.json["error"]["message"]
        assert list(open_wallet(node.config.wallet_file).names) == ["miner"]
