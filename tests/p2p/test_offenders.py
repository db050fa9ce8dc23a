"""Nothing is taken for a while from an address that sent what no honest node sends; no other address pays for it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.errors import BadCoinbaseAmount, BadMerkleRoot, RuleError, TimeTooNew, TooDeep
from moneyer.node.p2p.peer.errors import BadChain, Banned
from moneyer.node.p2p.peer.urls import parse_peer_url
from moneyer.node.p2p.table.offenders import MAX_HOSTS, SECONDS, Offenders
from moneyer.node.p2p.table.standing import OUTBOUND, blank
from moneyer.node.store import peers as table
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.nodes import MakeNode
from tests.kit.running import ALICE, BOB, rich_coin
from tests.kit.system.lan import Host, lan
from tests.kit.waiting import END_SECONDS, Clock, wait_until

COIN = rich_coin()
BAD = BadCoinbaseAmount("too much")
_SEND = """
import http.client, json, sys
for line in sys.stdin:
    url, path, body = json.loads(line)
    connection = http.client.HTTPConnection(url, 5001, timeout=20)
    headers = {"Content-Type": "application/octet-stream" if path != "/p2p/connect" else "application/json"}
    connection.request("POST", path, bytes.fromhex(body), headers)
    answer = connection.getresponse()
    print(answer.status, json.loads(answer.read()).get("error", {}).get("code"))
