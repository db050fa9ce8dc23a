"""The vectors of rules 2 against a running node: blocks, transactions, what it tells of accounts and assets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.api.parts.spend_bodies import SpendBody
from moneyer.node.core.coinfile import coin_from_json
from tests.api.test_p2p import statuses
from tests.conftest import REPOSITORY
from tests.kit.running import RunningNode, running

VECTORS: dict[str, Any] = json.loads((REPOSITORY / "tests" / "vectors" / "rules2.json").read_text("utf-8"))
HEIGHT = VECTORS["invalid_blocks"]["parent_height"]
SENT = SpendBody.__struct_fields__
"""Other fields of the vectors tell more of a transaction than it is made of."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """At the height where most of the vectors begin."""
    with running(tmp_path / "node", coin_from_json(VECTORS["chain"]["coin"])) as started:
        assert statuses(started, VECTORS["chain"]["blocks"][:HEIGHT]) == ["extended"] * HEIGHT
        yield started


def tells(node: RunningNode, state: dict[str, Any]) -> None:
    """What the API says of every account and asset is this state."""
    told = node.get("/v1/status").json
    assert (told["tip"], told["height"]) == (state["tip_shown"], state["height"])
    for address, account in state["accounts"].items():
        found = node.get(f"/v1/accounts/{address}").json
        assert (found["balance"], found["sequence"]) == (account["balance"], account["sequence"])
        held = {each["asset"]: each["amount"] for each in node.get(f"/v1/accounts/{address}/assets").json["assets"]}
        assert held == {each["asset"]: each["amount"] for each in account["assets"]}
    listed = node.get("/v1/assets?limit=1000").json["assets"]
    assert {each["id"] for each in listed} == set(state["assets"])
    for asset, terms in state["assets"].items():
        assert terms.items() <= node.get(f"/v1/assets/{asset}").json.items()


def test_the_chain_the_reorg_and_the_way_back(node: RunningNode) -> None:
    chain, reorg, back = VECTORS["chain"], VECTORS["reorg"], VECTORS["reorg_back"]
    tells(node, chain["state_at_30"])
    statuses(node, chain["blocks"][HEIGHT:])
    tells(node, chain["state"])
    assert node.get(f"/v1/assets/{reorg['undone_asset']}").status == 200
    statuses(node, reorg["blocks"])
    tells(node, reorg["state"])
    assert node.get(f"/v1/assets/{reorg['undone_asset']}").status == 404
    statuses(node, back["blocks"])
    tells(node, back["state"])
    assert node.get("/is_valid").json["valid"] is True


def test_invalid_blocks_change_nothing(node: RunningNode) -> None:
    tip = node.get("/v1/status").json["tip"]
    for block in (*VECTORS["invalid_blocks"]["blocks"], *VECTORS["poison"]["blocks"]):
        assert statuses(node, [block["raw"]]) == [block["code"]], block["why"]
    assert node.get("/v1/status").json["tip"] == tip
    assert statuses(node, [VECTORS["invalid_blocks"]["valid_after"]]) == ["extended"]


@pytest.mark.parametrize("section", ["transactions_invalid", "transactions_random"])
def test_an_invalid_transaction_is_refused_with_its_code(node: RunningNode, section: str) -> None:
    """But for a bad signature: a node that refused something lately looks at the state before it verifies any."""
    for row in VECTORS[section]:
        if row["code"] is None:
            continue
        answer = node.post("/v1/transactions", {"raw": row["raw"]})
        assert 400 <= answer.status < 500
        assert answer.code == row["code"] or row["code"] == "bad_signature", row["why"]
    assert node.get("/v1/mempool").json["count"] == 0


def test_transactions_are_judged_in_context_and_shown_as_what_they_are(node: RunningNode) -> None:
    found = VECTORS["transactions_in_context"]
    for row in found["refused"]:
        checked = node.post("/v1/transactions/check", {"raw": row["raw"]}).json
        assert (checked["accepted"], checked["code"]) == (False, row["code"]), row["why"]
        assert row.get("details", {}).items() <= checked.items()
        answer = node.post("/v1/transactions", {"raw": row["raw"]})
        assert answer.code == row["code"], row["why"]
        assert row.get("details", {}).items() <= answer.json["error"]["details"].items()
    for row in found["accepted"]:
        answer = node.post("/v1/transactions", {"raw": row["raw"]})
        assert (answer.status, answer.json["txid"]) == (201, row["txid_shown"])
        shown = node.get(f"/v1/transactions/{row['txid_shown']}").json
        assert shown["kind"] in ("payment", "issue", "mint", "burn", "transfer")
    for row in found["then_refused"]:
        assert node.post("/v1/transactions", {"raw": row["raw"]}).code == row["code"], row["why"]


def test_a_transaction_given_by_its_fields_is_the_one_of_its_bytes(node: RunningNode) -> None:
    """The answer is about the same transaction: the same code and the same words."""
    for row in VECTORS["transactions"]:
        fields = {name: value for name, value in row["fields"].items() if name in SENT}
        fields["witness"] = row["witness"]
        by_fields = node.post("/v1/transactions/check", fields).json
        assert "accepted" in by_fields, by_fields
        assert by_fields == node.post("/v1/transactions/check", {"raw": row["raw"]}).json
    plain = VECTORS["transactions"][0]["fields"]
    assert node.post("/v1/transactions/check", {**plain, "witness": "00", "symbol": "A"}).json["error"]["code"]
    assert node.post("/v1/transactions/check", plain).json["error"]["details"]["missing"] == ["witness"]


ODD: list[Any] = [
    *(
        None,
        True,
        -1,
        1.5,
        2**53,
        2**63,
        10**400,
        "",
        "0",
        "x" * 201,
        "\0",
        "\x85",
        "\u202e",
        "１２",
        "é" * 64,
        " 00",
        "00",
    ),
    *([], [1], {}, {"a": 1}, "0" * 63, "FF" * 32, "00" * 64),
]
"""For a number, a text, an address or bytes in hex."""


def test_an_odd_value_in_any_field_of_any_version_is_refused_with_a_sentence(node: RunningNode) -> None:
    """Nothing enters the pool, nothing is a bug in the node (`running` looks for one in the log)."""
    rows = {row["fields"]["version"]: row for row in VECTORS["transactions"]}
    assert set(rows) == {2, 3, 4, 5}
    found = set()
    for row in rows.values():
        right = {name: value for name, value in row["fields"].items() if name in SENT} | {"witness": row["witness"]}
        for name in (*right, "memo", "replace", "raw"):
            for odd in ODD:
                answer = node.post("/v1/transactions", {**right, name: odd})
                assert 400 <= answer.status < 500, (row["fields"]["version"], name, odd, answer.body)
                assert answer.json["error"]["message"]
                found.add(answer.code)
        lone = json.dumps({**right, "memo": "?"}).replace("?", "\\ud800").encode()
        assert node.post("/v1/transactions", lone, {"Content-Type": "application/json"}).code == "bad_json"
    assert {"bad_field", "bad_address", "bad_amount", "bad_witness"} <= found
    assert node.get("/v1/mempool").json["count"] == 0


def test_rules_1_know_no_assets(tmp_path: Path) -> None:
    found = VECTORS["rules_1"]
    with running(tmp_path / "plain", coin_from_json(found["coin"])) as node:
        assert statuses(node, found["blocks"]) == ["extended"] * len(found["blocks"])
        for row in found["invalid_blocks"]:
            assert statuses(node, [row["raw"]]) == [row["code"]], row["why"]
        for row in found["transactions_invalid"]:
            answer = node.post("/v1/transactions", {"raw": row["raw"]})
            assert answer.code in (row["code"], f"{row['code']}_transfer"), row["why"]
        assert node.get("/v1/assets").status == 404
        address = next(iter(found["state"]["accounts"]))
        assert "assets" not in node.get(f"/v1/accounts/{address}").json
        assert "rules" not in node.get("/v1/coin").json
        assert node.get("/p2p/hello").json["rules"] == 1
