"""Takes the blocks of a plan into the chain: in order, many at a time, as `bodies` delivers them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from ...chain.accept import Chain
from ...chain.outcomes import Orphan
from ...core import codec
from ...core.errors import NOT_THE_HEADERS_FAULT, Malformed, RuleError
from ...core.types import HEADER_SIZE
from ...store.errors import StoreUnavailable
from ..peer.errors import BadChain, LinkCut, NotDelivered, PeerError
from ..peer.peer_client import PeerClient
from ..peer.urls import PeerUrl, parse_peer_url
from ..table.peer_table import PeerTable
from ..table.standing import CONNECTED, Greeting, is_banned
from .bodies import BodyFetcher, Slot, Source
from .fairness import TimeSlice
from .progress import SyncMeter
from .survey import DownloadPlan, hashes_of


class Download:
    """The download of one plan. `lead`: the peer that showed its headers, and that has the `time_slice`."""

    def __init__(
        self,
        chain: Chain,
        peers: PeerTable,
        meter: SyncMeter,
        lead: Greeting,
        plan: DownloadPlan,
        time_slice: TimeSlice,
    ) -> None:
        self._chain = chain
        self._intake = chain.intake()
        self._unsettled: Sequence[Slot] = ()
        """The run that the chain was given last: it may be under way."""
        self._peers = peers
        self._meter = meter
        self._plan = plan
        self._time_slice = time_slice
        self._taken = 0
        self._is_outdated = False
        """Whether the plan builds on blocks that this node no longer has."""
        self._lead = Source(lead.url, lead.client, plan.to_height, showed_headers=True)
        self.is_lead_to_blame = False
        """Whether a block of the lead did not come, or was not what its header says."""
        self.is_cut_off = False
        """Whether the link with the lead was cut, for an experiment."""

    def run(self) -> bool:
        """Whether to ask `lead` for more. Raises PeerError for what `lead` is to be blamed for."""
        plan, lead = self._plan, self._lead
        self._meter.planned(plan.from_height, plan.to_height, is_all=not plan.is_full)
        missing = self._missing(lead.client)
        with BodyFetcher(missing, self._sources, self._blame, lambda: self._time_slice.is_over) as bodies:
            try:
                while (run := bodies.next_run(waits=not self._unsettled)) or self._unsettled:
                    self._connect(bodies, run)
                    if self._time_slice.is_over or self._is_outdated:
                        break
            except NotDelivered:
                if not lead.is_dropped:
                    raise
            finally:
                if self._unsettled:
                    self._connect(bodies, ())
        return self._taken > 0 and not lead.is_dropped

    def _blame(self, url: PeerUrl, error: PeerError) -> None:
        if isinstance(error, LinkCut):
            self.is_cut_off = self.is_cut_off or url == self._lead.url
            return
        self.is_lead_to_blame = self.is_lead_to_blame or url == self._lead.url
        self._peers.blame(url, error)

    def _missing(self, client: PeerClient) -> Iterator[tuple[int, bytes]]:
        """Height and hash of each block of the plan that is not here."""
        for batch in self._plan.batches:
            hashes = hashes_of(client, batch)
            missing = set(self._chain.missing(hashes))
            yield from ((height, each) for height, each in enumerate(hashes, batch.height) if each in missing)

    def _sources(self) -> list[Source]:
        """The lead, and other peers that may have these blocks, the best first.

        The others showed no headers, so they do nothing wrong if they lack a block.
        """
        now = int(time.time())
        rows = [
            row
            for row in self._peers.listed()
            if row.state == CONNECTED
            and row.height >= self._plan.from_height
            and row.url != self._lead.url.url
            and not is_banned(row, now)
        ]
        rows.sort(key=lambda row: (-row.score, row.latency_ms or 0))
        urls: list[PeerUrl] = [parse_peer_url(row.url) for row in rows]
        others = (Source(url, self._peers.client(url), row.height) for url, row in zip(urls, rows, strict=True))
        return [self._lead, *others]

    def _connect(self, bodies: BodyFetcher, run: Sequence[Slot]) -> None:
        """Give the chain a run of blocks, and record what became of the one before; none: wait for that one.

        Raises BadChain or NotDelivered.
        """
        before, self._unsettled = self._unsettled, run
        now = int(time.time())
        try:
            outcomes = self._intake.take([slot.raw for slot in run], now) if run else self._intake.finish(now)
        except RuleError as error:
            self._unsettled = ()
            if error.code not in NOT_THE_HEADERS_FAULT:
                raise BadChain("the peer's chain has a block that breaks a rule", rule=error.code) from None
            self._record(bodies, self._refuse(bodies, [*before, *run], error))
        except StoreUnavailable:
            self._unsettled = ()
            raise
        else:
            if any(isinstance(outcome, Orphan) for outcome in outcomes):
                # They were asked for by hash and given in order, so this node has dropped their parent meanwhile.
                self._is_outdated, self._unsettled = True, ()
            else:
                self._record(bodies, before)

    def _record(self, bodies: BodyFetcher, run: Sequence[Slot]) -> None:
        """These blocks are in."""
        if run:
            self._taken += len(run)
            for url in {slot.source.url.url for slot in run if slot.source is not None}:
                self._peers.delivered(url)
            transfers = sum(_transfers(slot.raw) for slot in run)
            self._meter.connected(run[-1].height, len(run), transfers, bodies.peers)

    def _refuse(self, bodies: BodyFetcher, run: Sequence[Slot], error: RuleError) -> Sequence[Slot]:
        """Fetch a body anew that is not what its header commits to; the blocks before it, which are in."""
        missing = set(self._chain.missing([slot.block_hash for slot in run]))
        bad = next((at for at, slot in enumerate(run) if slot.block_hash in missing), len(run))
        if bad < len(run):
            words = "the peer sent a body that its header does not commit to"
            bodies.refuse(run, run[bad], NotDelivered(words, rule=error.code))
        return run[:bad]


def _transfers(raw: bytes) -> int:
    """How many transfers a block has; 0 if that can't be read."""
    try:
        return codec.decode_count(raw, HEADER_SIZE)[0] - 1
    except Malformed:
        return 0
