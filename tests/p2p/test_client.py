from __future__ import annotations

import json

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.p2p.peer import wire
from moneyer.node.p2p.peer.errors import BadAnswer, NewerProtocol, PeerUnreachable, Refused, TooLarge
from moneyer.node.p2p.peer.peer_client import PeerClient
from tests.kit.chains import ChainBuilder, key, transfer
from tests.kit.net.peers import HELLO, Answer, Serve, Wire, as_bytes, as_json, hello_of, honest


def test_an_honest_peer_is_understood(serve: Serve, chain: ChainBuilder) -> None:
    client = PeerClient(serve(honest(chain)).url)
    hello = client.hello()
    assert (hello.height, hello.claimed_work, hello.tip) == (12, chain.work, show(chain.tip_hash))
    raw = client.headers([chain.coin.chain_id])
    assert raw == [codec.encode_header(block.header) for block in chain.blocks[1:]]
    hashes = [codec.block_hash(block.header) for block in chain.blocks[1:]]
    assert client.blocks([hashes[0], bytes(32), hashes[2]]) == [chain.raw[0], None, chain.raw[2]]


def test_blocks_and_transfers_are_handed_over(serve: Serve, chain: ChainBuilder) -> None:
    paid = transfer(chain.coin, key("alice"), key("bob"), 5)
    txid = show(codec.txid(paid))
    routes = {
        "POST /p2p/block": as_json({"status": "extended"}),
        "POST /p2p/transactions": as_json({"accepted": [], "rejected": [{"txid": txid, "code": "insufficient_funds"}]}),
        "GET /p2p/mempool": as_bytes(codec.encode_transaction(paid) * 2),
        "GET /p2p/peers": as_json({"peers": ["http://127.0.0.1:5001"]}),
        "POST /p2p/connect": as_json({}),
    }
    server = serve(routes)
    client = PeerClient(server.url)
    assert client.push_block(chain.raw[0]) == "extended"
    assert client.push_transactions(codec.encode_transaction(paid)).rejected[0].code == "insufficient_funds"
    assert codec.decode_spends(client.mempool()) == [paid, paid]
    assert client.peers().peers == ["http://127.0.0.1:5001"]
    client.connect("http://127.0.0.1:5002", chain.coin.chain_id, "node-id-1")
    assert server.bodies("/p2p/block") == [chain.raw[0]]
    assert server.bodies("/p2p/transactions") == [codec.encode_transaction(paid)]
    assert json.loads(server.bodies("/p2p/connect")[0])["chain_id"] == show(chain.coin.chain_id)
    kinds = {headers.get("Content-Type") for headers in server.headers}
    assert kinds == {"application/octet-stream", "application/json", None}


