"""Links to peers: found, lost, found again, told by others, refused."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import sha256d, show
from moneyer.node.core.policy import AfterHeight
from moneyer.node.core.types import COIN_ASSET, Payment
from moneyer.node.p2p.gossip.outbox import RecentHashes
from moneyer.node.p2p.peer.urls import parse_peer_url
from moneyer.node.p2p.table.configured import Backoff
from moneyer.node.p2p.table.reach import may_tell, own_url, url_towards
from tests.kit.chains import ChainBuilder, contract, issue, meet, pay, transfer
from tests.kit.net.gossip import (
    COIN,
    SOON,
    blocks_told,
    gossiping,
    listener,
    peers_of,
    pool_of,
    post_transfer,
    wait_for_peers,
    wait_for_pool,
    wait_until_told,
)
from tests.kit.net.peers import Serve, as_bytes, as_json
from tests.kit.running import ALICE, BOB, CAROL, RICH, RunningNode, rich_coin
from tests.kit.system.ports import free_port
from tests.kit.waiting import Clock, wait_until

TWO = rich_coin(rules=2)
LATER = AfterHeight(100)


def feed(node: RunningNode, chain: ChainBuilder) -> None:
    for raw in chain.raw:
        assert node.push(raw).status == 200


def test_a_newcomer_takes_the_chain_and_the_pool_of_its_peer_and_gives_its_own(tmp_path: Path) -> None:
    with gossiping(tmp_path / "old") as old:
        for _ in range(30):
            old.extend()
        held = post_transfer(old, transfer(COIN, ALICE, BOB, 5))
        with gossiping(tmp_path / "new") as new:
            brought = post_transfer(new, transfer(COIN, BOB, ALICE, 6))
            new.post("/connect_node", {"node": [old.url]})
            new.wait_for_tip(old.chain)
            for node in (old, new):
                wait_for_pool(node, [held, brought])


def test_of_a_peers_pool_what_is_good_is_taken_and_the_rest_left(tmp_path: Path, serve: Serve) -> None:
    """The peer is not blamed for the rest, for its tip may be another one: assets, heights and funds of that one."""
    good, poor = transfer(TWO, ALICE, BOB, 5), transfer(TWO, BOB, ALICE, RICH + 1)
    unknown = pay(TWO, CAROL, BOB, 1, b"a" * 32)
    locked = meet(TWO, Payment(contract(LATER), 0, 0, b"", b"", BOB.payload, COIN_ASSET, 1), LATER, (0,))
    peer = serve(listener(ChainBuilder(TWO)))
    peer.routes["GET /p2p/mempool"] = as_bytes(
        b"".join(codec.encode_transaction(each) for each in (poor, unknown, locked, good))
    )
    with gossiping(tmp_path / "node", [peer.url], TWO) as node:
        wait_for_pool(node, [show(codec.txid(good))])
        assert peers_of(node) == {peer.url: "connected"}


GOOD, LATE, POOR, FORGED, NAMELESS, UNMET = (
    codec.encode_transaction(each)
    for each in (
        transfer(TWO, ALICE, BOB, 5),
        transfer(TWO, BOB, ALICE, 5),
        transfer(TWO, CAROL, BOB, RICH + 1),
        replace(transfer(TWO, CAROL, BOB, 5), amount=6),
        issue(TWO, CAROL, name=b"two\nlines"),
        meet(TWO, Payment(contract(LATER), 0, 0, b"", b"", BOB.payload, COIN_ASSET, 1), LATER, ()),
    )
)


@pytest.mark.parametrize(
    "pool",
    [
        GOOD + FORGED + 2_000 * POOR + LATE,
        GOOD + 2_000 * POOR + b"\xff" + LATE,
        GOOD + NAMELESS + 2_000 * POOR + LATE,
        GOOD + UNMET + 2_000 * POOR + LATE,
    ],
    ids=["a forged signature", "a byte that begins no transfer", "a name that is none", "a witness that is not enough"],
)
def test_who_hands_on_what_no_node_passes_on_is_to_blame_and_the_rest_of_its_pool_is_left(
    tmp_path: Path, serve: Serve, pool: bytes
) -> None:
    peer, honest = (serve(listener(ChainBuilder(TWO, name))) for name in ("peer", "honest"))
    peer.routes["GET /p2p/mempool"] = as_bytes(pool)
    with gossiping(tmp_path / "node", [peer.url, honest.url], TWO) as node:
        wait_until(lambda: peers_of(node).get(peer.url) == "down", SOON, "the peer to be marked")
        wait_for_pool(node, [show(sha256d(GOOD))])
        wait_until(lambda: peers_of(node).get(honest.url) == "connected", SOON, "the honest one to be connected")


def test_a_node_that_is_down_at_the_start_is_found_when_it_comes_and_again_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with gossiping(tmp_path / "here", [f"http://127.0.0.1:{port}"]) as here:
        here.extend()
        for _ in range(2):
            with gossiping(tmp_path / "there", port=port) as there:
                there.wait_for_tip(here.chain)
                here.extend()
                there.wait_for_tip(here.chain)
            here.extend()
            wait_until(lambda: peers_of(here)[there.url] == "down", SOON, "the loss to be noticed")


def test_who_is_known_at_one_end_only_is_known_at_both(tmp_path: Path) -> None:
    """A node says where it can be reached, so that the other end pushes too."""
    with gossiping(tmp_path / "one") as one, gossiping(tmp_path / "two", [one.url]) as two:
        wait_for_peers(one, 1)
        assert peers_of(one) == {two.url: "connected"}

        def is_sent() -> bool:
            """Not where this machine is held up until the other end asks by itself."""
            one.extend()
            two.wait_for_tip(one.chain)
            return b'endpoint="/p2p/block"' in two.get("/metrics").body

        wait_until(is_sent, SOON, "a block to be pushed")


def test_nodes_learn_of_each_other_from_a_common_peer(tmp_path: Path) -> None:
    with (
        gossiping(tmp_path / "middle") as middle,
        gossiping(tmp_path / "left", [middle.url]) as left,
        gossiping(tmp_path / "right", [middle.url]) as right,
    ):
        wait_until(lambda: right.url in peers_of(left) or left.url in peers_of(right), SOON, "the ends to meet")
        middle.stop()
        left.extend()
        right.wait_for_tip(left.chain)


def test_a_peer_that_was_removed_is_left_alone(tmp_path: Path, serve: Serve) -> None:
    gone, kept = serve(listener(ChainBuilder(COIN, "gone"))), serve(listener(ChainBuilder(COIN, "kept")))
    with gossiping(tmp_path / "node", [gone.url, kept.url]) as node:
        wait_until_told(gone)
        wait_until_told(kept)
        wait_for_peers(node, 2)
        assert node.call("DELETE", f"/v1/peers/127.0.0.1:{gone.port}").status == 200
        node.extend()
        wait_until(lambda: blocks_told(kept) == [node.chain.tip_hash], SOON, "the one that stayed to hear of it")
        assert blocks_told(gone) == []
        assert list(peers_of(node)) == [kept.url]


def test_another_coins_node_is_refused_by_a_line_and_the_node_lives(tmp_path: Path) -> None:
    with (
        gossiping(tmp_path / "foreign", coin=rich_coin(name="Other")) as foreign,
        gossiping(tmp_path / "node", [foreign.url]) as node,
    ):
        wait_until(lambda: "that node runs another coin" in node.log, SOON, "the reason in the log")
        assert peers_of(node) == {}
        assert peers_of(foreign) == {}
        node.extend()


def test_itself_as_a_peer_is_refused(tmp_path: Path) -> None:
    port = free_port()
    with gossiping(tmp_path / "node", [f"http://localhost:{port}"], port=port) as node:
        wait_until(lambda: "that is this node itself" in node.log, SOON, "the reason in the log")
        assert peers_of(node) == {}


def test_what_peers_tell_is_only_believed_after_a_hello(tmp_path: Path, serve: Serve) -> None:
    teller = serve(listener(ChainBuilder(COIN)))
    junk = [f"http://127.0.0.1:{free_port()}" for _ in range(20)]
    odd = ["http://169.254.169.254", "file:///etc/passwd", "http://evil.example", "x" * 200]
    teller.routes["GET /p2p/peers"] = as_json({"peers": [*junk, *odd]})
    with gossiping(tmp_path / "node", [teller.url]) as node:
        wait_until(lambda: teller.bodies("/p2p/peers"), SOON, "the node to ask")
        node.extend()
        wait_until(lambda: blocks_told(teller) == [node.chain.tip_hash], SOON, "the node to go on")
        assert list(peers_of(node)) == [teller.url]


def test_a_lying_peer_is_marked_and_the_node_goes_on(tmp_path: Path, serve: Serve) -> None:
    liar = serve(listener(ChainBuilder(COIN, "liar"), work=f"{2**200:064x}", height=10_000))
    with gossiping(tmp_path / "honest") as honest, gossiping(tmp_path / "node", [liar.url, honest.url]) as node:
        wait_until(lambda: peers_of(node).get(liar.url) == "down", SOON, "the lie to be found out")
        honest.extend()
        node.wait_for_tip(honest.chain)
        assert pool_of(node) == set()


def test_a_pause_doubles_and_never_passes_a_minute() -> None:
    backoff = Backoff()
    assert backoff.retry_at("a") == 0
    for number in range(12):
        longest = min(60, 2**number)
        before = time.monotonic()
        backoff.failed("a")
        assert before + longest / 2 <= backoff.retry_at("a") <= time.monotonic() + longest
    backoff.forget("a")
    assert backoff.retry_at("a") == 0
    before = time.monotonic()
    backoff.failed("b", is_refusal=True)
    assert backoff.retry_at("b") >= before + 300


def test_a_fault_is_made_up_for_by_deliveries_and_not_by_being_there() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    for _ in range(6):
        backoff.failed("away")
        backoff.failed("liar", is_fault=True)
        backoff.forget_absence("away")
        backoff.forget_absence("liar")
    assert backoff.retry_at("away") == 0
    assert backoff.retry_at("liar") >= clock() + 16
    backoff.forget("liar")
    assert backoff.retry_at("liar") == 0


def test_what_is_shown_of_a_peer_is_what_its_link_knows_by_now(tmp_path: Path, serve: Serve) -> None:
    """A peer whose hellos say height 0 for ever, and which takes every block."""
    peer = serve(listener(ChainBuilder(COIN)))
    with gossiping(tmp_path / "node", [peer.url]) as node:
        wait_until_told(peer)
        for height in range(1, 4):
            node.extend()

            def shown(height: int = height) -> bool:
                (row,) = node.get("/v1/peers").json["peers"]
                return (row["height"], int(row["work"], 16)) == (height, node.chain.work)

            wait_until(shown, SOON, f"height {height}")


def test_a_peer_named_by_host_and_port_is_met(tmp_path: Path) -> None:
    with gossiping(tmp_path / "one") as one, gossiping(tmp_path / "two", [f"127.0.0.1:{one.port}"]) as two:
        wait_until(lambda: peers_of(two) == {one.url: "connected"}, SOON, "the peer")


def test_known_hashes_are_bounded_and_the_oldest_go_first() -> None:
    known = RecentHashes(3)
    known.add([b"a", b"b", b"c"])
    known.add([b"a", b"d"])
    assert [each in known for each in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    known.discard(b"a")
    assert b"a" not in known
    known.clear()
    assert b"d" not in known


@pytest.mark.parametrize(
    ("teller", "told", "believed"),
    [
        ("127.0.0.1", "http://127.0.0.1:5001", True),
        ("127.0.0.1", "http://192.168.1.20:5001", True),
        ("192.168.1.20", "http://192.168.1.21:5001", True),
        ("192.168.1.20", "http://127.0.0.1:5001", False),
        ("8.8.8.8", "http://9.9.9.9:5001", True),
        ("8.8.8.8", "http://10.0.0.1:5001", False),
        ("8.8.8.8", "http://[::1]:5001", False),
        ("8.8.8.8", "http://[::ffff:127.0.0.1]:5001", False),
        ("127.0.0.1", "http://localhost:5001", False),
    ],
)
def test_nobody_tells_of_addresses_nearer_to_us_than_its_own(teller: str, told: str, believed: bool) -> None:
    assert may_tell(ip_address(teller), parse_peer_url(told)) is believed


def test_a_node_tells_each_peer_where_that_peer_can_call_it(tmp_path: Path) -> None:
    loopback, lan = ip_address("127.0.0.1"), ip_address("192.168.1.9")
    here = Config(data=tmp_path, port=5009)
    assert url_towards(here, loopback) == own_url(here) == "http://127.0.0.1:5009"
    assert url_towards(here, lan) is None
    everywhere = Config(data=tmp_path, port=5009, host="0.0.0.0")
    assert url_towards(everywhere, loopback) == "http://127.0.0.1:5009"
    assert own_url(everywhere) is None
    announced = Config(data=tmp_path, host="0.0.0.0", announce="http://203.0.113.5:80/")
    assert url_towards(announced, lan) == own_url(announced) == "http://203.0.113.5:80"


def test_two_names_of_one_peer_are_one_connection(tmp_path: Path, serve: Serve) -> None:
    server = serve(listener(ChainBuilder(COIN)))
    names = [server.url, f"http://localhost:{server.port}"]
    with gossiping(tmp_path / "node", names) as node:
        wait_until(lambda: sorted(peers_of(node).values()) == ["connected"], SOON, "one to be left")
        node.extend()
        wait_until(lambda: blocks_told(server), SOON, "the block to be told")
        node.extend()
        wait_until(lambda: blocks_told(server)[-1] == node.chain.tip_hash, SOON, "the next block to be told")
        assert len(blocks_told(server)) == 2
