"""Peers that lie during a sync: the node keeps its chain, marks them down and goes on with the next one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from moneyer.node.core import codec
from moneyer.node.core.types import Block
from moneyer.node.p2p.peer import wire
from moneyer.node.p2p.sync.sync import Sync
from moneyer.node.p2p.table.peer_table import PeerTable
from tests.kit.chains import ChainBuilder, easy_coin, key, mine
from tests.kit.net.peers import Answer, Route, Serve, as_bytes, as_json, drip, hello_of, honest, raw_headers
from tests.kit.nodes import MakeNode, Node
from tests.kit.waiting import wait_until
from tests.p2p.test_sync import ALICE, COIN, add, balances_agree, grown, rows

HEADERS, BLOCKS = "POST /p2p/headers", "POST /p2p/blocks"

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    node = make_node(COIN)
    node.take(grown(10, "ours"))
    return node


def replaced_in_haste(node: Node) -> bool:
    """`replace_chain` with three seconds for each request: who drips is not waited for as long as others may take."""
    with closing(PeerTable(node.store, node.config, deadline=3)) as peers:
        return Sync(node.chain, peers).replace_chain()


def assert_unharmed(node: Node, serve: Serve, liar: str) -> None:
    """The tip is unchanged, nothing was stored, the liar is marked down, and an honest peer's chain is still taken."""
    assert (node.tip.height, rows(node)) == (10, 11)
    row = node.peer(liar)
    assert row.score < 100
    assert row.state == "down"
    good = grown(30, "good")
    add(node, serve, honest(good))
    assert node.sync.replace_chain()
    assert node.tip.block_hash == good.tip_hash


def lying(chain: ChainBuilder, **routes: Route) -> dict[str, Route]:
    named = {f"POST /p2p/{name}": route for name, route in routes.items()}
    return {**honest(chain), **named}


def unlinked(chain: ChainBuilder) -> list[bytes]:
    found = raw_headers(chain.blocks[1:])
    return found[:5] + found[6:]


def strangers(chain: ChainBuilder) -> list[bytes]:
    return raw_headers(chain.blocks[5:])


def unsolved(chain: ChainBuilder) -> list[bytes]:
    header = chain.blocks[1].header
    nonces = (replace(header, nonce=header.nonce + step) for step in range(1, 1000))
    bad = next(each for each in nonces if codec.block_hash(each)[-1] >= 0x80)
    return [codec.encode_header(bad)]


def easier(chain: ChainBuilder) -> list[bytes]:
    return raw_headers([chain.branch(0, "easier").next_block(bits=0x2100FFFF)])


def harder(chain: ChainBuilder) -> list[bytes]:
    return raw_headers([chain.branch(0, "harder").next_block(bits=0x2000FFFF)])


def too_old(chain: ChainBuilder) -> list[bytes]:
    return raw_headers([chain.branch(0, "old").next_block(timestamp=COIN.timestamp)])


def of_version_2(chain: ChainBuilder) -> list[bytes]:
    return raw_headers([chain.branch(0, "version").next_block(version=2)])


def anothers_genesis(chain: ChainBuilder) -> list[bytes]:
    return raw_headers([ChainBuilder(easy_coin(name="Other")).tip])


def none(chain: ChainBuilder) -> list[bytes]:
    return []


@pytest.mark.parametrize(
    "lie", [unlinked, strangers, unsolved, easier, harder, too_old, of_version_2, anothers_genesis, none]
)
def test_headers_that_break_a_rule_cost_no_body(
    node: Node, serve: Serve, lie: Callable[[ChainBuilder], list[bytes]]
) -> None:
    chain = grown(20, "theirs")
    peer = add(node, serve, lying(chain, headers=as_bytes(b"".join(lie(chain)))))
    assert not node.sync.replace_chain()
    assert peer.bodies("/p2p/blocks") == []
    assert_unharmed(node, serve, peer.url)


