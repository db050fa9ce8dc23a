"""Whether this node is the one of its database that speaks to other nodes: at once on a file, by turns on a server."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Final

from ..config import API, Config
from ..store.backends.presence import PEER, Presence
from ..store.engine import Store
from ..store.errors import StoreUnavailable
from .peer.errors import BadUrl
from .table.reach import own_url

_AGAIN_SECONDS: Final = 1.0
"""Before a beginning that failed is tried again."""
_FIRST_SECONDS: Final = 3.0
"""How long `start` waits until the server has said whose turn it is."""

log = logging.getLogger("moneyer.p2p")


class PeerTurn:
    """Calls `begin` and `end`, in turn, as this node gets and loses the turn to speak to other nodes.

    Where the database is a file there is no other node: `begin` is called by `start`, and `end` by `stop`. On a
    server a thread of its own calls both.
    """

    def __init__(self, store: Store, config: Config, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._store = store
        self._config = config
        self._begin = begin
        self._end = end
        self._takes_turns = config.database_url is not None
        self._presence: Presence | None = None
        self.speaks = config.role != API
        """Whether this node may speak to others now: as the server says, once it is started on one."""
        self._is_decided = False
        """Whether it has said so once."""
        self._has_begun = False
        """Whether `begin` was called, and `end` not yet."""
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="peer turn", daemon=True)

    def speaker(self) -> str | None:
        """The URL of the node that speaks to others now, as it says; None where there is none, or it has not said one.

        Raises StoreUnavailable.
        """
        for living in self._store.living(PEER):
            try:
                url = json.loads(living.status).get("url")
            except (ValueError, AttributeError):
                continue
            if isinstance(url, str):
                return url[:300]
        return None

    def start(self) -> None:
        if not self._takes_turns:
            self._has_begun = True
            self._begin()
            return
        self.speaks = False
        self._thread.start()
        about = json.dumps(_about(self._config)).encode()
        if self._config.role == API:
            self._presence = self._store.backend.join(about, None)
            return
        self._presence = self._store.backend.join(about, self._turned)
        with self._changed:  # so that a node that is alone answers other nodes from the first request on
            self._changed.wait_for(lambda: self._is_decided, _FIRST_SECONDS)

    def stop(self) -> None:
        """Takes about a second. A second time does nothing."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        elif self._has_begun:
            self._has_begun = False
            self._end()
        if self._presence is not None:  # only now: the next node may begin
            self._presence.release()

    def _turned(self, has_turn: bool) -> None:
        with self._changed:
            self.speaks, self._is_decided = has_turn, True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self.speaks != self._has_begun)
                wanted = self.speaks and not self._stopped
                is_last = self._stopped
            if wanted != self._has_begun:
                self._change(wanted)
            if is_last:
                return

    def _change(self, speaks: bool) -> None:
        if not speaks:
            self._has_begun = False
            self._end()
            log.info("this node speaks to no other nodes any more")
            return
        self._has_begun = True
        try:
            self._begin()
        except StoreUnavailable as error:
            log.info("speaking to other nodes has to wait: %s", error.message)
            self._has_begun = False
            self._end()
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, _AGAIN_SECONDS)
        else:
            log.info("this node speaks to other nodes from now on")


def _about(config: Config) -> dict[str, object]:
    """What this node says of itself to the others of its database."""
    try:
        url = own_url(config)
    except BadUrl:
        url = None
    host = socket.gethostname()[:200]
    return {"pid": os.getpid(), "host": host, "url": url or f"http://{host}:{config.port}", "role": config.role}
