"""The way of a miner's block to the chain, on a real database: whatever happens, who offered it hears of it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from moneyer.node.chain.accept import Chain
from moneyer.node.core import codec
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.worker.stratum.link import OFFER_SECONDS, NodeLink
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.mining.workers import NodeFolder
from tests.kit.waiting import wait_until

COIN = easy_coin()


@contextmanager
def linked(node: NodeFolder, offer_seconds: float = OFFER_SECONDS) -> Iterator[NodeLink]:
    """A link that follows the node."""
    link = NodeLink(node.config, lambda template: None, once=False, offer_seconds=offer_seconds)
    thread = threading.Thread(target=link.run, args=(lambda: None,))
    thread.start()
    try:
        wait_until(lambda: link.is_linked, 20, "the node's chain")
        yield link
    finally:
        link.stop()
        thread.join(20)
        assert not thread.is_alive()


def offered(link: NodeLink, raw: Any) -> bool:
    """What the link answers to a block of height 1."""
    answers: SimpleQueue[bool] = SimpleQueue()
    link.offer(raw, 1, answers.put)
    return answers.get(timeout=30)


def test_whoever_offers_a_block_is_answered_even_where_that_fails_as_nobody_foresaw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = codec.encode_block(ChainBuilder(COIN).next_block())
    with NodeFolder(tmp_path / "node", COIN) as node, linked(node) as link:
        assert offered(link, None) is False
        (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
        assert "a miner's block at height 1 is lost" in record.getMessage()
        assert record.exc_info is not None
        assert offered(link, raw) is True
        assert offered(link, raw) is False
        assert node.height == 1


def test_a_block_that_is_given_up_for_a_busy_database_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = codec.encode_block(ChainBuilder(COIN).next_block())
    with NodeFolder(tmp_path / "node", COIN) as node, linked(node, 0.1) as link:
        blocker: sqlite3.Connection = driver.connect(str(node.config.database), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            assert offered(link, raw) is False
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        given_up = [each.getMessage() for each in caplog.records if "is given up" in each.getMessage()]
        assert given_up == ["a miner's block at height 1 is given up: for 0 s its node was busy or away"]
        assert node.height == 0
        assert offered(link, raw) is True
        assert node.height == 1


def test_where_no_block_can_follow_miners_wait_and_the_reason_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coin = easy_coin(timestamp=2**32 - 2)
    last = codec.encode_block(ChainBuilder(coin).next_block(timestamp=2**32 - 1))
    with NodeFolder(tmp_path / "node", coin) as node:
        Chain(node.store).accept_block(last, 2**32)
        with linked(node) as link:
            wait_until(lambda: "no block can follow block 1" in caplog.text, 20, "the reason")
            assert offered(link, last) is False  # known; and the link lives
