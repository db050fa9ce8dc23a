"""Transfers that a node must refuse, and how (faults.md, Transfer)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec, signing
from moneyer.node.core.address import encode_address
from moneyer.node.core.codec import show
from moneyer.node.core.types import MAX_MONEY, Transfer
from tests.kit.chains import Key, key, sign, transfer
from tests.kit.running import ALICE, BOB, CAROL, RICH, Answer, RunningNode, rich_coin, running

pytestmark = pytest.mark.both_databases

JSON = {"Content-Type": "application/json"}


def fields(node: RunningNode, signed: Transfer, **changes: Any) -> dict[str, Any]:
    """A transfer as `POST /v1/transactions` takes it."""
    return {
        "sender": node.coin.address(signed.sender),
        "receiver": node.coin.address(signed.receiver),
        "amount": signed.amount,
        "fee": signed.fee,
        "sequence": signed.sequence,
        "memo": signed.memo.decode(),
        "signature": signed.signature.hex(),
        **changes,
    }


def submit(node: RunningNode, signed: Transfer, **changes: Any) -> Answer:
    return node.post("/v1/transactions", fields(node, signed, **changes))


def submit_raw(node: RunningNode, signed: Transfer) -> Answer:
    return node.post("/v1/transactions", {"raw": codec.encode_transaction(signed).hex()})


def send(node: RunningNode, amount: int, fee: int, sequence: int, sender: Key = ALICE) -> Answer:
    return submit(node, transfer(node.coin, sender, BOB, amount, fee, sequence))


def is_refused(node: RunningNode, answer: Answer, status: int, code: str, before: tuple[bytes, ...]) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert node.state() == before


@pytest.mark.parametrize("field", ["amount", "fee", "sequence"])
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "1e400", "1.5", "true", '"12"', "-1", str(2**63), "1" + "0" * 400, "null", "[]"]
)
def test_what_is_no_whole_number_is_a_bad_field(node: RunningNode, field: str, number: str) -> None:
    before = node.state()
    text = json.dumps(fields(node, transfer(node.coin, ALICE, BOB, 5), **{field: "HERE"})).replace('"HERE"', number)
    answer = node.call("POST", "/v1/transactions", text.encode(), JSON)
    is_refused(node, answer, 400, "bad_field", before)
    assert answer.json["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    ("amount", "fee"),
    [
        (MAX_MONEY, 1),
        (MAX_MONEY + 1, 0),
        (2**63 - 1, 2**63 - 1),
        (0, 5),
        (2**64 - 1, 2),
        (2**63, 2**63),
        (1, 2**64 - 1),
    ],
)
def test_amount_and_fee_never_wrap_round(node: RunningNode, amount: int, fee: int) -> None:
    before = node.state()
    signed = transfer(node.coin, ALICE, BOB, amount, fee)
    is_refused(node, submit_raw(node, signed), 422, "bad_amount", before)
    if max(amount, fee) < 2**63:
        is_refused(node, submit(node, signed), 422, "bad_amount", before)


def test_nobody_spends_what_is_waiting_already(fresh: RunningNode) -> None:
    assert send(fresh, RICH - 100, 10, 0).status == 201
    before = fresh.state()
    is_refused(fresh, send(fresh, 91, 0, 1), 422, "insufficient_funds", before)
    assert send(fresh, 90, 0, 1).status == 201


def test_a_sequence_that_is_used_conflicts(fresh: RunningNode) -> None:
    fresh.extend(transfers=[transfer(fresh.coin, ALICE, BOB, 5)])
    before = fresh.state()
    is_refused(fresh, send(fresh, 6, 0, 0), 409, "bad_sequence", before)


def test_a_sequence_ahead_waits_up_to_64_and_no_further(fresh: RunningNode) -> None:
    far = send(fresh, 5, 0, 64)
    assert (far.status, far.json["status"]) == (201, "waiting")
    before = fresh.state()
    is_refused(fresh, send(fresh, 5, 0, 65), 422, "sequence_gap", before)
    near = send(fresh, 5, 0, 0)
    assert (near.status, near.json["status"]) == (201, "ready")
    is_refused(fresh, send(fresh, 5, 0, MAX_MONEY + 1), 422, "bad_sequence", fresh.state())


def test_a_replacement_pays_a_tenth_more(fresh: RunningNode) -> None:
    assert send(fresh, 5, 100, 0).status == 201
    before = fresh.state()
    is_refused(fresh, send(fresh, 6, 109, 0), 409, "fee_too_low", before)
    better = send(fresh, 6, 110, 0)
    assert better.status == 201
    held = fresh.get("/v1/mempool").json
    assert [each["txid"] for each in held["transactions"]] == [better.json["txid"]]


def test_a_check_says_what_submitting_would(fresh: RunningNode) -> None:
    assert send(fresh, 5, 100, 0).status == 201
    before = fresh.state()
    for replace_it, fee, code in ((True, 200, None), (False, 200, "bad_sequence"), (True, 109, "fee_too_low")):
        body = fields(fresh, transfer(fresh.coin, ALICE, BOB, 6, fee), replace=replace_it)
        checked = fresh.post("/v1/transactions/check", body)
        assert (checked.status, checked.json["accepted"], checked.json["code"]) == (200, code is None, code)
        assert fresh.state() == before
        submitted = fresh.post("/v1/transactions", body) if code else None
        assert submitted is None or (submitted.status, submitted.code) == (409, code)
    assert fresh.state() == before


def test_the_same_transfer_a_hundred_times_at_once_is_one(fresh: RunningNode) -> None:
    signed = transfer(fresh.coin, ALICE, BOB, 5, 1)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: submit(fresh, signed), range(100)))
    assert {answer.status for answer in answers} <= {200, 201}
    assert [answer.status for answer in answers].count(201) == 1
    assert {answer.json["txid"] for answer in answers} == {show(codec.txid(signed))}
    assert fresh.get("/v1/mempool").json["count"] == 1


def test_a_signature_for_another_chain_is_refused(node: RunningNode) -> None:
    before = node.state()
    elsewhere = transfer(rich_coin(message="elsewhere"), ALICE, BOB, 5)
    is_refused(node, submit(node, elsewhere), 422, "bad_signature", before)


@pytest.mark.parametrize("bit", [0, 255, 256, 511])
def test_a_signature_one_bit_off_is_refused(node: RunningNode, bit: int) -> None:
    before = node.state()
    signed = transfer(node.coin, ALICE, BOB, 5)
    flipped = (int.from_bytes(signed.signature, "big") ^ 1 << bit).to_bytes(64, "big")
    is_refused(node, submit(node, replace(signed, signature=flipped)), 422, "bad_signature", before)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_not_understood(node: RunningNode, size: int) -> None:
    before = node.state()
    signed = transfer(node.coin, ALICE, BOB, 5)
    cut = (signed.signature + b"\x00")[:size]
    is_refused(node, submit(node, signed, signature=cut.hex()), 400, "bad_field", before)
    is_refused(node, submit_raw(node, replace(signed, signature=cut)), 400, "malformed", before)


def test_a_sender_whose_key_is_off_the_curve_is_refused(node: RunningNode) -> None:
    before = node.state()
    off = next(
        bytes([0]) + n.to_bytes(32, "big") for n in range(1, 100) if not signing.is_on_curve(n.to_bytes(32, "big"))
    )
    signed = sign(node.coin, replace(transfer(node.coin, ALICE, BOB, 5), sender=off), ALICE)
    submit(node, signed)  # where a transfer was refused lately, the database is asked before a signature is checked
    # No money can ever be there, and that is asked before the signature.
    is_refused(node, submit(node, signed), 422, "insufficient_funds", before)


def bech32(hrp: str, payload: bytes) -> str:
    """The address with the checksum of bech32, which came before bech32m."""
    charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    symbols = encode_address(hrp, payload)[len(hrp) + 1 : -6]
    expanded = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    checksum = 1
    for value in [*expanded, *map(charset.index, symbols), *[0] * 6]:  # BIP 173
        top, checksum = checksum >> 25, (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    checksum ^= 1  # of bech32m it would be 0x2BC830A3
    return f"{hrp}1{symbols}" + "".join(charset[checksum >> 5 * (5 - i) & 31] for i in range(6))


def wrong_addresses() -> dict[str, str]:
    right = encode_address("easy", BOB.payload)
    return {
        "checksum": right[:-1] + ("q" if right[-1] != "q" else "p"),
        "another coin": encode_address("other", BOB.payload),
        "mixed case": right[:10] + right[10:].upper(),
        "bech32": bech32("easy", BOB.payload),
        "reserved kind": encode_address("easy", bytes([1]) + BOB.payload[1:]),
        "empty": "",
        "a name": "bob",
        "not ASCII": right[:-1] + "é",
        "long": right * 2,
    }


@pytest.mark.parametrize("kind", wrong_addresses())
@pytest.mark.parametrize("field", ["sender", "receiver"])
def test_a_wrong_address_is_told_apart(node: RunningNode, kind: str, field: str) -> None:
    before = node.state()
    answer = submit(node, transfer(node.coin, ALICE, BOB, 5), **{field: wrong_addresses()[kind]})
    is_refused(node, answer, 400, "bad_address", before)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": 1}, "bad_field"),
        ({"memo": "x" * 141}, "bad_field"),
        ({"memo": "é" * 71}, "bad_field"),
        ({"memo": None}, "bad_field"),
        ({"signature": "zz" * 64}, "bad_field"),
        ({"raw": "00"}, "bad_field"),
    ],
)
def test_what_no_transfer_has_is_not_understood(node: RunningNode, changes: dict[str, Any], code: str) -> None:
    before = node.state()
    is_refused(node, submit(node, transfer(node.coin, ALICE, BOB, 5), **changes), 400, code, before)


def test_a_lone_surrogate_is_not_understood(node: RunningNode) -> None:
    before = node.state()
    text = json.dumps(fields(node, transfer(node.coin, ALICE, BOB, 5), memo="HERE")).replace("HERE", "\\ud800")
    is_refused(node, node.call("POST", "/v1/transactions", text.encode(), JSON), 400, "bad_json", before)


def test_raw_bytes_that_are_no_transfer_are_malformed(node: RunningNode) -> None:
    before = node.state()
    whole = codec.encode_transaction(transfer(node.coin, ALICE, BOB, 5))
    coinbase = codec.encode_transaction(node.coin.genesis.transactions[0])
    for raw in (b"", whole[:-1], whole + b"\x00", coinbase, b"\x02" + whole[1:]):
        is_refused(node, node.post("/v1/transactions", {"raw": raw.hex()}), 400, "malformed", before)


def test_a_field_that_lacks_is_named(node: RunningNode) -> None:
    sent = fields(node, transfer(node.coin, ALICE, BOB, 5))
    del sent["fee"]
    answer = node.post("/v1/transactions", sent)
    assert (answer.status, answer.code, answer.json["error"]["details"]["field"]) == (400, "bad_field", "fee")


def test_a_memo_that_is_not_utf8_is_against_the_rules(node: RunningNode) -> None:
    before = node.state()
    is_refused(node, submit_raw(node, transfer(node.coin, ALICE, BOB, 5, memo=b"\xff")), 422, "bad_memo", before)


def test_a_check_tells_and_changes_nothing(node: RunningNode) -> None:
    before = node.state()
    good = node.post("/v1/transactions/check", fields(node, transfer(node.coin, ALICE, BOB, 5)))
    poor = node.post("/v1/transactions/check", fields(node, transfer(node.coin, ALICE, BOB, RICH, 1)))
    assert (good.json["accepted"], good.json["code"]) == (True, None)
    assert (poor.status, poor.json["accepted"], poor.json["code"]) == (200, False, "insufficient_funds")
    assert node.state() == before


def test_a_full_pool_keeps_what_is_ready(tmp_path: Path) -> None:
    size = codec.TRANSFER_BASE
    with running(tmp_path / "node", mempool_bytes=5 * size) as node:
        ready = [send(node, 5, 1, sequence).json["txid"] for sequence in range(3)]
        for sequence in range(1, 11):  # better paid, but behind a gap
            send(node, 5, 1_000, sequence, CAROL)
        held = node.get("/v1/mempool").json
        assert held["bytes"] <= 5 * size
        assert set(ready) <= {each["txid"] for each in held["transactions"] if each["status"] == "ready"}


def test_a_replacement_cannot_drain_what_waits_behind_it(fresh: RunningNode) -> None:
    assert [send(fresh, RICH // 4, 10, sequence).status for sequence in range(3)] == [201, 201, 201]
    before = fresh.state()
    is_refused(fresh, send(fresh, RICH - 20, 20, 0), 422, "insufficient_funds", before)
    account = fresh.get(f"/v1/accounts/{ALICE.address(fresh.coin)}").json
    assert account["pending"]["outgoing"] <= account["balance"]


def test_a_stranger_without_money_is_refused(node: RunningNode) -> None:
    before = node.state()
    poor = key("nobody gave me anything")
    is_refused(node, send(node, 1, 0, 0, poor), 422, "insufficient_funds", before)
