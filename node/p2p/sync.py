"""Headers first: a peer's chain is weighed before a byte of a body is asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.chain import Chain
from node.core.errors import NOT_THE_HEADERS_FAULT, RuleError
from node.core.hashing import sha256d
from node.core.types import HASH_SIZE, HEADER_SIZE
from node.mempool import Accepted, Mempool
from node.outcomes import Extended, Orphan, Outcome, Reorganized
from node.p2p.client import PeerClient
from node.p2p.errors import BadAnswer, BadChain, NotDelivered, PeerError, PeerTimeout
from node.p2p.headers import HeaderLine, is_for_later
from node.p2p.peers import Greeting, Peers
from node.p2p.threads import OneAtATime
from node.p2p.wire import MAX_BLOCKS, MAX_HEADERS
from node.store import blocks

SURVEY_SECONDS: Final = 300.0
"""All the headers that a peer sends before its chain outweighs ours."""
_KEPT_BATCHES: Final = 100
"""Of the headers of a long fork the hashes of this many answers are kept (6 MB); later ones are asked for again."""

log = logging.getLogger("moneyer.p2p")


@dataclass(frozen=True, slots=True)
class Batch:
    """One answer of headers: `count` of them behind `after`, up to `last`. `hashes`: end to end, None if not kept."""

    after: bytes
    last: bytes
    count: int
    hashes: bytes | None


@dataclass(slots=True)
class Plan:
    """A line of headers that outweighs our chain, from the fork point up."""

    batches: list[Batch] = field(default_factory=list)
    count: int = 0

    def add(self, after: bytes, hashes: Sequence[bytes]) -> None:
        kept = b"".join(hashes) if len(self.batches) < _KEPT_BATCHES else None
        self.batches.append(Batch(after, hashes[-1], len(hashes), kept))
        self.count += len(hashes)


class Sync:
    def __init__(self, chain: Chain, mempool: Mempool, peers: Peers) -> None:
        self._chain = chain
        self._mempool = mempool
        self._peers = peers
        self._store = peers.store
        self._replacing = OneAtATime(self._replace_chain)

    @property
    def syncing(self) -> bool:
        """Whether a chain is being asked for now."""
        return self._replacing.running

    def replace_chain(self) -> bool:
        """Ask every peer now and take the valid chain with the most work; whether our tip changed.

        A peer that is down, slow or lying costs its own time-out and is marked down; then the next best is tried.
        """
        return self._replacing.run()

    def sync_with(self, peer: Greeting) -> bool:
        """Take what a peer has and we lack, as long as it outweighs ours; whether our tip changed."""
        changed = False
        try:
            while (plan := self._survey(peer)) is not None:
                taken = 0
                for outcome in self._fetch(peer, plan):
                    taken += 1
                    changed = changed or isinstance(outcome, (Extended, Reorganized))
                if not taken:
                    break
        except PeerError as error:
            log.warning("peer %s marked down: %s", peer.url, error.code)
            self._peers.blame(peer.url, error)
        return changed

    def fetch_mempool(self, peer: Greeting) -> int:
        """Take in the transfers of a peer's pool; how many are in ours now. Raises PeerError."""
        results = self._mempool.accept_transfers(peer.client.mempool())
        return sum(isinstance(result, Accepted) for result in results)

    def _replace_chain(self) -> bool:
        changed = False
        greetings = self._peers.greet_all()
        for peer in sorted(greetings, key=lambda greeting: greeting.hello.claimed_work, reverse=True):
            if peer.hello.claimed_work <= self._own_work():
                break
            changed = self.sync_with(peer) or changed
        return changed

    def _own_work(self) -> int:
        with self._store.read() as conn:
            return blocks.tip(conn).work

    def _survey(self, peer: Greeting) -> Plan | None:
        """Headers from where our chains part until they outweigh our chain; None where they don't.

        Every header is checked in full. Raises BadAnswer, PeerTimeout, BadChain (a broken rule, or less work than
        claimed).
        """
        with self._store.read() as conn:
            own_work = blocks.tip(conn).work
            locator = blocks.locator(conn)
        ends_at = time.monotonic() + SURVEY_SECONDS
        plan = Plan()
        line: HeaderLine | None = None
        found_work = most = 0
        while headers := peer.client.headers(locator if line is None else [line.block_hash, *locator]):
            if line is None:
                line = self._line_behind(headers[0])
                most = min(peer.hello.height - line.height, line.most_successors(_now())) + MAX_HEADERS
            after = line.block_hash
            hashes, for_later = _check_headers(line, headers)
            if hashes:
                self._refuse_invalid(hashes)
                plan.add(after, hashes)
            found_work = line.work
            if found_work > own_work:
                return plan
            if for_later:
                return None
            if plan.count > most:
                raise BadChain("the peer sent more headers than its chain has, with too little work")
            if time.monotonic() > ends_at:
                raise PeerTimeout("the peer's headers did not outweigh this node's chain in time")
        if peer.hello.claimed_work > max(own_work, found_work):
            raise BadChain("the peer claimed more work than its headers show")
        return None

    def _line_behind(self, raw: bytes) -> HeaderLine:
        """The line that a header continues: our own tree's."""
        prev_hash = raw[4 : 4 + HASH_SIZE]
        with self._store.read() as conn:
            line = HeaderLine.from_store(conn, self._store.coin, prev_hash)
        if line is None:
            raise BadAnswer("the peer's headers are not linked to a block that this node has")
        return line

    def _refuse_invalid(self, hashes: Sequence[bytes]) -> None:
        with self._store.read() as conn:
            for block_hash in blocks.known(conn, hashes):
                row = blocks.by_hash(conn, block_hash)
                if row is not None and row.status == blocks.INVALID:
                    raise BadChain("the peer's chain has a block that broke a rule here")

    def _fetch(self, peer: Greeting, plan: Plan) -> Iterator[Outcome]:
        """Ask for the bodies that are not here and connect them in order; the outcome of each."""
        for batch in plan.batches:
            missing = self._chain.missing(_hashes_of(peer.client, batch))
            for raw in fetch_bodies(peer.client, missing):
                yield self._take(raw)

    def _take(self, raw: bytes) -> Outcome:
        try:
            outcome = self._chain.accept_block(raw, _now(), asked=True)
        except RuleError as error:
            if error.code in NOT_THE_HEADERS_FAULT:
                raise NotDelivered("the peer sent a body that its header does not commit to", rule=error.code) from None
            raise BadChain("the peer's chain has a block that breaks a rule", rule=error.code) from None
        if isinstance(outcome, Orphan):
            raise NotDelivered("the peer sent a block before its parent")
        return outcome


