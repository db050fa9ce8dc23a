"""Requests written in odd ways: each is understood as it stands, or refused with the reason; none is guessed at."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, RunningNode, running

JSON = {"Content-Type": "application/json"}
LOCATOR = b'{"locator": []}'


@pytest.fixture(autouse=True)
def nothing_changes(node: RunningNode) -> Iterator[None]:
    before = node.state()
    yield
    assert node.state() == before


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    """The head of a request for JSON, with these lines more."""
    usual = ("Host: localhost", "Content-Type: application/json", "Connection: close")
    return "\r\n".join([f"{method} {path} HTTP/1.1", *usual, *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/mine", b'{"blocks": 2, "blocks": 1}'),
        ("/v1/mine", b'{"blocks": 2, "\\u0062locks": 1}'),
        ("/connect_node", b'{"node": ["http://127.0.0.1:1"], "node": []}'),
        ("/add_transaction", b'{"sender": "a", "receiver": "b", "amount": 1, "amount": 2}'),
        ("/add_transaction", b'{"amount": 1' + b"0" * 5_000 + b', "amount": 2}'),
        ("/v1/transactions", b'{"raw": "00", "memo": "", "raw": "01"}'),
        ("/p2p/headers", b'{"locator": [], "locator": []}'),
        ("/p2p/headers", b'{"locator": [], "\\u0061": 1, "a": 2}'),
    ],
)
def test_a_key_that_stands_twice_is_not_understood(node: RunningNode, path: str, body: bytes) -> None:
    answer = node.call("POST", path, body, JSON)
    assert (answer.status, answer.code) == (400, "bad_json"), answer.body
    assert "stands twice" in answer.json["error"]["message"]


def test_a_text_that_looks_like_a_key_is_a_text(node: RunningNode) -> None:
    memo = '"amount": 1, "amount": 2, \\u0061 "memo"'
    signed = transfer(node.coin, ALICE, BOB, 5, memo=memo.encode())
    fields = {
        "sender": node.coin.address(signed.sender),
        "receiver": node.coin.address(signed.receiver),
        "amount": signed.amount,
        "fee": signed.fee,
        "sequence": signed.sequence,
        "memo": memo,
        "signature": signed.signature.hex(),
    }
    assert node.post("/v1/transactions/check", fields).json["accepted"] is True


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/connect_node", b'{"node": [NaN]}', ""),
        ("/connect_node", b'{"\\ud800": NaN}', "?"),
        ("/v1/mine", b'{"blocks": Infinity}', "blocks"),
        ("/v1/mine", b'{"' + b"k" * 50_000 + b'": 1}', "k" * 80),
    ],
)
def test_what_a_refusal_repeats_is_short_and_can_be_written(
    node: RunningNode, path: str, body: bytes, field: str
) -> None:
    answer = node.call("POST", path, body, JSON)
    assert (answer.status, answer.code) == (400, "bad_field"), answer.body
    assert answer.json["error"]["details"]["field"] == field
    assert len(answer.body) < 1_000


def test_a_byte_order_mark_is_refused_by_its_name(node: RunningNode) -> None:
    answer = node.call("POST", "/p2p/headers", b"\xef\xbb\xbf" + LOCATOR, JSON)
    assert (answer.status, answer.code) == (400, "bad_json")
    assert "byte order mark" in answer.json["error"]["message"]


@pytest.mark.parametrize("body", [gzip.compress(LOCATOR, mtime=0), LOCATOR], ids=["compressed", "not"])
@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_of_another_type(node: RunningNode, body: bytes, coding: str) -> None:
    answer = node.call("POST", "/p2p/headers", body, {**JSON, "Content-Encoding": coding})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert node.call("POST", "/p2p/headers", LOCATOR, {**JSON, "Content-Encoding": "identity"}).status == 200


def test_a_length_with_thousands_of_zeros_is_a_number(node: RunningNode) -> None:
    for length, status in ((f"{'0' * 5_000}{len(LOCATOR)}", b"200"), ("0" * 5_000, b"400")):
        answer = node.raw(head("/p2p/headers", f"Content-Length: {length}") + LOCATOR)
        assert answer.split(b" ")[1] == status, answer


@pytest.mark.parametrize("method", ["head", "get", "Post", "hEAD"])
def test_a_method_is_what_its_letters_say(node: RunningNode, method: str) -> None:
    """`head` is not HEAD, and must not be the GET that changes something either."""
    for path in ("/mine_block", "/replace_chain", "/v1/status"):
        answer = node.raw(head(path, "Content-Length: 0", method=method))
        assert answer.split(b" ")[1] == b"405", answer
        assert b"\r\nallow: GET, HEAD" in answer.replace(b"Allow", b"allow")


def test_two_hosts_are_none_of_ours(node: RunningNode) -> None:
    for hosts in (("localhost", "evil.example"), ("evil.example", "localhost")):
        lines = "".join(f"Host: {host}\r\n" for host in hosts)
        answer = node.raw(f"GET /v1/status HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
        assert answer.split(b" ")[1] in (b"400", b"403"), answer


def test_a_request_without_a_host_is_refused(node: RunningNode) -> None:
    for version in ("1.0", "1.1"):
        answer = node.raw(f"GET /v1/status HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
        assert answer.split(b" ")[1] in (b"400", b"403"), answer


def test_http_1_0_is_served(node: RunningNode) -> None:
    answer = node.raw(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200")
    assert answer.partition(b"\r\n\r\n")[2].startswith(b'{"status":"ok","height":0,')


def test_requests_behind_each_other_are_answered_in_turn(node: RunningNode) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    unread = b"POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
    answer = node.raw(one + unread + one + head("/p2p/headers", f"Content-Length: {len(LOCATOR)}") + LOCATOR)
    assert [part.split(b" ")[0] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200", b"200"]


def test_who_expects_to_be_told_to_go_on_is_told(node: RunningNode) -> None:
    answer = node.raw(head("/p2p/headers", "Expect: 100-continue", f"Content-Length: {len(LOCATOR)}") + LOCATOR)
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 200" in answer


def test_a_hash_in_a_path_may_be_in_capitals(node: RunningNode) -> None:
    genesis = node.get("/v1/blocks/0").json
    txid = genesis["transactions"][1]["txid"]
    assert node.get(f"/v1/blocks/{genesis['hash'].upper()}").json == genesis
    assert node.get(f"/v1/transactions/{txid.upper()}").json["txid"] == txid


def test_a_newer_node_may_say_more_than_this_one_knows(node: RunningNode) -> None:
    genesis = show(node.coin.chain_id)
    assert node.post("/p2p/headers", {"locator": [genesis], "stop": None}).status == 200
    assert node.post("/p2p/blocks", {"hashes": [genesis], "compact": True}).status == 200
    named = {"url": "http://127.0.0.1:1", "chain_id": genesis, "node_id": "a-newer-node", "more": 1}
    assert node.post("/p2p/connect", named).code == "unreachable"


@pytest.mark.parametrize("body", [{}, {"node": None}, {"node": []}])
def test_no_node_is_no_node_however_it_is_written(node: RunningNode, body: object) -> None:
    answer = node.post("/connect_node", body)
    assert (answer.status, answer.code) == (400, "no_node")


def test_a_fee_below_what_the_node_asks_is_against_its_rule_and_no_conflict(tmp_path: Path) -> None:
    with running(tmp_path / "node", min_fee=5) as dear:
        raw = codec.encode_transaction(transfer(dear.coin, ALICE, BOB, 5, 4)).hex()
        answer = dear.post("/v1/transactions", {"raw": raw})
        assert (answer.status, answer.code) == (422, "fee_too_low")
        assert json.loads(answer.body)["error"]["details"] == {"expected": 5, "found": 4}