@pytest.mark.parametrize(
    "route",
    [
        as_bytes(b"<html>"),
        as_bytes(b"", 500),
        as_bytes(b"", 302, Location="http://127.0.0.1:1/"),
        as_bytes(bytes(80 * 2001)),
        lambda _: drip(b"a" * 10_000),
    ],
    ids=["html", "500", "redirect", "more than asked", "a byte at a time"],
)
@pytest.mark.parametrize("path", [HEADERS, BLOCKS])
def test_answers_that_are_none_are_given_up(node: Node, serve: Serve, path: str, route: Route) -> None:
    peer = add(node, serve, {**honest(grown(20, "theirs")), path: route})
    assert not replaced_in_haste(node)
    assert_unharmed(node, serve, peer.url)


def test_work_claimed_and_not_shown_is_marked_down_and_the_next_peer_asked(node: Node, serve: Serve) -> None:
    liar = add(node, serve, honest(grown(4, "liar"), work="f" * 64, height=1000))
    good = grown(20, "good")
    add(node, serve, honest(good))
    assert node.sync.replace_chain()
    assert node.tip.block_hash == good.tip_hash
    assert node.peer(liar.url).score < 100


def test_headers_of_too_little_work_without_end_are_cut_off(make_node: MakeNode, serve: Serve) -> None:
    coin = easy_coin(retarget=True, clock_tolerance=60, difficulty_window=5)
    ours = ChainBuilder(coin, "ours")
    while ours.work < 20_000:
        ours.add(timestamp=max(ours.tip.header.timestamp + 1, ours.median_time_past + 1))
    node = make_node(coin)
    node.take(ours)
    endless = EndlessHeaders(coin)
    claims = hello_of(ours, work="f" * 64, height=50, node_id="endless-1")
    peer = add(node, serve, {"GET /p2p/hello": as_json(claims), HEADERS: endless.serve})
    before = rows(node)
    assert not node.sync.replace_chain()
    assert (node.tip.block_hash, rows(node)) == (ours.tip_hash, before)
    assert peer.bodies("/p2p/blocks") == []
    assert len(peer.bodies("/p2p/headers")) <= 3
    assert node.peer(peer.url).score < 100


class EndlessHeaders:
    """Valid headers at the least work that the coin allows, made as they are asked for."""

    def __init__(self, coin: object) -> None:
        self.chain = ChainBuilder(coin, "endless")  # type: ignore[arg-type] # a Coin
        self.tip = self.chain.tip.header
        self.sent: dict[str, int] = {}

    def serve(self, body: bytes) -> Answer:
        assert json.loads(body)["locator"]
        headers = []
        for _ in range(wire.MAX_HEADERS):
            block = mine(
                Block(
                    replace(
                        self.tip,
                        prev_hash=codec.block_hash(self.tip),
                        timestamp=self.tip.timestamp + 60,
                        merkle_root=bytes(32),
                    ),
                    (),
                )
            )
            self.tip = block.header
            headers.append(codec.encode_header(block.header))
        return Answer(b"".join(headers))


def changed_blocks(chain: ChainBuilder, change: Callable[[int, bytes | None], bytes | None]) -> Route:
    """The blocks of a true chain, each as changed by `change` (position in the answer, block)."""
    route = honest(chain)[BLOCKS]

    def lie(body: bytes) -> Answer:
        asked = json.loads(body)["hashes"]
        answer = route(body)
        assert isinstance(answer, Answer)
        found = wire.split_blocks(answer.body, len(asked), COIN.max_block_bytes)
        return Answer(wire.frame_blocks(change(at, raw) for at, raw in enumerate(found)))

    return lie


def test_a_chain_claimed_and_not_delivered_is_passed_over(node: Node, serve: Serve) -> None:
    chain = grown(20, "theirs")
    peer = add(node, serve, lying(chain, blocks=changed_blocks(chain, lambda at, raw: None)))
    assert not node.sync.replace_chain()
    assert_unharmed(node, serve, peer.url)