def fetch_bodies(client: PeerClient, hashes: Sequence[bytes]) -> Iterator[bytes]:
    """The blocks of `hashes`, in order. Raises NotDelivered where one does not come or another comes in its place."""
    at = 0
    while at < len(hashes):
        asked = hashes[at : at + MAX_BLOCKS]
        for block_hash, raw in zip(asked, client.blocks(asked), strict=False):
            if raw is None:
                raise NotDelivered("the peer does not have a block of the chain that it claims")
            if sha256d(raw[:HEADER_SIZE]) != block_hash:
                raise NotDelivered("the peer sent another block than the one asked for")
            yield raw
            at += 1


def _check_headers(line: HeaderLine, headers: Sequence[bytes]) -> tuple[list[bytes], bool]:
    """Take `headers` into the line: their hashes, and whether one must wait for our clock. Raises PeerError."""
    now = _now()
    hashes = []
    for raw in headers:
        try:
            hashes.append(line.append(raw, now))
        except RuleError as error:
            if is_for_later(error):
                return hashes, True
            raise BadChain("the peer's headers break a rule", rule=error.code) from None
    return hashes, False


def _hashes_of(client: PeerClient, batch: Batch) -> list[bytes]:
    """The hashes of a batch; asked for again where they were not kept. The last one pins all of them."""
    if batch.hashes is not None:
        return [batch.hashes[at : at + HASH_SIZE] for at in range(0, len(batch.hashes), HASH_SIZE)]
    headers = client.headers([batch.after])[: batch.count]
    prev_hash = batch.after
    hashes = []
    for raw in headers:
        if raw[4 : 4 + HASH_SIZE] != prev_hash:
            raise BadAnswer("the peer's headers are not linked")
        prev_hash = sha256d(raw)
        hashes.append(prev_hash)
    if len(hashes) != batch.count or prev_hash != batch.last:
        raise NotDelivered("the peer's headers are others than it showed before")
    return hashes


def _now() -> int:
    return int(time.time())
