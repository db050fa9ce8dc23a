from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from moneyer.node.core.codec import show
from moneyer.node.p2p.peer.errors import (
    BadChain,
    BadUrl,
    Banned,
    IsSelf,
    NewerProtocol,
    OtherCoin,
    OtherRules,
    PeerError,
    PeerTimeout,
    PeerUnreachable,
    TableFull,
)
from moneyer.node.p2p.peer.urls import parse_peer_url
from moneyer.node.p2p.table import peer_table as peers_module
from moneyer.node.p2p.table import standing
from moneyer.node.p2p.table.standing import BAN_SECONDS
from moneyer.node.store import peers as table
from moneyer.node.system.threads import OneAtATime, in_threads
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.net.peers import Route, Serve, as_bytes, as_json, drip, hello_of, honest
from tests.kit.nodes import MakeNode, Node
from tests.kit.waiting import wait_until

COIN = easy_coin()


@pytest.fixture
def chain() -> ChainBuilder:
    builder = ChainBuilder(COIN)
    builder.grow(3)
    return builder


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    return make_node(COIN)


def test_a_peer_is_listed_with_what_it_said(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    row = node.peers.add(server.url + "/")
    assert [row] == node.peers.listed()
    assert (row.url, row.state, row.height, row.work) == (server.url, "connected", 3, chain.work)
    assert (row.agent, row.direction, row.score) == ("moneyer-test/1", "outbound", 100)
    assert row.last_seen is not None
    assert row.latency_ms is not None


def test_a_peer_added_twice_stands_once(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    first = node.peers.add(server.url)
    chain.grow(1)
    server.routes = honest(chain)
    second = node.peers.add(server.url)
    assert [second] == node.peers.listed()
    assert (second.added_at, second.height) == (first.added_at, 4)


def test_one_node_is_one_peer_however_its_url_is_spelled(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    port = serve(honest(chain)).port
    spellings = [f"http://localhost:{port}", f"127.0.0.1:{port}", f"http://[::ffff:127.0.0.1]:{port}"]
    rows = [node.peers.add(each) for each in spellings]
    assert [row.url for row in rows] == [f"http://localhost:{port}"] * 3
    assert len(node.peers.listed()) == 1
    assert node.peers.remove(f"127.0.0.1:{port}"), "it is removed by any spelling, too"
    results = node.peers.add_many(spellings)
    assert not any(isinstance(each, PeerError) for each in results)
    assert len(node.peers.listed()) == 1


def test_who_says_that_it_is_another_node_keeps_that_one_out_in_no_way(
    node: Node, serve: Serve, chain: ChainBuilder
) -> None:
    liar, elsewhere, true = serve(honest(chain)), serve(honest(chain), "127.0.0.2"), serve(honest(chain))
    for server in (liar, elsewhere, true):  # all with one node_id
        assert node.peers.add(server.url).url == server.url
    assert len(node.peers.listed()) == 3


def test_a_peer_is_added_and_removed_without_a_scheme(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    assert node.peers.add(f"127.0.0.1:{server.port}").url == server.url
    assert node.peers.remove(f"127.0.0.1:{server.port}/")


def test_saying_hello_gives_back_nothing_of_what_a_peer_did_wrong(
    node: Node, serve: Serve, chain: ChainBuilder
) -> None:
    url = parse_peer_url(node.peers.add(serve(honest(chain)).url).url)
    node.peers.blame(url, PeerTimeout("it drips"))
    for _ in range(5):
        node.peers.greet_all()
    assert (node.peer(url.url).score, node.peer(url.url).state) == (95, "connected")
    node.peers.delivered(url.url)
    assert node.peer(url.url).score == 100


def test_what_went_wrong_with_a_peer_is_a_sentence_in_the_log(
    node: Node, serve: Serve, chain: ChainBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "moneyer")
    server = serve(honest(chain))
    node.peers.add(server.url)
    server.routes = honest(ChainBuilder(easy_coin(name="Other")))
    node.peers.greet_all()
    (line,) = (record.getMessage() for record in caplog.records if "another coin" in record.getMessage())
    assert line.startswith(f"peer {server.url}: that node runs another coin: its coin is ")
    assert "other_coin" not in caplog.text


def test_another_coins_node_is_refused_by_a_sentence_that_names_both(node: Node, serve: Serve) -> None:
    other = ChainBuilder(easy_coin(name="Other"))
    with pytest.raises(OtherCoin) as refused:
        node.peers.add(serve(honest(other)).url)
    assert show(COIN.chain_id) in str(refused.value)
    assert show(other.coin.chain_id) in str(refused.value)
    assert refused.value.code == "other_coin"
    assert node.peers.listed() == []


def test_a_node_of_other_rules_is_refused_by_a_sentence_that_names_both(
    node: Node, serve: Serve, chain: ChainBuilder
) -> None:
    with pytest.raises(OtherRules, match=r"by rules 2, this node by rules 1: ") as refused:
        node.peers.add(serve(honest(chain, rules=2)).url)
    assert (refused.value.code, refused.value.details) == ("other_rules", {"expected": 1, "found": 2})
    assert node.peers.listed() == []


def test_a_hello_without_rules_is_a_node_of_rules_1(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    assert "rules" not in hello_of(chain)
    assert node.peers.add(serve(honest(chain)).url).state == "connected"
    assert node.peers.add(serve(honest(chain, rules=1, node_id="another-node")).url).state == "connected"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_itself_under_any_name_is_refused(node: Node, serve: Serve, chain: ChainBuilder, host: str) -> None:
    server = serve(honest(chain, node_id=node.peers.node_id))
    with pytest.raises(IsSelf) as refused:
        node.peers.add(f"http://{host}:{server.port}")
    assert refused.value.code == "self"
    assert node.peers.listed() == []


def test_its_own_address_that_a_peer_tells_is_no_line_of_the_log(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "moneyer.p2p"):
        node.peers.blame(parse_peer_url("http://127.0.0.1:5999"), IsSelf("that is this node itself"))
        assert caplog.messages == []
        node.peers.blame(parse_peer_url("http://127.0.0.1:5999"), PeerUnreachable("nothing answers"))
        assert caplog.messages == ["peer http://127.0.0.1:5999: nothing answers"]


def test_a_newer_protocol_is_refused(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    with pytest.raises(NewerProtocol):
        node.peers.add(serve(honest(chain, protocol=2)).url)
    assert node.peers.listed() == []


def test_many_are_added_at_once_and_each_failure_says_why(
    make_node: MakeNode, serve: Serve, chain: ChainBuilder
) -> None:
    node = make_node(COIN, deadline=6)  # the one that drips takes all of it; the others are quicker on any machine
    good, html, stuck = serve(honest(chain)), serve({"GET /p2p/hello": as_bytes(b"<html>")}), serve(dripping())
    gone = serve({})
    gone.close()
    results = node.peers.add_many([html.url, stuck.url, good.url, "file:///etc/passwd", gone.url])
    codes = [each.code if isinstance(each, PeerError) else each.url for each in results]
    assert codes == ["bad_answer", "timeout", good.url, "bad_url", "unreachable"]
    assert [row.url for row in node.peers.listed()] == [good.url]


def dripping() -> dict[str, Route]:
    return {"GET /p2p/hello": lambda _: drip(b"a" * 10_000)}


def test_a_peer_is_removed_by_host_and_port(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    node.peers.add(server.url)
    assert node.peers.remove(f"127.0.0.1:{server.port}")
    assert not node.peers.remove(f"127.0.0.1:{server.port}")
    assert node.peers.listed() == []
    with pytest.raises(BadUrl):
        node.peers.remove("169.254.169.254:80")


def test_a_peer_that_was_gone_is_found_again(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    node.peers.add(server.url)
    honest_routes, server.routes = server.routes, {}
    for _ in range(3):
        assert node.peers.greet_all() == []
    assert node.peer(server.url).state == "down"
    server.routes = honest_routes
    assert [greeting.url.url for greeting in node.peers.greet_all()] == [server.url]
    assert node.peer(server.url).state == "connected"


def test_being_away_never_bans_a_peer(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    url = parse_peer_url(node.peers.add(serve(honest(chain)).url).url)
    for _ in range(200):
        node.peers.blame(url, PeerUnreachable("gone"))
    row = node.peer(url.url)
    assert (row.score, row.banned_until) == (1, None)


def test_lying_bans_a_peer_and_the_ban_ends(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    url = parse_peer_url(node.peers.add(serve(honest(chain)).url).url)
    for _ in range(2):
        node.peers.blame(url, BadChain("lies"))
    row = node.peer(url.url)
    now = int(time.time())
    assert row.banned_until is not None
    assert now < row.banned_until <= now + BAN_SECONDS
    assert node.peers.greet_all() == []
    with pytest.raises(Banned):
        node.peers.add(url.url, inbound=True)
    node.store.write(lambda conn: table.save(conn, replace(row, banned_until=now - 1)))
    assert [greeting.url for greeting in node.peers.greet_all()] == [url]
    assert node.peer(url.url).banned_until is None


def test_the_table_is_bounded_and_the_worst_make_room(
    node: Node, serve: Serve, chain: ChainBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (peers_module, standing):
        monkeypatch.setattr(module, "MAX_PEERS", 4)
    servers = [serve(honest(chain)) for _ in range(6)]
    results = node.peers.add_many([server.url for server in servers])
    assert [isinstance(each, TableFull) for each in results] == [False] * 4 + [True] * 2
    with pytest.raises(TableFull):
        node.peers.add(servers[5].url)
    gone = servers[1]
    gone.routes = {}
    node.peers.greet_all()
    node.peers.add(servers[5].url)
    listed = {row.url for row in node.peers.listed()}
    assert listed == {server.url for server in (servers[0], servers[2], servers[3], servers[5])}


def test_the_table_outlives_the_node(node: Node, serve: Serve, chain: ChainBuilder, make_node: MakeNode) -> None:
    server = serve(honest(chain))
    row = node.peers.add(server.url)
    again = peers_module.PeerTable(node.store, node.store.config)
    assert again.listed() == [row]
    assert again.node_id == node.peers.node_id
    assert make_node(COIN).peers.node_id != node.peers.node_id


def test_a_ban_is_lifted_by_the_nodes_owner(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    url = parse_peer_url(node.peers.add(serve(honest(chain)).url).url)
    for _ in range(2):
        node.peers.blame(url, BadChain("lies"))
    assert node.peers.add(url.url).banned_until is None


def test_a_peer_that_asked_itself_is_inbound(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    assert node.peers.add(serve(honest(chain)).url, inbound=True).direction == "inbound"


def test_a_hello_may_say_anything_of_its_own_url(node: Node, serve: Serve, chain: ChainBuilder) -> None:
    server = serve({"GET /p2p/hello": as_json(hello_of(chain, url="http://169.254.169.254"))})
    assert node.peers.add(server.url).url == server.url


def test_work_in_threads_keeps_its_order_and_raises_what_was_raised() -> None:
    assert in_threads(lambda number: number * 2, list(range(50)), 8) == [number * 2 for number in range(50)]
    assert in_threads(lambda number: number, [], 8) == []
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: 1 // number, [1, 0, 2], 2)


def test_callers_that_come_in_the_middle_share_the_next_run() -> None:
    begun: list[int] = []
    gate = threading.Semaphore(0)

    def job() -> int:
        number = len(begun)
        begun.append(number)
        gate.acquire(timeout=30)
        return number

    runs = OneAtATime(job)
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(runs.run())) for _ in range(5)]
    threads[0].start()
    wait_until(lambda: begun == [0])
    for thread in threads[1:]:
        thread.start()
    assert runs.running
    wait_until(lambda: runs.waiting == 4)
    gate.release()
    wait_until(lambda: begun == [0, 1])
    gate.release()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [0, 1, 1, 1, 1]
    assert not runs.running
