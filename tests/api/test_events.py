"""What happens on a node is told as it happens, to as many as may listen, and to nobody at the others' cost."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from moneyer.node.api.feed.changes import MAX_BLOCKS
from moneyer.node.api.feed.feed import Behind, Feed
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.types import Block
from moneyer.node.service import Node
from moneyer.node.system.shares import EVENT_STREAMS
from tests.kit.callers.events import Listener, listening
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.databases import node_config
from tests.kit.nodes import place_coin
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

ROOT = Path(__file__).resolve().parents[2]

_ACCEPT = """
import sys, time
from pathlib import Path
from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.store.engine import Store, load_coin

config = Config(data=Path(sys.argv[1]), database_url=sys.argv[2] or None)
store = Store.open(config, load_coin(config), check_file=False)
raws = [bytes.fromhex(line) for line in sys.stdin]
print(Chain(store).accept_blocks(raws, int(time.time()))[-1].height)
store.close()
"""


def accept_elsewhere(node: RunningNode, blocks: Sequence[Block]) -> None:
    """Connect blocks in a process of its own, as the worker does."""
    done = subprocess.run(
        [sys.executable, "-c", _ACCEPT, str(node.config.data), node.config.database_url or ""],
        input="\n".join(codec.encode_block(block).hex() for block in blocks),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.stdout.split() == [str(node.chain.height)], done.stderr


def post_transfers(node: RunningNode, count: int, first: int = 0, memo: bytes = b"") -> None:
    """`count` transfers of ALICE's, sequences from `first`, in one request."""
    raws = [
        codec.encode_transaction(transfer(node.coin, ALICE, BOB, 1, sequence=first + number, memo=memo))
        for number in range(count)
    ]
    answer = node.post("/p2p/transactions", b"".join(raws), {"Content-Type": "application/octet-stream"})
    assert answer.json == {"accepted": count, "rejected": []}, answer.body


def silent_stream(node: RunningNode, buffer: int | None = None, source: str = "127.0.0.1") -> socket.socket:
    """A client that asks for the events and reads none."""
    sock = socket.socket()
    sock.bind((source, 0))
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect(("127.0.0.1", node.port))
    sock.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return sock


def metric(node: RunningNode, name: str) -> float:
    lines = node.get("/metrics").body.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture
def heard(fresh: RunningNode) -> Iterator[Listener]:
    with listening(fresh.port) as listener:
        yield listener


def test_the_answer_is_an_event_stream_that_nothing_may_keep(heard: Listener) -> None:
    assert heard.status == 200
    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert heard.headers["cache-control"] == "no-store"
    assert heard.headers["x-content-type-options"] == "nosniff"
    assert heard.events == []


def test_a_block_is_told_as_v1_blocks_shows_it(fresh: RunningNode, heard: Listener) -> None:
    fresh.extend()
    (block,) = heard.wait_for("block")
    assert block == fresh.get("/v1/blocks").json["blocks"][0]


def test_a_block_of_another_process_is_told(fresh: RunningNode, heard: Listener) -> None:
    block = fresh.chain.add()
    accept_elsewhere(fresh, [block])
    (told,) = heard.wait_for("block")
    assert (told["height"], told["hash"]) == (1, show(codec.block_hash(block.header)))


def test_a_transfer_is_told_when_it_comes_and_when_it_is_confirmed(fresh: RunningNode, heard: Listener) -> None:
    sent = fresh.chain.transfer(ALICE, BOB, 5, fee=3)
    raw = codec.encode_transaction(sent)
    fresh.post("/p2p/transactions", raw, {"Content-Type": "application/octet-stream"})
    (ready,) = heard.wait_for("transaction")
    assert ready == fresh.get("/v1/mempool").json["transactions"][0]
    fresh.extend(transfers=[sent])
    _, confirmed = heard.wait_for("transaction", 2)
    shown = fresh.get(f"/v1/transactions/{ready['txid']}").json
    assert confirmed == shown
    assert (confirmed["status"], confirmed["height"], confirmed["position"]) == ("confirmed", 1, 1)
    assert [event.kind for event in heard.events] == ["transaction", "block", "transaction"]


def test_a_transfer_that_must_wait_is_told_as_waiting(fresh: RunningNode, heard: Listener) -> None:
    post_transfers(fresh, 1, first=2)
    assert heard.wait_for("transaction")[0]["status"] == "waiting"


