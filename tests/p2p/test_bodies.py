"""A download keeps only a window of blocks in memory, however long the chain is."""

from __future__ import annotations

import json

import pytest

from moneyer.node.core import codec
from moneyer.node.p2p.peer.errors import PeerError
from moneyer.node.p2p.peer.peer_client import PeerClient
from moneyer.node.p2p.peer.urls import PeerUrl
from moneyer.node.p2p.sync import bodies as bodies_module
from moneyer.node.p2p.sync.bodies import BodyFetcher, Source
from tests.kit.chains import ChainBuilder
from tests.kit.net.peers import BLOCKS, Answer, Serve, honest
from tests.kit.waiting import wait_until
from tests.p2p.test_sync import grown


class Consumed:
    """A download whose blocks the test takes, and the most that its peer was ahead of the test."""

    def __init__(self, serve: Serve, chain: ChainBuilder) -> None:
        self.blocks = self.bytes = self.most_blocks = self.most_bytes = 0
        self._served = self._served_bytes = 0
        route = honest(chain)[BLOCKS]

        def record(body: bytes) -> Answer:
            answer = route(body)
            assert isinstance(answer, Answer)
            self._served += len(json.loads(body)["hashes"])
            self._served_bytes += len(answer.body)
            self.most_blocks = max(self.most_blocks, self._served - self.blocks)
            self.most_bytes = max(self.most_bytes, self._served_bytes - self.bytes)
            return answer

        self.server = serve({BLOCKS: record})

    @property
    def ahead(self) -> int:
        return self._served - self.blocks

    def download(self, chain: ChainBuilder) -> BodyFetcher:
        url = PeerUrl("127.0.0.1", self.server.port)
        source = Source(url, PeerClient(url), chain.height)
        wanted = enumerate((codec.block_hash(block.header) for block in chain.blocks[1:]), 1)
        return BodyFetcher(wanted, lambda: [source], self._fail)

    def take(self, download: BodyFetcher) -> list[bytes]:
        run = [slot.raw for slot in download.next_run()]
        self.blocks += len(run)
        self.bytes += sum(map(len, run)) + 4 * len(run)
        return run

    @staticmethod
    def _fail(url: PeerUrl, error: PeerError) -> None:
        raise AssertionError(error)


def test_no_more_than_a_window_of_blocks_is_in_memory(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "WINDOW_BLOCKS", 64)
    monkeypatch.setattr(bodies_module, "_RUN_BLOCKS", 16)
    chain = grown(400)
    consumed = Consumed(serve, chain)
    taken: list[bytes] = []
    with consumed.download(chain) as download:
        while run := consumed.take(download):
            taken += run
            if len(taken) < 300:  # as slow as can be: only when the window is full again, as far as it may be
                wait_until(lambda: consumed.ahead >= 64 - 16, 20)
    assert taken == chain.raw
    assert consumed.most_blocks <= 64


def test_no_more_than_a_window_of_bytes_is_in_memory(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = grown(400)
    size = len(chain.raw[0])
    monkeypatch.setattr(bodies_module, "WINDOW_BYTES", 40 * size)
    monkeypatch.setattr(bodies_module, "_RUN_BLOCKS", 8)
    monkeypatch.setattr(bodies_module, "REQUEST_BYTES", 10_000)
    consumed = Consumed(serve, chain)
    taken: list[bytes] = []
    with consumed.download(chain) as download:
        while run := consumed.take(download):
            taken += run
            if len(taken) < 300:
                wait_until(lambda: consumed.ahead >= 20, 20)
    assert taken == chain.raw
    assert consumed.most_bytes <= 40 * (size + 4) + 10_000
    assert len(consumed.server.hashes_asked()) == 400
