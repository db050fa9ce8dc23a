"""What can go wrong between a node and its database, and the one place where SQLite's errors become sentences.

SQLite's own words stand in the log alone: a person is told the cause and what to do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Final

from ..core.errors import MoneyerError
from ..system.advice import typed

log = logging.getLogger("moneyer.store")


class StoreRefused(MoneyerError):
    """The data folder cannot be used as it is; the message says what to do. Nothing was changed."""

    code = "store_refused"


class StoreUnavailable(MoneyerError):
    """Not now: the request failed, nothing was half written. HTTP 503."""

    code = "unavailable"


class StoreBusy(StoreUnavailable):
    code = "busy"


class StoreFailed(StoreUnavailable):
    """The disk is full, read-only or failing."""

    code = "storage_failed"


class StoreDamaged(StoreFailed, LookupError):
    """A row that must be there is not, or is not what it was."""

    code = "storage_damaged"


class Fault(Enum):
    """Where the fault lies, and so what can be done."""

    BUSY = "busy"
    """Another process is at work in the file: it passes."""
    DISK = "disk"
    """The disk, the rights or the machine: the file itself may well be sound."""
    DAMAGE = "damage"
    """The file is not what it was."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why SQLite refused. `words`: what is so, to stand behind a colon or in brackets."""

    fault: Fault
    words: str


_BUSY: Final = Cause(Fault.BUSY, "another process is at work in it")
_FORBIDDEN: Final = Cause(Fault.DISK, "this user may not use it")
CAUSES: Final = {
    3: _FORBIDDEN,
    5: _BUSY,
    6: _BUSY,
    7: Cause(Fault.DISK, "the machine is short of memory"),
    8: Cause(Fault.DISK, "it can be read only"),
    10: Cause(Fault.DISK, "the disk failed to read or write"),
    11: Cause(Fault.DAMAGE, "its pages contradict each other"),
    13: Cause(Fault.DISK, "the disk is full"),
    14: Cause(Fault.DISK, "the file, or one beside it, cannot be opened"),
    19: Cause(Fault.DAMAGE, "its rows contradict each other"),
    22: Cause(Fault.DISK, "the disk takes no file so large"),
    23: _FORBIDDEN,
    26: Cause(Fault.DAMAGE, "what is in it is no database"),
}
"""By SQLite's primary result code (https://www.sqlite.org/rescode.html). A constraint (19) fails in no sound file."""
_CODES: Final = {
    "access permission denied": 3,
    "database is locked": 5,
    "database table is locked": 6,
    "out of memory": 7,
    "attempt to write a readonly database": 8,
    "disk I/O error": 10,
    "database disk image is malformed": 11,
    "database or disk is full": 13,
    "unable to open database file": 14,
    "file is not a database": 26,
}
"""The codes of SQLite's texts (`sqlite3_errstr`): a backup's errors come without a code."""
_UNKNOWN: Final = Cause(Fault.UNKNOWN, "what is in it cannot be read")
_NOTE_SECONDS: Final = 60.0
_noted: dict[Fault, float] = {}
"""When a fault was written to the log last: while a disk is full each request meets it."""


def cause_of(error: BaseException) -> Cause:
    """The cause behind an error of the driver, or behind SQLAlchemy's that has one in it; noted in the log."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorcode", _CODES.get(str(original), 0))
    cause = CAUSES.get(code & 0xFF, _UNKNOWN)
    if cause.fault is not Fault.BUSY:
        note(cause.fault, f"{original} ({getattr(original, 'sqlite_errorname', type(original).__name__)})")
    return cause


def note(fault: Fault, words: str) -> None:
    """Write SQLite's own words to the log, once a minute for each kind of fault."""
    now = monotonic()
    if now - _noted.get(fault, -_NOTE_SECONDS) >= _NOTE_SECONDS:
        _noted[fault] = now
        log.info("SQLite says: %s", words[:500])


def unavailable(error: BaseException) -> StoreUnavailable:
    """Why a running node's database did not do what was asked."""
    cause = cause_of(error)
    if cause.fault is Fault.BUSY:
        return StoreBusy("the database is busy with another process's work: try again")
    if cause.fault is Fault.DAMAGE:
        return StoreFailed(f"the database is damaged ({cause.words}): `moneyer verify` tells more")
    if cause.fault is Fault.DISK:
        return StoreFailed(
            f"the database cannot be used now ({cause.words}): see that the disk has room and can be written"
        )
    return StoreFailed("the database did not do what was asked: the node's log says more, and so does `moneyer verify`")


def refused(database: Path, error: BaseException) -> StoreRefused:
    """Why a file cannot be opened, from what SQLite or SQLAlchemy raised."""
    cause = cause_of(error)
    if cause.fault is Fault.BUSY:
        return StoreRefused(f"{database} is in use by another process for long: try again when it is done")
    if cause.fault is Fault.DISK:
        return StoreRefused(
            f"{database} cannot be opened ({cause.words}): see that its folder can be written and has room"
        )
    return damaged(database, cause.words)


def damaged(database: Path, how: str) -> StoreRefused:
    """A file that is damaged or no database. `how`: a clause of ours."""
    return StoreRefused(
        f"{database} is damaged or no database ({how}). It was left as it is: {ways_out(database.parent)}; "
        "`moneyer verify` tells more"
    )


def ways_out(data: Path) -> str:
    """What can be done about a data folder whose database is lost or damaged: two commands, as they are typed."""
    return (
        f"`moneyer db restore FILE --data {typed(data)}` puts a backup in its place; "
        f"`moneyer db anew --data {typed(data)}` moves it away and begins anew (the chain then comes from peers, the "
        "wallet stays)"
    )
