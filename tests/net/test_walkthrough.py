"""The tutorial on three real nodes and workers, ended with SIGKILL in the middle of it, and gone on with."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.kit.net.launchers import BUSY, Launcher, Network
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

ADDRESSES = "/connect_node"


@dataclass
class Acknowledged:
    """What the nodes have said yes to, and so must still know whatever happens. By node number."""

    blocks: dict[int, list[str]] = field(default_factory=lambda: {1: [], 2: [], 3: []})
    transfers: dict[int, list[str]] = field(default_factory=lambda: {1: [], 2: [], 3: []})


def mine(network: Network, node: int, acknowledged: Acknowledged) -> dict[str, Any]:
    block: dict[str, Any] = network.get(node, "/mine_block")
    acknowledged.blocks[node].append(block["hash"])
    return block


def send(network: Network, node: int, acknowledged: Acknowledged, sender: str, receiver: str, amount: float) -> Any:
    answer = network.post(node, "/add_transaction", {"sender": sender, "receiver": receiver, "amount": amount})
    acknowledged.transfers[node].append(answer["txid"])
    return answer


def connect_all(network: Network) -> None:
    for node, url in enumerate(network.urls, 1):
        others = [other for other in network.urls if other != url]
        answer = network.post(node, ADDRESSES, {"node": others})
        assert sorted(answer["nodes"]) == sorted(other.removeprefix("http://") for other in others)


def walk_through(network: Network, acknowledged: Acknowledged) -> None:
    """Connect, mine, add a transaction, mine, look at another node, replace its chain: as README has it."""
    connect_all(network)
    first = mine(network, 1, acknowledged)
    assert first["index"] == 2
    assert first["hash"].startswith("0000")
    added = send(network, 1, acknowledged, "alice", "bob", 2.5)
    assert added["message"] == "transaction added in the block 3"
    second = mine(network, 1, acknowledged)
    assert second["previous_hash"] == first["hash"]
    assert added["txid"] in [transaction["txid"] for transaction in second["transactions"]]

    assert network.get(2, "/get_chain")["length"] == 1, "node 2 is manual: it has seen nothing yet"
    replaced = network.get(2, "/replace_chain")
    assert replaced["message"] == "nodes updated."
    assert [block["hash"] for block in replaced["new_chain"]][1:] == [first["hash"], second["hash"]]
    chain = network.get(2, "/get_chain")
    assert (chain["length"], chain["chain"]) == (3, replaced["new_chain"])
    assert network.get(2, "/replace_chain")["message"] == "already largest chain"
    assert network.get(2, "/is_valid")["valid"] is True
    acknowledged.blocks[2] += [first["hash"], second["hash"]]


def check_nothing_was_lost(network: Network, acknowledged: Acknowledged) -> None:
    for node, hashes in acknowledged.blocks.items():
        for block_hash in hashes:
            assert network.get(node, f"/v1/blocks/{block_hash}")["main_chain"] is True
    for node, txids in acknowledged.transfers.items():
        for txid in txids:
            assert network.get(node, f"/v1/transactions/{txid}")["status"] in ("confirmed", "ready")


def kill_in_the_middle_of_mining(network: Network, launcher: Launcher, acknowledged: Acknowledged) -> str:
    """Every process by its own id, while a job runs and transfers come in. Returns the job."""
    mined = 400
    while mined == 400:  # where this test is held up, a job may be over before it is interrupted
        job: str = network.post(1, "/v1/mine", {"blocks": 400}, status=202)["job"]
        for _ in range(5):
            send(network, 1, acknowledged, "carol", "dave", 1)
            send(network, 3, acknowledged, "erin", "alice", 0.25)
        mined = wait_until(partial(mined_of, network, job), 60, "a block of the job")
    tip = network.get(1, "/v1/status")
    acknowledged.blocks[1].append(tip["tip"])
    launcher.signal_all(signal.SIGKILL)
    launcher.wait_all_ended(10)
    return job


def mined_of(network: Network, job: str) -> int:
    return int(network.get(1, f"/v1/jobs/{job}")["mined"])


def test_the_walk_through_survives_a_kill_of_every_process(tmp_path: Path) -> None:
    network, acknowledged = Network(tmp_path), Acknowledged()
    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        walk_through(network, acknowledged)
        job = kill_in_the_middle_of_mining(network, launcher, acknowledged)

    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        check_nothing_was_lost(network, acknowledged)
        done = wait_until(lambda: _finished(network.get(1, f"/v1/jobs/{job}")), 120, "the end of the job")
        assert done["mined"] == 400

        wait_until(
            lambda: all(_confirmed(network, 1, txid) for txid in acknowledged.transfers[1]),
            30,
            "all transfers of node 1",
        )
        # Peers were remembered, so node 3 can take node 1's chain; its own transfers wait in its mempool.
        assert network.get(3, "/replace_chain")["message"] == "nodes updated."
        assert network.get(3, "/v1/status")["tip"] == network.get(1, "/v1/status")["tip"]
        mine(network, 3, acknowledged)
        assert all(_confirmed(network, 3, txid) for txid in acknowledged.transfers[3])
        for node in (1, 3):
            assert network.get(node, "/is_valid")["valid"] is True
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(5 + BUSY)


def _finished(job: dict[str, Any]) -> dict[str, Any]:
    return job if job["state"] != "open" else {}


def _confirmed(network: Network, node: int, txid: str) -> bool:
    return bool(network.get(node, f"/v1/transactions/{txid}")["status"] == "confirmed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_all_and_the_next_start_goes_on_at_the_same_height(tmp_path: Path, number: int) -> None:
    network, acknowledged = Network(tmp_path, nodes=2), Acknowledged()
    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        mine(network, 1, acknowledged)
        launcher.processes()
        # A reader that never lets go must not hold it up.
        with requests.get(network.urls[0] + "/get_chain", stream=True, timeout=10):
            launcher.popen.send_signal(number)
            launcher.wait_all_ended(5 + BUSY)
    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        assert network.get(1, "/v1/status")["height"] == 1
        check_nothing_was_lost(network, acknowledged)


def test_when_honcho_is_killed_every_process_ends(tmp_path: Path) -> None:
    network = Network(tmp_path, nodes=2)
    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        network.post(1, "/v1/mine", {"blocks": 1000}, status=202)
        wait_until(lambda: network.get(1, "/v1/status")["height"], 30, "a first block")
        assert len(launcher.processes()) >= 7
        launcher.popen.kill()
        launcher.wait_all_ended(2 + BUSY)
