"""Addresses that sent what no honest node sends: for ten minutes nothing is taken from them.

A ban (`node.p2p.table.standing`) is for a URL, and keeps this node from calling there. This list is for callers, who
need not say which node they are; so it goes by address, as Bitcoin Core discourages peers. This machine's addresses are
left out: where many nodes share one, all would suffer for one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ...core.errors import PolicyError, RuleError, TimeTooNew
from ..peer.errors import BadAnswer, BadChain, Banned
from .standing import BEST_SCORE, limit_key

SECONDS: Final = 600.0
"""Short, for an address may be shared by many (a proxy, a router), and a faulty node may be mended."""
MAX_HOSTS: Final = 4_000
"""Addresses that are remembered, the latest."""
NO_TRANSFER: Final = frozenset(
    {
        *("bad_receiver", "bad_sender", "bad_amount", "bad_asset", "bad_memo", "bad_witness", "bad_signature"),
        "malformed",
    }
)
"""Codes of what is wrong with a transfer whatever the chain and the mempool, so that no node passes it on."""
UNPAYABLE: Final = frozenset(
    {
        *("bad_sequence", "insufficient_funds", "insufficient_asset"),
        *("locked", "unknown_asset", "not_issuer", "over_max_supply"),
    }
)
"""Codes that depend on the tip. An honest node passes on a few such transfers when its tip is another one, or a reorg
has just taken their money; it does not pass on thousands."""
UNPAYABLE_PENALTY: Final = 0.01
"""So 10,000 of them within ten minutes: at some 20 microseconds each, a fifth of a second of the processor; two
seconds where each shows another large policy, whose 64 nodes are read before its sender's funds are looked up."""


@dataclass(frozen=True, slots=True)
class _Record:
    points: float
    until: float


class Offenders:
    """The points of each address. May be used by several threads. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises Banned if nothing is taken from an IP address now."""
        record = self._records.get(limit_key(address) or "")
        if record is not None and record.points >= BEST_SCORE and self._clock() < record.until:
            raise Banned("this node takes nothing from your address for some minutes: what it sent breaks the rules")

    def sent_block(self, address: str, error: RuleError) -> None:
        """A block was refused. Its time and this node's policy don't count: an honest node may see them otherwise."""
        if not isinstance(error, PolicyError | TimeTooNew):
            self._add(address, BadChain.penalty)

    def sent_transfers(self, address: str, codes: Sequence[str]) -> None:
        """Transfers came in one request. `codes`: of those that were refused, one each."""
        points = UNPAYABLE_PENALTY * sum(code in UNPAYABLE for code in codes)
        if not NO_TRANSFER.isdisjoint(codes):
            points += BadAnswer.penalty
        if points:
            self._add(address, points)

    def banned(self, address: str) -> None:
        """A peer at this address was banned, so its requests are not taken either."""
        self._add(address, BEST_SCORE)

    def forgive(self, address: str) -> None:
        """This node's owner has added a peer at this address."""
        with self._lock:
            self._records.pop(limit_key(address) or "", None)

    def _add(self, address: str, points: float) -> None:
        host = limit_key(address)
        if host is None:
            return
        now = self._clock()
        with self._lock:
            before = self._records.pop(host, None)
            if before is not None and now < before.until:
                points += before.points
            self._records[host] = _Record(points, now + SECONDS)
            if len(self._records) > MAX_HOSTS:
                self._records.popitem(last=False)
