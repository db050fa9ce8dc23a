"""Has anybody committed? A counter that is asked for, and a connection that listens to be told."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg

from ...errors import StoreFailed, log, words
from .pg_connection import CHANNEL, COUNTER, ServerConnection, connect, number_in
from .pg_engines import as_sqlalchemy

_LISTEN_SECONDS: Final = 1.0
"""How long one wait for a notification lasts; at its end, whether this is closed is looked at."""
_LOOK_SECONDS: Final = 5.0
"""How long a server may take to tell its counter."""
_OF_A_CONNECTION: Final = 2**48
"""More than there are ever commits."""
_AGAIN_SECONDS: Final = 0.5
"""Between two tries to reach a server that is gone."""


class ServerWatch:
    """`on_ring` is called in the thread "listen-database"; `on_version` in that of whoever asks for the version."""

    def __init__(
        self, conninfo: str, process: int, on_ring: Callable[[], None], on_version: Callable[[int], None]
    ) -> None:
        """`process`: whose own notifications are passed over."""
        self._conninfo = conninfo
        self._own = str(process)
        self._on_ring = on_ring
        self._on_version = on_version
        self._lock = threading.Lock()
        """Of the connection that asks: one look at a time."""
        self._asking: ServerConnection | None = None
        self._connections = -1
        """That have asked, less one."""
        self._looks = 0
        """Looks that have begun."""
        self._found: int | psycopg.Error | StoreFailed = 0
        """By the last look."""
        self._closed = threading.Event()
        self._listening: ServerConnection | None = None
        self._thread = threading.Thread(target=self._listen, name="listen-database", daemon=True)
        self._thread.start()

    def version(self) -> int:
        """The counter of changes, and which connection told it. Callers that ask at once share a look that began after
        they asked.

        Behind a lost connection there may be another server, whose counter has gone back (a replica that lagged was
        promoted): the same number is then of other rows, and nothing that was kept under it holds.

        Raises DBAPIError, StoreFailed.
        """
        before = self._looks
        with self._lock:
            if self._looks == before:
                self._looks += 1
                try:
                    self._found = self._look()
                except (psycopg.Error, StoreFailed) as error:
                    # For all who wait for this look: one after the other they would wait far longer.
                    self._found = error.with_traceback(None)
                    self._drop()
            found, connection = self._found, self._connections
        if isinstance(found, Exception):
            with as_sqlalchemy(COUNTER.encode()):
                raise found
        self._on_version(found)
        return found + connection * _OF_A_CONNECTION

    def _look(self) -> int:
        kept = self._asking
        if kept is not None:
            try:
                return number_in(kept.message(COUNTER.encode(), _LOOK_SECONDS))
            except psycopg.Error:  # the server was restarted, say
                self._drop()
        self._asking = connect(self._conninfo)
        self._connections += 1
        return number_in(self._asking.message(COUNTER.encode(), _LOOK_SECONDS))

    def _drop(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            with suppress(psycopg.Error):
                asking.close()

    def ring_others(self) -> None:
        """Nothing to do: COMMIT has notified them."""

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._drop()
        listening = self._listening
        if listening is not None:
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(listening.fileno())) as its_socket:
                its_socket.shutdown(socket.SHUT_RDWR)  # whoever waits at it wakes
        self._thread.join()

    def _listen(self) -> None:
        told = False
        while not self._closed.is_set():
            try:
                with connect(self._conninfo) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._listening = connection
                    if told:
                        told = False
                        log.info("the database tells of commits again")
                    self._on_ring()  # what was committed while nobody listened
                    self._hear(connection)
            except psycopg.Error as error:
                if not told and not self._closed.is_set():
                    told = True
                    log.info("the database does not tell of commits now (%s): looking every second", words(error))
                self._closed.wait(_AGAIN_SECONDS)
            finally:
                self._listening = None

    def _hear(self, connection: ServerConnection) -> None:
        while not self._closed.is_set():
            # A wait ends with the first notification, and all that came with it.
            heard = list(connection.notifies(timeout=_LISTEN_SECONDS, stop_after=1))
            if any(each.payload != self._own for each in heard):
                self._on_ring()