def test_another_block_in_its_place_is_not_taken(node: Node, serve: Serve) -> None:
    chain = grown(20, "theirs")
    other = grown(1, "other").raw[0]
    peer = add(node, serve, lying(chain, blocks=changed_blocks(chain, lambda at, raw: other)))
    assert not node.sync.replace_chain()
    assert_unharmed(node, serve, peer.url)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: raw[:-9] + b"\xff" + raw[-8:],
        lambda raw: raw[:80],
        lambda raw: raw[:80] + b"\x02" + raw[81:] * 2,
    ],
    ids=["cut short", "trailing", "other root", "no body", "doubled"],
)
def test_a_false_body_condemns_no_true_block(node: Node, serve: Serve, change: Callable[[bytes], bytes]) -> None:
    chain = grown(20, "theirs")
    liar = add(node, serve, lying(chain, blocks=changed_blocks(chain, lambda at, raw: change(raw or b""))))
    good = add(node, serve, honest(chain))
    assert node.sync.replace_chain()
    assert node.tip.block_hash == chain.tip_hash
    if liar.bodies("/p2p/blocks"):
        assert node.peer(liar.url).score < 100
    assert node.peer(good.url).score == 100


def test_a_bad_block_ends_a_chain_whose_valid_part_stands(node: Node, serve: Serve) -> None:
    chain = grown(15, "theirs")
    bad = chain.next_block(amount=COIN.subsidy(16) + 1)
    valid_tip = chain.tip_hash
    chain.blocks.append(bad)
    peer = add(node, serve, honest(chain))
    assert node.sync.replace_chain()
    assert node.tip.block_hash == valid_tip
    assert balances_agree(node, grown(15, "theirs"))
    assert node.peer(peer.url).score < 100
    peer.asked.clear()  # offered again, its headers are enough to refuse it
    assert not node.sync.replace_chain()
    assert peer.bodies("/p2p/blocks") == []


def test_a_bad_block_on_a_branch_that_would_not_win_without_it_changes_nothing(node: Node, serve: Serve) -> None:
    ours = node.tip.block_hash
    chain = grown(9, "theirs")
    stolen = replace(chain.transfer(ALICE, key("bob"), 5), signature=bytes(64))
    chain.blocks.append(chain.next_block([stolen]))
    for _ in range(3):
        chain.blocks.append(chain.next_block())
    peer = add(node, serve, honest(chain))
    assert not node.sync.replace_chain()
    assert node.tip.block_hash == ours
    assert balances_agree(node, grown(10, "ours"))
    assert node.peer(peer.url).score < 100


def test_peers_that_are_down_slow_or_lying_do_not_keep_an_honest_one_out(node: Node, serve: Serve) -> None:
    good = grown(20, "good")
    greater = grown(25, "greater")
    slow = add(node, serve, honest(greater))
    slow.routes = {"GET /p2p/hello": lambda _: drip(b"a" * 10_000)}
    stuck = add(node, serve, lying(greater, headers=lambda _: drip(b"a" * 10_000)))
    gone = add(node, serve, honest(greater))
    gone.close()
    other = add(node, serve, honest(good))
    turned = serve(honest(ChainBuilder(easy_coin(name="Other"))))
    # Where this machine is held up for three seconds, the honest one is late too, and asked again.
    wait_until(lambda: replaced_in_haste(node) and node.tip.block_hash == good.tip_hash, 30, "the honest one's chain")
    states = {row.url: row.state for row in node.peers.listed()}
    assert states == {slow.url: "down", stuck.url: "down", gone.url: "down", other.url: "connected"}
    assert turned.url not in states


def test_a_peer_that_became_another_coins_is_not_synced_with(node: Node, serve: Serve) -> None:
    peer = add(node, serve, honest(grown(20, "theirs")))
    peer.routes = honest(grown(30, "other", easy_coin(name="Other")))
    peer.asked.clear()
    assert not node.sync.replace_chain()
    assert peer.bodies("/p2p/headers") == []
    assert node.peer(peer.url).state == "refused"


def test_two_callers_at_once_ask_the_peers_no_more_than_twice(node: Node, serve: Serve) -> None:
    good = grown(20, "good")
    peer = add(node, serve, honest(good))
    peer.asked.clear()
    gate = threading.Barrier(6)
    answers: list[bool] = []

    def ask() -> None:
        gate.wait(30)
        answers.append(node.sync.replace_chain())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 6
    assert any(answers)
    assert node.tip.block_hash == good.tip_hash
    assert len(peer.hashes_asked()) == len({*peer.hashes_asked()}) == 20
