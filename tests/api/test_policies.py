"""`/v1/policies`: texts to addresses, bytes to words, and what is wrong with either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moneyer.node.client.client import Client
from moneyer.node.client.errors import Refused
from tests.kit.chains import key
from tests.kit.running import ALICE, BOB, RunningNode, own_coin, own_node, running

pytestmark = pytest.mark.both_databases

COIN = own_coin(rules=2, clock_tolerance=60)


@pytest.fixture(scope="module")
def node(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with own_node(tmp_path_factory.mktemp("policies") / "data", COIN) as running:
        yield running


def test_a_text_and_its_bytes_are_one_policy(node: RunningNode) -> None:
    text = f"{ALICE.address(COIN)} or ({BOB.address(COIN)} and after height 500)"
    client = Client(node.url)
    made = client.policy(text)
    assert client.decode_policy(made["raw"]) == made
    assert COIN.payload(made["address"])[0] == 1
    assert made["now"] == f"key {ALICE.payload[1:].hex()[:8]}… alone"
    assert [(each["height"], each["time"]) for each in made["later"]] == [(500, 0)]
    assert made["problem"] is None
    assert made["tree"]["of"][1]["is_open_now"] is False


def test_names_are_for_the_owner(node: RunningNode) -> None:
    body = {"policy": "alice and bob"}
    assert node.call("POST", "/v1/policies/encode", body).code == "bad_policy"
    made = node.call("POST", "/v1/policies/encode", body, node.bearer).json
    assert made["policy"] == "alice and bob"
    assert any("lost" in each for each in made["cautions"])
    assert "alice" not in node.call("POST", "/v1/policies/decode", {"raw": made["raw"]}).body.decode()


def test_an_error_says_where(node: RunningNode) -> None:
    with pytest.raises(Refused) as refused:
        Client(node.url).policy("after height 5")
    assert refused.value.node_code == "bad_policy"
    assert refused.value.details["position"] == 0
    assert node.call("POST", "/v1/policies/encode", {"policy": f"{ALICE.address(COIN)} or"}).json["error"]["details"]


def test_bytes_are_shown_whatever_they_say(node: RunningNode) -> None:
    keyless = node.call("POST", "/v1/policies/decode", {"raw": "0205000000"}).json
    assert "anybody could take the money" in keyless["problem"]
    off_curve = node.call("POST", "/v1/policies/decode", {"raw": "00" + "ff" * 32}).json
    assert "nobody can sign" in off_curve["problem"]
    for raw in ("05", "00ff", "04" * 200, "0205000000ff"):
        assert node.call("POST", "/v1/policies/decode", {"raw": raw}).code == "bad_policy"
    for raw in ("", "0", "zz", "00" * 5_000):
        assert node.call("POST", "/v1/policies/decode", {"raw": raw}).code == "bad_field"
    assert key("alice") == ALICE


def test_a_coin_of_rules_1_has_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("old") / "data") as old:
        for path, body in (("encode", {"policy": "alice"}), ("decode", {"raw": "0205000000"})):
            answer = old.call("POST", f"/v1/policies/{path}", body)
            assert answer.status == 404
            assert "rules 2 only" in answer.json["error"]["message"]
