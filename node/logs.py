"""The log of a node's processes: on stderr, one line an event, for people or (`--log-json`) for programs.

Loggers are named `moneyer.AREA`. What others' libraries say is worth a line from `warning` up. Nothing secret is
logged: no token, key, phrase or passphrase, no header and no body of a request.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Final, TextIO

from node.text import shown, shown_json

LEVELS: Final = ("debug", "info", "warning", "error")
ROOT: Final = "moneyer"


def configure(level: str = "info", as_json: bool = False, stream: TextIO | None = None) -> None:
    """Set this process's log up; called once, early, in each. `level`: one of LEVELS."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine() if as_json else PlainLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a reader that has gone (a closed pipe) is no event of the node's


class PlainLine(logging.Formatter):
    """`2026-01-31T12:00:00Z p2p: peer … joined`; the level stands there too, where it is not info."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        line = f"{_time(record, 'seconds')} {_area(record)}: {level}{record.getMessage()}"
        if record.exc_info:
            line += f" · {_trace(record)}"
        return shown(line)


class JsonLine(logging.Formatter):
    """`{"time", "level", "area", "message"[, "trace"]}`"""

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
    """A URL that somebody typed, as a log may hold it: without credentials, not too long."""
    return re.sub(r"//.*@", "//…@", url)[:200]


def _time(record: logging.LogRecord, precision: str) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _area(record: logging.LogRecord) -> str:
    return record.name.removeprefix(f"{ROOT}.")


def _trace(record: logging.LogRecord) -> str:
    assert record.exc_info  # noqa: S101 - the callers look
    return "".join(traceback.format_exception(*record.exc_info)).strip()
