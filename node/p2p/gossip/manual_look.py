"""What the peers of a node with `--manual` say of themselves: such a node has no links that would hear it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

from ...core.codec import unshow
from ...store.errors import StoreUnavailable
from ..table.peer_table import PeerTable
from ..table.standing import Greeting
from .links import LinkSnapshot

LOOK_SECONDS: Final = 4.0
"""Between two rounds, at least."""
KEPT_SECONDS: Final = 15.0
"""How long what a round found is told: later the table of peers knows better."""


class ManualLook:
    """Says hello to the peers in the table while somebody looks at the network, so that their tips can be shown.

    A hello neither sends blocks nor fetches any. `run` is a thread's work; the rest may be called by any thread.
    """

    def __init__(self, peers: PeerTable) -> None:
        self._peers = peers
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._found: Mapping[str, LinkSnapshot] = {}
        """URL -> what the peer said in the last round. Replaced as a whole."""
        self._found_at = 0.0

    def run(self) -> None:
        """A round each time that somebody looks, until `stop`."""
        while self._wanted.wait() and not self._stopped.is_set():
            self._wanted.clear()
            try:
                self._found = {each.url.url: _snapshot(each) for each in self._peers.greet_all()}
            except StoreUnavailable:  # the disk is full, or the node ends: the next round may be well
                self._found = {}
            self._found_at = time.monotonic()
            self._stopped.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Somebody looks: there is a round soon."""
        self._wanted.set()

    def stop(self) -> None:
        """Ends `run`, after the round that it is in."""
        self._stopped.set()
        self._wanted.set()

    def now(self) -> Mapping[str, LinkSnapshot]:
        """URL -> what was said in the last round, of the peers that answered; nothing while nobody looks."""
        return self._found if time.monotonic() < self._found_at + KEPT_SECONDS else {}


def _snapshot(greeting: Greeting) -> LinkSnapshot:
    hello = greeting.hello
    return LinkSnapshot(
        height=hello.height,
        work=hello.claimed_work,
        latency_ms=greeting.latency_ms,
        heard_at=int(time.time()),
        node_id=hello.node_id,
        tip=unshow(hello.tip),
        agent=hello.agent,
        neighbours=(),
    )
