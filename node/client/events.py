"""What happens on a node, as it happens: its Server-Sent Events as an iterator that bears a cut connection."""

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
"""Seconds for which a node that was there is looked for again."""
_ROOM = 1_000
"""Events that wait for who asked for them; the node is made to wait for room, and keeps 4,096 itself."""
_FIRST_PAUSE = 0.1
_LASTING = 1.0
_POLL = 5.0
_ALL_TAKEN = "busy"


class Events(Iterator[Event]):
    """See `Client.events`. It ends when it is closed: by `close`, at the end of a `with`, or when nobody has it."""

    def __init__(self, transport: Transport, last_event_id: str | None, patience: float) -> None:
        """Listens when this returns. Raises NoAnswer, Refused."""
        self._ear = _Ear(transport, last_event_id, patience)
        self._ear.begin()
        weakref.finalize(self, self._ear.close)

    def __next__(self) -> Event:
        event = self._ear.take(None)
        if event is None:
            raise StopIteration
        return event

    def wait(self, seconds: float) -> Event | None:
        """The next event; None where none has come after `seconds`, or all has ended. Raises as the iterator does."""
        return self._ear.take(seconds)

    def close(self) -> None:
        """End it, and who waits in it."""
        self._ear.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Ear:
    """A thread that listens, and a bounded queue of what it heard."""

    def __init__(self, transport: Transport, last_event_id: str | None, patience: float) -> None:
        self._transport = transport
        self._patience = patience
        self._last_id = last_event_id
        self._stream: Stream | None = None
        self._seen: object = None
        """What the node showed when it was polled last; None: it is listened to."""
        self._news = threading.Condition()  # guards what follows
        self._heard: deque[Event] = deque()
        self._begun = self._closed = False
        self._failed: ClientError | None = None

    def begin(self) -> None:
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
        with self._news:
            self._news.wait_for(lambda: self._heard or self._failed or self._closed, seconds)
            if self._heard:
                self._news.notify_all()
                return self._heard.popleft()
            if self._failed and not self._closed:
                raise self._failed
        return None

    def close(self) -> None:
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
        except Exception as error:  # raised again by who waits
            failed = ClientError(f"the events of {self._transport.url} ended: {type(error).__name__}")
        else:
            return
        with self._news:
            self._failed = failed
            self._news.notify_all()

    def _listen(self) -> None:
        """Again and again, until it is closed or the patience is over."""
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
        """Listen to one stream to its end; True: the node has no room for it, and was looked at instead."""
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
        """There is no room for one more who listens: look, and tell what changed as the node tells a gap."""
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
    """Whether this is how a node looks that is ending, or beginning, or has much to do."""
    return error.status >= 500 or error.status == 429 if isinstance(error, Refused) else isinstance(error, NoAnswer)
