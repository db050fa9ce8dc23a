"""What a network in the foreground prints: its nodes' lines in honcho's colours, never waiting for the terminal."""

from __future__ import annotations

import os
import re
import select
import selectors
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import cycle
from typing import TYPE_CHECKING, Final, TextIO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

if TYPE_CHECKING:
    from .net_supervisor import NetSupervisor

_MOST_WAITING: Final = 1_000
"""Lines that wait for a terminal that takes none (Ctrl-S); the oldest go first."""
_WORTH_SAYING: Final = re.compile(rb" (?:warning|error|critical): |^it has ended|^Traceback|^\w*Error\b")
"""Lines that are shown also where not all are: see `system.logs`."""


class Outbox:
    """Text for a terminal, a pipe or a file, written by the supervisor's loop whenever it takes some."""

    def __init__(self, stream: TextIO, on_lost: Callable[[OSError], None]) -> None:
        """`on_lost`: nothing can be written any more."""
        self._stream, self._on_lost = stream, on_lost
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._selector: selectors.BaseSelector | None = None
        self._is_watched = False

    def attach(self, selector: selectors.BaseSelector) -> None:
        """From now on the loop of `selector` writes."""
        self._selector = selector
        self._watch()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        self._waiting.append(text.encode(self._stream.encoding or "utf-8", "replace"))
        self._watch()
        return len(text)

    def flush(self) -> None:
        """As a stream has it; the loop writes when it can."""

    def _watch(self) -> None:
        if self._selector is None or self._is_watched or not self._waiting:
            return
        try:
            self._selector.register(self._stream.fileno(), selectors.EVENT_WRITE, self.push)
            self._is_watched = True
        except PermissionError:  # a regular file, which always takes all
            while self._waiting:
                self._put()

    def push(self) -> None:
        """Write what the stream takes now."""
        while self._waiting and select.select([], [self._stream], [], 0)[1]:
            self._put()
        if not self._waiting and self._is_watched and self._selector is not None:
            self._selector.unregister(self._stream.fileno())
            self._is_watched = False

    def _put(self) -> None:
        # A pipe that is ready takes this many bytes at once.
        line = self._waiting.popleft()
        piece, rest = line[: select.PIPE_BUF], line[select.PIPE_BUF :]
        if rest:
            self._waiting.appendleft(rest)
        try:
            os.write(self._stream.fileno(), piece)
        except OSError as error:
            self._waiting.clear()
            self._on_lost(error)


class Foreground:
    """Prints a screen when the network is ready, and then what its processes say."""

    def __init__(
        self, names: Iterable[str], stream: TextIO, screen: Callable[[NetSupervisor], str], *, is_verbose: bool
    ) -> None:
        """`screen`: the text of the screen."""
        names = list(names)
        self.lost: OSError | None = None
        """Why nothing can be printed any more: the reader has gone, or the disk is full."""
        self._outbox = Outbox(stream, self._lose)
        has_colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._printer = Printer(self._outbox, width=max(map(len, names)), colour=has_colours)
        self._colours = dict(zip(names, cycle(get_colours()), strict=False))
        self._screen = screen
        self._is_verbose = is_verbose
        self._supervisor: NetSupervisor | None = None
        self._held: list[Message] | None = []

    def tell(self, name: str, line: bytes) -> None:
        """A process has printed a line."""
        if not self._is_verbose and not _WORTH_SAYING.search(line):
            return
        message = Message("line", line, datetime.now(), name, self._colours.get(name))
        if self._held is not None:
            self._held.append(message)
            del self._held[:-_MOST_WAITING]
        else:
            self._printer.write(message)

    def ready(self, supervisor: NetSupervisor) -> None:
        """The network is up: the screen, then what was said meanwhile."""
        self._supervisor = supervisor
        self._outbox.attach(supervisor.selector)
        self._outbox.write(self._screen(supervisor))
        held, self._held = self._held or [], None
        for message in held:
            self._printer.write(message)

    def _lose(self, error: OSError) -> None:
        if self.lost is None:
            self.lost = error
            if self._supervisor is not None:
                self._supervisor.end()
