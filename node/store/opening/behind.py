"""The whole check of a large database, made while the node answers already; nothing is written before it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import StoreFailed, StoreRefused


class BackgroundCheck:
    """A check in a thread of its own. Its cost grows with the chain: 1.2 s of processor for 100,000 blocks."""

    def __init__(self, check: Callable[[], object], on_damage: Callable[[StoreRefused], None]) -> None:
        """`check` raises StoreRefused; `on_damage` is called in that thread, once, with what it raised."""
        self._check = check
        self._on_damage = on_damage
        self._over = threading.Event()
        self._is_stopped = False
        threading.Thread(target=self._run, name="check-file", daemon=True).start()

    def wait(self) -> None:
        """Until the file is known to be whole; for ever where it is not. Raises StoreFailed once the store is closed.

        For whoever is about to write, so that a damaged file is left as it is.
        """
        self._over.wait()
        if self._is_stopped:
            raise StoreFailed("the node is stopping")

    def stop(self) -> None:
        """Let go of who waits: what is not checked by now is not written."""
        if not self._over.is_set():
            self._is_stopped = True
            self._over.set()

    def _run(self) -> None:
        try:
            self._check()
        except StoreRefused as error:
            self._say(error)
        except Exception as error:  # who waits must not wait for ever without a word
            self._say(StoreRefused(f"the database cannot be checked: {error}"))
        else:
            self._over.set()

    def _say(self, why: StoreRefused) -> None:
        if not self._is_stopped:
            self._on_damage(why)