def test_a_connection_is_kept_alive_and_a_dropped_one_is_made_again(serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    client = PeerClient(server.url)
    for _ in range(5):
        client.hello()
    assert server.connections == 1
    server.routes = {HELLO: as_bytes(json.dumps(hello_of(chain)).encode(), Connection="close")}
    for _ in range(3):
        client.hello()
    assert server.connections <= 4


def test_a_peer_that_cuts_a_kept_connection_without_a_word_is_asked_again(serve: Serve, chain: ChainBuilder) -> None:
    routes = honest(chain)
    server = serve(routes)
    client = PeerClient(server.url)
    client.hello()
    cut = iter([True])

    def sometimes(body: bytes) -> Answer | Wire:
        return (lambda out, closing: None) if next(cut, False) else honest(chain)[HELLO](body)

    server.routes = {**routes, HELLO: sometimes}
    assert client.hello().height == 12


def test_an_answer_that_is_cut_anywhere_is_not_the_peers_fault(
    serve: Serve, chain: ChainBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise a bad network would end in a ban."""
    body = json.dumps(hello_of(chain)).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nserver: granian\r\n\r\n" % len(body)
    whole = head + body
    ends = [*range(len(head) + 2), len(whole) - 1]
    server = serve({})
    for end in ends:
        server.routes = {HELLO: lambda _, part=whole[:end]: lambda out, closing: out.write(part)}  # type: ignore[misc]
        with pytest.raises(PeerUnreachable):
            PeerClient(server.url).hello()
    server.routes = {HELLO: lambda _: lambda out, closing: out.write(whole)}
    assert PeerClient(server.url).hello().height == 12
    assert caplog.text == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>SECRET</html>",
        b"null",
        b"[]",
        b'"SECRET"',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"protocol": 1, "a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"protocol": NaN}',
        b'{"protocol": 1e400}',
        b'{"protocol": true}',
        b'{"protocol": 0}',
        b'{"protocol": 1}',
    ],
)
def test_an_answer_that_is_not_the_protocols_is_a_bad_answer(serve: Serve, body: bytes) -> None:
    with pytest.raises(BadAnswer) as error:
        PeerClient(serve({HELLO: as_bytes(body)}).url).hello()
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", "SECRET"),
        ("chain_id", "A" * 64),
        ("node_id", "<script>"),
        ("node_id", ""),
        ("agent", "a" * 101),
        ("agent", "line\nbreak"),
        ("agent", "\u202e"),
        ("height", -1),
        ("height", 2**32),
        ("height", "12"),
        ("height", True),
        ("height", 1.5),
        ("work", "f" * 65),
        ("work", 5),
        ("url", "http://" + "a" * 300),
        ("rules", 0),
        ("rules", "2"),
        ("rules", 2**20),
    ],
)
def test_every_field_of_a_hello_is_bounded(serve: Serve, chain: ChainBuilder, field: str, value: object) -> None:
    server = serve({HELLO: as_json(hello_of(chain, **{field: value}))})
    with pytest.raises(BadAnswer):
        PeerClient(server.url).hello()


def test_a_newer_protocol_is_named_whatever_else_it_says(serve: Serve) -> None:
    with pytest.raises(NewerProtocol, match="update this node"):
        PeerClient(serve({HELLO: as_json({"protocol": 2, "shape": ["SECRET"]})}).url).hello()


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b'{"error": {"code": "high_hash", "message": "SECRET"}}', "high_hash"),
        (b'{"error": {"code": "SECRET", "message": "SECRET"}}', None),
        (b"SECRET", None),
        (b"[" * 60_000, None),
    ],
)
def test_a_refusal_names_a_rule_only_in_our_own_words(serve: Serve, body: bytes, rule: str | None) -> None:
    server = serve({"POST /p2p/block": as_bytes(body, 422)})
    with pytest.raises(Refused) as error:
        PeerClient(server.url).push_block(b"block")
    assert (error.value.status, error.value.rule) == (422, rule)
    assert "SECRET" not in str(error.value) + str(error.value.details)


@pytest.mark.parametrize("body", [bytes(79), bytes(81), bytes(80 * 2001)])
def test_headers_come_whole_and_no_more_than_2000(serve: Serve, body: bytes) -> None:
    with pytest.raises((BadAnswer, TooLarge)):
        PeerClient(serve({"POST /p2p/headers": as_bytes(body)}).url).headers([bytes(32)])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        b"\x05\0\0\0abc",
        b"\xff\xff\xff\xff",
        wire.frame_blocks([b"a", b"b", b"c"]),
        wire.frame_blocks([b"a" * 10_001]),
    ],
    ids=["none", "half a length", "cut short", "a length without end", "more than asked", "over the coin's limit"],
)
def test_blocks_come_whole_and_no_more_than_asked(serve: Serve, body: bytes) -> None:
    client = PeerClient(serve({"POST /p2p/blocks": as_bytes(body)}).url, max_block_bytes=10_000)
    with pytest.raises(BadAnswer):
        client.blocks([bytes(32), bytes(32)])


def test_an_answer_of_blocks_is_cut_behind_8_megabytes_one_at_least() -> None:
    big = bytes(5_000_000)
    assert wire.split_blocks(wire.frame_blocks([big, None, big, big]), 4, 6_000_000) == [big, None]
    huge = bytes(9_000_000)
    assert wire.split_blocks(wire.frame_blocks([huge, big]), 2, 9_000_000) == [huge]


def test_nobody_there_is_unreachable(serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    server.close()
    with pytest.raises(PeerUnreachable):
        PeerClient(server.url).hello()


def test_proxies_and_cookies_play_no_part(serve: Serve, chain: ChainBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve({})
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    hello = json.dumps(hello_of(chain)).encode()
    server = serve({HELLO: as_bytes(hello, Set_Cookie="track=SECRET; Path=/")})
    client = PeerClient(server.url)
    client.hello()
    client.hello()
    assert proxy.asked == []
    assert all("Cookie" not in headers for headers in server.headers)
