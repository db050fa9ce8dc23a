"""The peers that `--peer` names: added once they answer; a bad URL is logged once, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from moneyer.node.config import Config
from moneyer.node.p2p.peer.errors import Duplicate, OtherCoin
from moneyer.node.p2p.table.configured import ConfiguredPeers
from tests.kit.net.gossip import COIN, SOON, peers_of
from tests.kit.running import rich_coin, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

ADVICE = "is not taken: a peer's URL begins with http://; write it as --peer http://HOST:PORT"


@pytest.mark.parametrize("manual", [True, False])
def test_a_bad_peer_is_named_once_with_what_to_do_and_the_others_are_met(tmp_path: Path, manual: bool) -> None:
    port = free_port()
    with running(tmp_path / "foreign", rich_coin(name="Other")) as foreign:
        named = ("ftp://nowhere", foreign.url, "ftp://nowhere", f"http://127.0.0.1:{port}", foreign.url)
        with running(tmp_path / "node", COIN, manual=manual, peers=named) as node:
            wait_until(lambda: "that node runs another coin" in node.log, SOON, "the other coin to be found")
            with running(tmp_path / "late", COIN, port=port) as late:
                wait_until(lambda: peers_of(node) == {late.url: "connected"}, SOON, "the good one to be met")
            assert node.log.count("nowhere") == 1
            assert ADVICE in node.log
            assert node.log.count(f"{foreign.url} is not taken") == 1


def test_a_peer_that_is_refused_again_and_again_is_named_when_the_reason_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = "http://127.0.0.1:5002"
    configured = ConfiguredPeers(Config(tmp_path, peers=(url,)))
    for why in (OtherCoin("another coin"), OtherCoin("another coin"), Duplicate("a name too many")):
        configured.refused(url, why)
    assert [record.getMessage() for record in caplog.records] == [
        f"peer {url} is not taken: another coin",
        f"peer {url} is not taken: a name too many",
    ]