def test_a_reorg_is_told_before_the_blocks_that_it_brought(fresh: RunningNode) -> None:
    fresh.extend()
    fresh.extend()
    old_tip = fresh.chain.tip_hash
    other = fresh.chain.branch(0, "other")
    sent = fresh.chain.transfer(ALICE, BOB, 5)
    with listening(fresh.port) as heard:
        for block in (other.add(), other.add([sent]), other.add()):
            fresh.push(codec.encode_block(block))
        blocks = heard.wait_for("block", 3)
        assert heard.of("reorg") == [
            {
                "fork_height": 0,
                "disconnected": 2,
                "old_tip": show(old_tip),
                "new_tip": show(other.tip_hash),
                "height": 3,
            }
        ]
        assert heard.events[0].kind == "reorg"
        assert [block["height"] for block in blocks] == [1, 2, 3]
        assert [told["height"] for told in heard.wait_for("transaction")] == [2]
    assert metric(fresh, "moneyer_reorg_depth_sum") == 2


def test_a_peer_is_told_when_it_comes_and_when_it_is_forgotten(fresh: RunningNode, tmp_path: Path) -> None:
    with running(tmp_path / "other") as other, listening(fresh.port) as heard:
        assert fresh.post("/v1/peers", {"url": other.url}).status == 201
        (came,) = heard.wait_for("peer")
        assert (came["url"], came["state"]) == (other.url, "connected")
        assert came.keys() == fresh.get("/v1/peers").json["peers"][0].keys()
        assert fresh.call("DELETE", f"/v1/peers/127.0.0.1:{other.port}").status == 200
        _, gone = heard.wait_for("peer", 2)
        assert (gone["url"], gone["state"]) == (other.url, "removed")


@pytest.mark.parametrize("by_query", [False, True])
def test_who_comes_back_with_the_last_id_is_told_what_was_missed(fresh: RunningNode, by_query: bool) -> None:
    with listening(fresh.port) as heard:
        fresh.extend()
        heard.wait_for("block")
        last = heard.last_id
    fresh.extend()
    fresh.extend()
    query, header = (f"?last_event_id={last}", None) if by_query else ("", last)
    with listening(fresh.port, header, query) as again:
        assert [block["height"] for block in again.wait_for("block", 2)] == [2, 3]
        assert again.of("reset") == []
        fresh.extend()
        assert again.wait_for("block", 3)[2]["height"] == 4
        ids = [int(event.id.rpartition("-")[2]) for event in again.events]
        assert ids == sorted(set(ids))


@pytest.mark.parametrize("last", ["deadbeef-7", "", "x" * 5_000, "0-0", "<script>", "99999999999999999999"])
def test_an_id_that_says_nothing_any_more_is_answered_by_a_reset(node: RunningNode, last: str) -> None:
    with listening(node.port, last) as heard:
        (told,) = heard.wait_for("reset")
        status = node.get("/v1/status").json
        assert (told["height"], told["tip"]) == (status["height"], status["tip"])
        assert told["reason"]


def test_an_id_of_before_a_restart_is_answered_by_a_reset(tmp_path: Path) -> None:
    with running(tmp_path / "node") as first, listening(first.port) as heard:
        first.extend()
        heard.wait_for("block")
    with running(tmp_path / "node") as second, listening(second.port, heard.last_id) as again:
        assert again.wait_for("reset")[0]["height"] == 1


def test_a_ring_that_has_moved_on_is_said_to_who_was_too_slow(tmp_path: Path) -> None:
    coin = rich_coin()
    place_coin(tmp_path, coin)
    node = Node.open(node_config(tmp_path, development=True, min_fee=0, manual=True))
    feed = Feed(node, ring=2)
    feed.start()
    chain = ChainBuilder(coin)
    slow, _ = feed.join(None)
    quick, _ = feed.join(None)
    for block in chain.grow(4):
        node.chain.accept_block(codec.encode_block(block), int(time.time()))
        found = feed.after(quick, 60)
        assert found is not None
        quick, told = found
        assert told.count(b"event: block\n") == 1
    with pytest.raises(Behind):
        feed.after(slow, 0)
    assert feed.dropped == 1
    feed.close()
    assert feed.after(quick, 10) is None
    node.close()


def test_a_memo_can_not_pose_as_an_event(fresh: RunningNode, heard: Listener) -> None:
    memo = '</script><b>\n\nevent: block\ndata: {"height": 9}\r\rid: 5\u2028\u0000é'
    post_transfers(fresh, 1, memo=memo.encode())
    (told,) = heard.wait_for("transaction")
    fresh.extend()
    heard.wait_for("block")
    assert told["memo"] == memo
    assert [event.kind for event in heard.events] == ["transaction", "block"]
    assert heard.of("block")[0]["height"] == 1
    assert not any(b"\r" in line.rstrip(b"\r\n") for line in heard.lines)


