"""The log of a node's processes: on stderr, one line an event, for people or (`--log-json`) for programs.

Strangers can cause some lines again and again: of each kind a minute has at most `MOST_LINES`, then one line that says
how many more there were.

Loggers are named `moneyer.AREA`. Of other libraries, warnings and errors are logged. Nothing secret is logged: no
token, key, phrase or passphrase, no header and no body of a request.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final, TextIO

from .text import shown, shown_json

LEVELS: Final = ("debug", "info", "warning", "error")
ROOT: Final = "moneyer"
MOST_LINES: Final = 100
"""Lines of one kind (logged at one place of the code) in a minute; `debug` is not limited."""
_MINUTE: Final = 60.0


def configure(level: str = "info", as_json: bool = False, stream: TextIO | None = None) -> None:
    """Set up the log of this process; called once in each, early. `level`: one of LEVELS."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine() if as_json else PlainLine())
    handler.addFilter(Floods(handler))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a closed pipe at the other end is no error of the node


@dataclass(slots=True)
class _Kind:
    """Lines of one kind in the minute that began at `since`."""

    since: float
    said: int = 0
    held: int = 0
    """Lines that were held back."""
    last: logging.LogRecord | None = None
    """The last of these."""


class Floods(logging.Filter):
    """Lets `most` lines of a kind through in a minute, and logs how many others there were when it is over."""

    def __init__(
        self, handler: logging.Handler, most: int = MOST_LINES, clock: Callable[[], float] = monotonic
    ) -> None:
        """`handler`: writes the line about the others. `clock`: seconds that only go forward."""
        super().__init__()
        self._handler = handler
        self._most = most
        self._clock = clock
        self._kinds: dict[tuple[str, int], _Kind] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO:
            return True
        place = record.pathname, record.lineno
        now = self._clock()
        with self._lock:
            kind = self._kinds.get(place)
            before = kind if kind is not None and now - kind.since >= _MINUTE else None
            if kind is None or before is not None:
                kind = self._kinds[place] = _Kind(now)
            is_let_through = kind.said < self._most
            kind.said += is_let_through
            if not is_let_through:
                kind.held += 1
                kind.last = record
            is_first_held = kind.held == 1
        if before is not None:
            self._tell(before)
        if is_first_held and not is_let_through:
            self._look_later(kind)
        return is_let_through

    def _look_later(self, kind: _Kind) -> None:
        """Log what was held back when the minute is over, also where no other line of the kind comes."""
        timer = threading.Timer(max(0.0, kind.since + _MINUTE - self._clock()), self._tell, (kind,))
        timer.daemon = True
        with suppress(RuntimeError):  # no thread can be started: the next line of the kind does it
            timer.start()

    def _tell(self, kind: _Kind) -> None:
        with self._lock:
            held, last = kind.held, kind.last
            kind.held, kind.last = 0, None
        if held and last is not None:
            told = copy.copy(last)
            told.msg = "%d more like it within a minute, the last: %s"
            told.args, told.exc_info = (held, last.getMessage()), None
            self._handler.acquire()
            try:
                self._handler.emit(told)
            finally:
                self._handler.release()


class PlainLine(logging.Formatter):
    """`2026-01-31T12:00:00Z p2p: peer … joined`, with the level where that is not info."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        line = f"{_time(record, 'seconds')} {_area(record)}: {level}{record.getMessage()}"
        if record.exc_info:
            line += f" · {_trace(record)}"
        return shown(line)


class JsonLine(logging.Formatter):
    """A line of JSON: `{"time", "level", "area", "message"[, "trace"]}`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record, "milliseconds"),
            "level": record.levelname.lower(),
            "area": _area(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["trace"] = _trace(record)
        return shown_json(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace").decode())


def plain_url(url: str) -> str:
    """A URL that a person typed, as a log may hold it: without credentials, not too long."""
    return re.sub(r"//.*@", "//…@", url)[:200]


def _time(record: logging.LogRecord, precision: str) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _area(record: logging.LogRecord) -> str:
    return record.name.removeprefix(f"{ROOT}.")


def _trace(record: logging.LogRecord) -> str:
    assert record.exc_info  # noqa: S101 - the callers look
    return "".join(traceback.format_exception(*record.exc_info)).strip()
