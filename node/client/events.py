"""The events of a node as an iterator that survives a cut connection (Server-Sent Events, `GET /v1/events`)."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from .errors import ClientError, NoAnswer, Refused
from .sse import Event, Stream
from .transport import DEADLINE

if TYPE_CHECKING:
    from .transport import Transport

PATIENCE = 60.0
"""Seconds for which a node that was there is tried again."""
_ROOM = 1_000
"""Events that wait for a slow reader; then the node has to wait, and keeps 4,096 itself."""
_FIRST_PAUSE = 0.1
"""Seconds before the first try to connect again; each further pause is twice as long."""
_LASTING = 1.0
"""Seconds after which a stream counts as good, so that the next pause is a first one again."""
_POLL = 5.0
"""Seconds between two looks at a node that has no room for another listener."""
_ALL_TAKEN = "busy"
"""The node's code for having no room."""


class Events(Iterator[Event]):
    """See `Client.events`. It ends by `close`, at the end of a `with`, or when no reference to it is left."""

    def __init__(self, transport: Transport, last_event_id: str | None, patience: float) -> None:
        """Listens when this returns. Raises NoAnswer, Refused."""
        self._listener = _Listener(transport, last_event_id, patience)
        self._listener.begin()
        weakref.finalize(self, self._listener.close)

    def __next__(self) -> Event:
        event = self._listener.take(None)
        if event is None:
            raise StopIteration
        return event

    def wait(self, seconds: float) -> Event | None:
        """The next event; None where none has come after `seconds`, or all has ended. Raises as the iterator does."""
        return self._listener.take(seconds)

    def close(self) -> None:
        """End it, also for a thread that waits in it."""
        self._listener.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Listener:
    """A thread that listens, and a bounded queue of the events that it heard."""

    def __init__(self, transport: Transport, last_event_id: str | None, patience: float) -> None:
        self._transport = transport
        self._patience = patience
        self._last_id = last_event_id
        self._stream: Stream | None = None
        self._seen: object = None
        """What the node answered when it was polled last; None: it is listened to."""
        self._news = threading.Condition()  # guards what follows
        self._heard: deque[Event] = deque()
        self._begun = self._closed = False
        self._failed: ClientError | None = None

    def begin(self) -> None:
        """Start the thread; returns when it listens. Raises NoAnswer, Refused."""
        threading.Thread(target=self._run, name="events", daemon=True).start()
        with self._news:
            self._news.wait_for(lambda: self._begun or self._failed, 2 * DEADLINE)
            if self._failed:
                raise self._failed
            if self._begun:
                return
        self.close()
        raise NoAnswer(f"{self._transport.url} did not answer within {DEADLINE:g} s")

    def take(self, seconds: float | None) -> Event | None:
        """The next event; None where none comes in time, or it is closed. Raises why the thread ended."""
        with self._news:
            self._news.wait_for(lambda: self._heard or self._failed or self._closed, seconds)
            if self._heard:
                self._news.notify_all()
                return self._heard.popleft()
            if self._failed and not self._closed:
                raise self._failed
        return None

    def close(self) -> None:
        """End the thread, and every wait for it."""
        with self._news:
            self._closed = True
            self._heard.clear()
            self._news.notify_all()
            stream = self._stream
        if stream is not None:
            stream.abort()

    def _run(self) -> None:
        try:
            self._listen()
        except ClientError as error:
            failed = error
        except Exception as error:  # raised again by `take`
            failed = ClientError(f"the events of {self._transport.url} ended: {type(error).__name__}")
        else:
            return
        with self._news:
            self._failed = failed
            self._news.notify_all()

    def _listen(self) -> None:
        """Listen to one stream after another, until it is closed or the patience is over."""
        met, pause = time.monotonic(), _FIRST_PAUSE
        while not self._closed:
            began = time.monotonic()
            self._stream = stream = Stream(self._transport, self._last_id)
            try:
                is_full = self._hear(stream)
                met = time.monotonic()
            except ClientError as error:
                is_full = False
                if not self._begun or not passes(error) or time.monotonic() - met > self._patience:
                    raise
            finally:
                stream.close()
            if stream.is_open and time.monotonic() - began > _LASTING:
                pause = _FIRST_PAUSE
            self._rest(_POLL if is_full else pause)
            pause = min(2 * pause, stream.retry)

    def _hear(self, stream: Stream) -> bool:
        """Listen to one stream to its end; True: the node has no room for it, and was polled instead."""
        try:
            stream.open()
        except Refused as error:
            if error.node_code != _ALL_TAKEN:
                raise
            self._poll()
            return True
        if not self._closed:
            self._follow(stream)
        return False

    def _follow(self, stream: Stream) -> None:
        """Hand on what comes, until the stream ends."""
        with self._news:
            self._begun = True
            self._news.notify_all()
        if self._seen is not None and self._last_id is None:
            self._poll()  # what came before the stream, and after the last look
        self._seen = None
        for event in stream:
            self._put(event)
            self._last_id = event.id or self._last_id
        self._last_id = stream.last_id or self._last_id

    def _poll(self) -> None:
        """Ask a node that has no room for another listener for its status; a change becomes a `reset` event."""
        status = self._transport.call("GET", "/v1/status", None, DEADLINE)
        seen = status["tip"], status["mempool"]["count"], status["mempool"]["bytes"]
        with self._news:
            self._begun = True
            self._news.notify_all()
        if seen != self._seen:
            self._seen = seen
            reason = "the node has no room for one more who listens: it is asked every few seconds"
            data = {"reason": reason, "height": status["height"], "tip": status["tip"]}
            self._put(Event("reset", data, self._last_id or ""))

    def _put(self, event: Event) -> None:
        with self._news:
            self._news.wait_for(lambda: len(self._heard) < _ROOM or self._closed)
            if not self._closed:
                self._heard.append(event)
                self._news.notify_all()

    def _rest(self, seconds: float) -> None:
        with self._news:
            self._news.wait_for(lambda: self._closed, seconds)


def passes(error: ClientError) -> bool:
    """Whether the error may pass by itself: of a node that is ending, starting, or too busy."""
    return error.status >= 500 or error.status == 429 if isinstance(error, Refused) else isinstance(error, NoAnswer)