def test_more_than_can_be_told_at_once_is_a_reset(fresh: RunningNode, heard: Listener) -> None:
    accept_elsewhere(fresh, fresh.chain.grow(MAX_BLOCKS + 20))
    wait_until(lambda: [block["height"] for block in heard.of("block")][-1:] == [MAX_BLOCKS + 20], 15, "the tip")
    assert heard.of("reset")[0]["height"] == MAX_BLOCKS + 20
    assert len(heard.of("block")) == 1


@pytest.mark.sqlite_only("it is about HTTP")
def test_head_opens_no_stream(node: RunningNode) -> None:
    wait_until(lambda: metric(node, "moneyer_event_clients") == 0, 30, "the streams of other tests to be gone")
    answer = node.call("HEAD", "/v1/events")
    assert (answer.status, answer.body) == (200, b"")
    assert metric(node, "moneyer_event_clients") == 0


@pytest.mark.sqlite_only("it is about HTTP")
def test_what_is_no_query_of_this_call_is_refused(node: RunningNode) -> None:
    assert node.get("/v1/events?since=5").code == "bad_query"
    assert node.get(f"/v1/events?last_event_id={'x' * 101}").code == "bad_field"


@pytest.mark.sqlite_only("it is about HTTP")
def test_silence_is_broken_by_a_comment(node: RunningNode) -> None:
    with listening(node.port) as heard:
        wait_until(lambda: b":\n" in heard.lines, 30, "a heartbeat")
        assert heard.events == []


@pytest.mark.sqlite_only("it is about HTTP")
def test_too_many_clients_are_refused_and_the_others_still_answered(fresh: RunningNode) -> None:
    each = EVENT_STREAMS.each
    with contextlib.ExitStack() as stack:
        for number in range(2 * each):
            stack.enter_context(silent_stream(fresh, source=f"127.0.0.{2 + number // each}"))
        wait_until(lambda: metric(fresh, "moneyer_event_clients") == 2 * each, 20, "all to listen")
        refused = fresh.call("GET", "/v1/events", source="127.0.0.2")
        assert (refused.status, refused.code) == (503, "busy")
        assert int(refused.headers["retry-after"]) > 0
        for _ in range(5):
            assert fresh.get("/v1/status").status == 200
        with listening(fresh.port) as heard:
            assert heard.status == 200
            fresh.extend()
            heard.wait_for("block")
    # Who has gone is noticed, at the latest by the next heartbeat.
    wait_until(lambda: metric(fresh, "moneyer_event_clients") == 0, 30, "their going to be noticed")


@pytest.mark.slow
@pytest.mark.sqlite_only("it is about HTTP")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process its own connections")
def test_a_client_that_reads_nothing_is_dropped_and_no_other_waits_for_it(fresh: RunningNode) -> None:
    with silent_stream(fresh, buffer=4_096) as slow, listening(fresh.port) as heard:
        wait_until(lambda: metric(fresh, "moneyer_event_clients") == 2, 10, "both to listen")
        for part in range(3):
            post_transfers(fresh, 400, first=400 * part, memo=b"m" * 140)
            heard.wait_for("transaction", 400 * (part + 1))
        wait_until(lambda: metric(fresh, "moneyer_event_clients") == 1, 40, "the slow one to be dropped")
        assert metric(fresh, "moneyer_slow_connections_cut_total") >= 1
        assert not heard.ended
        fresh.extend()
        heard.wait_for("block")
        slow.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            while slow.recv(65_536):  # what was on its way, then the end
                pass
    assert "too slow" in fresh.log


def test_a_node_ends_at_once_with_streams_open(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node, contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listening(node.port)) for _ in range(3)]
        assert node.stop() == 0  # requests that are under way have two seconds, and then it has to come to its end
        wait_until(lambda: all(listener.ended for listener in listeners), 10, "the streams to end")


@pytest.mark.sqlite_only("it is about HTTP")
def test_the_document_names_the_stream(node: RunningNode) -> None:
    answers = node.get("/openapi.json").json["paths"]["/v1/events"]["get"]["responses"]
    assert list(answers["200"]["content"]) == ["text/event-stream"]
    assert json.dumps(answers["503"])
