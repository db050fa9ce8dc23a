"""Requests that no client should send, and what must come of them (faults.md, HTTP)."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from threading import Thread

import pytest

from moneyer.node.core import codec
from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, RunningNode

JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}

NEED_JSON = [
    *("/v1/transactions", "/v1/transactions/check", "/v1/mine", "/v1/peers", "/add_transaction", "/connect_node"),
    *("/p2p/headers", "/p2p/blocks", "/p2p/connect"),
]


@pytest.fixture(autouse=True)
def nothing_changes(node: RunningNode) -> Iterator[None]:
    """No test of this file gets a node to change, nor to make a mistake of its own."""
    before = node.state()
    yield
    assert node.state() == before


@pytest.mark.parametrize("path", NEED_JSON)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_json"),
        (b"hello", "bad_json"),
        (b"<html>", "bad_json"),
        (b"[1, 2]", "bad_field"),
        (b"null", "bad_field"),
        (b'"text"', "bad_field"),
        (b'{"memo": "\xff"}', "bad_encoding"),
        (b"\xff\xfe{\x00}\x00", "bad_encoding"),
        (b'{"nothing of ours": 1}', "bad_field"),
    ],
)
def test_what_is_not_the_json_asked_for_is_not_understood(node: RunningNode, path: str, body: bytes, code: str) -> None:
    if b"nothing of ours" in body:  # the tutorial's calls leave out what they don't know
        code = {"/add_transaction": "missing_fields", "/connect_node": "no_node"}.get(path, "bad_field")
    answer = node.call("POST", path, body, JSON)
    assert (answer.status, answer.code) == (400, code), answer.body


@pytest.mark.parametrize("path", NEED_JSON)
def test_json_nested_too_deep_is_not_understood(node: RunningNode, path: str) -> None:
    for opening, close in ((b"[", b"]"), (b'{"amount":', b"}")):
        deep = opening * 5_000 + b"1" + close * 5_000
        assert node.call("POST", path, deep, JSON).status == 400


def test_json_nested_100_000_deep_is_not_understood(node: RunningNode) -> None:
    for body in (b"[" * 100_000, b'{"amount":' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
        answer = node.call("POST", "/v1/transactions", body, JSON)
        assert answer.status == 400, answer.body
        assert node.call("POST", "/add_transaction", body, JSON).status == 413
    answer = node.call("POST", "/add_transaction", b'{"amount":' + b"[" * 30_000 + b"]" * 30_000 + b"}", JSON)
    assert (answer.status, answer.code) == (400, "bad_json")


@pytest.mark.parametrize("length", ["abc", "-5", "5, 6", "0x10", "99999999999999999999999"])
def test_a_content_length_that_is_none_is_not_understood(node: RunningNode, length: str) -> None:
    head = "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = node.raw(f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{{}}".encode())
    assert answer.split(b" ")[1] in (b"400", b"413"), answer


@pytest.mark.parametrize("path", NEED_JSON)
def test_a_post_that_lacks_its_body_is_not_understood(node: RunningNode, path: str) -> None:
    for headers in ({}, JSON):
        answer = node.call("POST", path, None, headers)
        assert (answer.status, answer.code) == (400, "no_body")


def test_a_post_that_needs_no_body_is_served_without_one(node: RunningNode) -> None:
    answer = node.post("/replace_chain")
    assert (answer.status, answer.json["message"]) == (200, "already largest chain")


def test_json_sent_as_another_type_is_refused(node: RunningNode) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""):
        for path in NEED_JSON:
            answer = node.call("POST", path, b"{}", {"Content-Type": kind})
            assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert node.call("POST", "/p2p/block", b"x" * 81, JSON).status == 415
    assert (
        node.call("POST", "/v1/transactions", b"{}", {"Content-Type": "Application/JSON; charset=UTF-8"}).status == 400
    )


def test_a_body_over_the_limit_is_refused(node: RunningNode) -> None:
    limits = dict.fromkeys(NEED_JSON, 65536)
    limits["/v1/transactions"] = limits["/v1/transactions/check"] = 1_000_000
    for path, limit in limits.items():
        assert node.call("POST", path, b" " * (limit + 1), JSON).status == 413
        assert node.call("POST", path, b" " * limit, JSON).status == 400
    for over, status in ((1, 422), (65_536, 422), (65_537, 413)):
        answer = node.call("POST", "/p2p/block", bytes(node.coin.max_block_bytes + over), OCTETS)
        assert (answer.status, answer.code) == (status, "block_too_large")


@pytest.mark.parametrize("head", ["Content-Length: 10000000000", "Transfer-Encoding: chunked"])
def test_a_body_without_end_is_read_no_further_than_the_limit(node: RunningNode, head: str) -> None:
    """What the kernel and the server hold in their buffers is a few megabytes; the rest is never taken."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    taken = 0
    with socket.create_connection(("127.0.0.1", node.port), timeout=30) as sock:
        opening = (
            f"POST /add_transaction HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
        )
        sock.sendall(opening.encode())
        sock.settimeout(3)
        with contextlib.suppress(OSError):
            while taken < 200_000_000:
                sock.sendall(chunk)
                taken += len(chunk)
        with contextlib.suppress(OSError):
            assert sock.recv(100).split(b" ")[1] == b"413"
    assert taken < 20_000_000


