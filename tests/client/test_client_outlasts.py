"""A client that waits while its node's database is away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.client.client import Client
from moneyer.node.client.errors import Refused
from moneyer.node.core import codec
from tests.kit.chains import key
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.postgres.own import name, server, url
from tests.kit.running import rich_coin, running
from tests.kit.waiting import wait_until

__all__ = ["name", "server", "url"]

ALICE, BOB = key("alice"), key("bob")


def test_a_transfer_is_waited_for_while_its_nodes_database_is_away(
    server: PostgresServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data", rich_coin(), database_url=url) as node:
        client = Client(node.url)
        sent = client.send(ALICE.secret, BOB.payload, 7)
        found: list[dict[str, Any]] = []
        looks: list[Any] = []
        refused: list[str] = []
        find = client.transaction

        def watched(txid: str) -> dict[str, Any]:
            try:
                return find(txid)
            except Refused as error:
                refused.append(error.node_code)
                raise

        monkeypatch.setattr(client, "transaction", watched)
        waiter = threading.Thread(
            target=lambda: found.append(client.wait_for(sent.txid, timeout=600, progress=looks.append)), daemon=True
        )
        waiter.start()
        wait_until(lambda: looks, 10, "its first look")
        server.kill()
        wait_until(lambda: refused, 30, "a refusal")
        server.start()
        block = codec.encode_block(node.chain.add(transfers=[sent.transfer]))
        wait_until(lambda: node.push(block).status == 200, 30, "the node to be well again")
        wait_until(lambda: found, 30, "the first confirmation")
        assert found[0]["height"] == 1
        assert set(refused) == {"database_lost"}