"""


def is_heard(offenders: Offenders, address: str) -> bool:
    try:
        offenders.check(address)
    except Banned:
        return False
    return True


def test_two_bad_blocks_or_five_batches_are_enough_and_ten_minutes_pass() -> None:
    clock = Clock()
    offenders = Offenders(clock)
    offenders.sent_block("203.0.113.5", BAD)
    assert is_heard(offenders, "203.0.113.5")
    offenders.sent_block("::ffff:203.0.113.5", BadMerkleRoot("another's body"))
    for _ in range(5):
        assert is_heard(offenders, "203.0.113.6")
        offenders.sent_transfers("203.0.113.6", ["insufficient_funds", "bad_signature"])
        offenders.sent_transfers("203.0.113.8", ["bad_witness"])
        offenders.sent_transfers("203.0.113.9", ["unknown_asset", "bad_asset"])
    assert not is_heard(offenders, "203.0.113.5")
    assert not any(is_heard(offenders, f"203.0.113.{number}") for number in (6, 8, 9))
    assert is_heard(offenders, "203.0.113.7")
    clock.now += SECONDS
    assert is_heard(offenders, "203.0.113.5")
    offenders.sent_block("203.0.113.5", BAD)
    assert is_heard(offenders, "203.0.113.5"), "what is long ago counts no more"


@pytest.mark.parametrize("why", [TimeTooNew("by our clock"), TooDeep("come by headers")])
def test_what_an_honest_node_may_send_costs_nothing(why: RuleError) -> None:
    offenders = Offenders()
    for _ in range(10):
        offenders.sent_block("203.0.113.5", why)
        offenders.sent_transfers("203.0.113.5", ["insufficient_funds", "bad_sequence", "fee_too_low"])
        offenders.sent_transfers("203.0.113.5", ["locked", "unknown_asset", "insufficient_asset", "over_max_supply"])
    assert is_heard(offenders, "203.0.113.5")


def test_ten_thousand_transfers_that_the_tip_refuses_are_enough_and_what_policy_refuses_is_free() -> None:
    clock = Clock()
    offenders = Offenders(clock)
    for _ in range(99):
        offenders.sent_transfers("203.0.113.5", ["insufficient_funds"] * 60 + ["bad_sequence"] * 40)
        offenders.sent_transfers("203.0.113.6", ["fee_too_low", "sequence_gap", "mempool_full"] * 1000)
    assert is_heard(offenders, "203.0.113.5")
    offenders.sent_transfers("203.0.113.5", ["insufficient_funds"] * 101)
    assert not is_heard(offenders, "203.0.113.5")
    assert is_heard(offenders, "203.0.113.6")


def test_an_ipv6_network_is_one_host_and_this_machine_is_none() -> None:
    offenders = Offenders()
    for address in ("2001:db8::1", "127.0.0.1", "::1", "::ffff:127.0.0.9", "not an address", ""):
        offenders.banned(address)
    assert not is_heard(offenders, "2001:db8::ffff")
    assert is_heard(offenders, "2001:db8:0:1::1")
    assert all(is_heard(offenders, each) for each in ("127.0.0.1", "::1", "::ffff:127.0.0.9", "not an address", ""))


def test_hosts_are_bounded_and_the_oldest_go_first() -> None:
    offenders = Offenders()
    for number in range(MAX_HOSTS + 1):
        offenders.banned(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert is_heard(offenders, "10.0.0.0")
    assert not is_heard(offenders, "10.0.0.1")


def test_the_host_of_a_banned_peer_is_not_heard_under_any_port(make_node: MakeNode) -> None:

    node = make_node(COIN)
    liar = parse_peer_url("http://203.0.113.5:5001")
    node.store.write(lambda conn: table.save(conn, replace(blank(liar.url, OUTBOUND, 0), score=60)))
    node.peers.blame(liar, BadChain("a lie"))
    assert is_heard(node.peers.offenders, "203.0.113.5")
    node.peers.blame(liar, BadChain("another"))
    assert node.peer(liar.url).banned_until is not None
    assert not is_heard(node.peers.offenders, "203.0.113.5")
    node.peers.offenders.forgive("203.0.113.5")
    assert is_heard(node.peers.offenders, "203.0.113.5")


def send(host: Host, to: str, *requests: tuple[str, bytes]) -> list[str]:
    """Status and error code of the answer to each request that `host` sends to the node at `to`."""
    lines = "".join(json.dumps([to, path, body.hex()]) + "\n" for path, body in requests)
    done = subprocess.run(
        host.command(sys.executable, "-c", _SEND), input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_a_stranger_that_pushes_bad_blocks_is_not_heard_and_its_neighbours_are(tmp_path: Path) -> None:
    chain = ChainBuilder(COIN)
    good = [("/p2p/block", codec.encode_block(chain.add()))]
    bad = [("/p2p/block", codec.encode_block(chain.next_block(amount=number))) for number in (1, 2)]
    good += [("/p2p/block", codec.encode_block(chain.add())) for _ in range(2)]
    paid = ("/p2p/transactions", codec.encode_transaction(transfer(COIN, ALICE, BOB, 5)))
    asked = {"url": "http://10.77.0.2:9999", "chain_id": "0" * 64, "node_id": "a-node-of-two"}
    data = tmp_path / "node"
    data.mkdir()
    (data / "coin.toml").write_text(coin_to_toml(COIN))
    with lan(3) as (here, stranger, neighbour):
        node = here.start(
            tmp_path / "log", "node", "--data", data, "--host", "0.0.0.0", "--port", "5001", "--no-discovery"
        )
        try:
            wait_until(lambda: here.moneyer("status", "--node", "http://127.0.0.1:5001").returncode == 0, 40)
            first, *others = send(
                stranger, here.address, good[0], *bad, good[1], paid, ("/p2p/connect", json.dumps(asked).encode())
            )
            assert first == "200 None"
            assert others == [*["422 bad_coinbase_amount"] * 2, *["403 banned"] * 3]
            assert stranger.moneyer("status", "--node", f"http://{here.address}:5001").returncode == 0
            assert send(neighbour, here.address, good[1], paid) == ["200 None"] * 2
            assert send(here, "127.0.0.1", *bad, *bad, good[2]) == [*["422 bad_coinbase_amount"] * 4, "200 None"]
        finally:
            node.terminate()
            node.wait(END_SECONDS)