def test_a_chunked_body_is_understood(node: RunningNode) -> None:
    body = b'{"locator": []}'
    head = b"POST /p2p/headers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert node.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/v1/blocks", "/v1/mempool", "/get_chain"])
@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=abc", "limit=1e9", "limit=0", "limit=99999999999999999999", "limit=", "limit=1&limit=2"],
)
def test_a_limit_that_is_none_is_not_understood(node: RunningNode, path: str, query: str) -> None:
    assert node.get(f"{path}?{query}").status == 400


@pytest.mark.parametrize(
    "query",
    [
        "before=-1",
        "before=9999999999",
        "before=%00",
        "limit=%ff",
        "nothing=1",
        "limit=%D9%A1",
        "a" * 3000,
        "&".join("abcdefghijklmnopqrs"),
    ],
)
def test_a_query_that_is_none_is_not_understood(node: RunningNode, query: str) -> None:
    assert node.get(f"/v1/blocks?{query}").status == 400


@pytest.mark.parametrize(
    "name", ["0" * 63, "0" * 65, "g" * 64, "'; DROP TABLE blocks; --", "-1", "1e3", "%00", "..%2f..", "9" * 11]
)
def test_a_name_that_is_none_is_not_found(node: RunningNode, name: str) -> None:
    name = name.replace(" ", "%20")
    for path in (f"/v1/blocks/{name}", f"/v1/blocks/{name}/raw", f"/v1/transactions/{name}", f"/v1/accounts/{name}"):
        assert node.get(path).status in (400, 404)
    for path in (f"/v1/jobs/{name}", f"/v1/transactions/{name}/proof", f"/v1/accounts/{name}/transactions"):
        assert node.get(path).status in (400, 404)
    assert node.call("DELETE", f"/v1/peers/{name}").status in (400, 404)


@pytest.mark.parametrize("cursor", ["1", "1.", ".1", "-1.0", "a.b", "1.2.3", "99999999999.0", "4294967296.0"])
def test_a_cursor_that_is_none_is_not_understood(node: RunningNode, cursor: str) -> None:
    path = f"/v1/accounts/{ALICE.address(node.coin)}/transactions?before={cursor}"
    assert (node.get(path).status, node.get(path).code) == (400, "bad_field")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/nope",
            "/v1",
            "/v1/",
            "//v1/status",
            "/v1/status/",
            "/v1//status",
            "/./v1/status",
            "/v1/./status",
            "/v1/x/../status",
            "/V1/status",
            "/metrics/",
            "/v1/event",
        ),
        *("/%ff", "/a%00b", "/..%2f..%2fetc%2fpasswd", "/%2e%2e%2f"),
    ],
)
def test_an_unknown_address_is_not_found_in_json(node: RunningNode, path: str) -> None:
    for method in ("GET", "POST"):
        answer = node.call(method, path)
        assert (answer.status, answer.code, answer.headers["content-type"]) == (404, "not_found", "application/json")
    assert node.get("/" + "x" * 5_000).status in (404, 414)


def test_the_server_hides_how_a_path_was_spelled(node: RunningNode) -> None:
    """As docs/api.md tells those who put a proxy before a node; where this fails, the node can refuse them itself."""
    for path in ("/v1%2fstatus", "/v1/%73tatus", "/%76%31/status"):
        assert node.get(path).json.keys() == node.get("/v1/status").json.keys()


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/status", "GET, HEAD"),
        ("PUT", "/mine_block", "GET, POST"),
        ("HEAD", "/mine_block", "GET, POST"),
        ("HEAD", "/replace_chain", "GET, POST"),
        ("DELETE", "/v1/peers", "GET, HEAD, POST"),
        ("GET", "/v1/mine", "POST"),
        ("OPTIONS", "/v1/transactions", "POST"),
        ("TRACE", "/v1/blocks/0", "GET, HEAD"),
    ],
)
def test_a_method_that_an_address_does_not_know_is_refused(
    node: RunningNode, method: str, path: str, allow: str
) -> None:
    answer = node.call(method, path)
    allowed = sorted(set(answer.headers["allow"].split(", ")) - {"HEAD"})
    assert (answer.status, allowed) == (405, sorted(set(allow.split(", ")) - {"HEAD"}))


def test_a_head_is_a_get_without_its_body(node: RunningNode) -> None:
    for path in ("/v1/status", "/v1/blocks/0", "/get_chain", "/healthz"):
        head, get = node.call("HEAD", path), node.get(path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
    assert node.call("HEAD", "/v1/blocks/77").status == 404


def test_every_answer_carries_the_security_headers(node: RunningNode) -> None:
    for path in ("/v1/status", "/nope", "/openapi.json", "/v1/blocks/0/raw", "/v1/blocks/x"):
        headers = node.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")
        assert "access-control-allow-origin" not in headers


def test_a_database_that_is_locked_for_long_is_not_now(node: RunningNode) -> None:
    signed = transfer(node.coin, ALICE, BOB, 5)
    sent = {"raw": codec.encode_transaction(signed).hex()}
    lock = sqlite3.connect(node.config.database, isolation_level=None)
    try:
        lock.execute("BEGIN IMMEDIATE")
        answer = node.call("POST", "/v1/transactions", json.dumps(sent).encode(), JSON)
        assert (answer.status, answer.code) == (503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert node.get("/v1/status").status == 200
    finally:
        lock.rollback()
        lock.close()


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "https://127.0.0.1:5002",
            "gopher://x",
            "",
            "http://",
            "http://[::",
        ),
        *(
            "http://user:secret@127.0.0.1:5002",
            "http://169.254.169.254/",
            "http://100.100.100.200",
            "http://2130706433:1",
        ),
        *(
            "http://[fe80::1]:5002",
            "http://0.0.0.0:5002",
            "http://127.0.0.1:1",
            "http://127.0.0.1:5002/path",
            "x" * 900,
        ),
    ],
)
def test_a_url_that_can_be_no_peer_is_refused(node: RunningNode, url: str) -> None:
    answer = node.post("/connect_node", {"node": [url]})
    assert (answer.status, answer.json["nodes"], len(answer.json["failed"])) == (201, [], 1)
    assert b"secret" not in answer.body.replace(url.encode(), b"")
    assert node.post("/v1/peers", {"url": url}).status in (400, 422)


def test_what_the_other_side_says_is_not_told(node: RunningNode) -> None:
    """A listener that is no node: its words must not come back to who asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"key":"SECRET"')

        teller = Thread(target=talk)
        teller.start()
        answer = node.post("/connect_node", {"node": [f"http://127.0.0.1:{port}"]})
        teller.join()
    assert len(answer.json["failed"]) == 1
    assert b"SECRET" not in answer.body
