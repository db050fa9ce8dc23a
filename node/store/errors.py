"""What can go wrong between a node and its database, and the one place where a database's errors become sentences.

The database's own words stand in the log alone: a person is told the cause and what to do.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any, Final

from ..core.errors import MoneyerError
from ..system.advice import typed
from ..system.files import dead_link

log = logging.getLogger("moneyer.store")


class StoreRefused(MoneyerError):
    """The data folder cannot be used as it is; the message says what to do. Nothing was changed."""

    code = "store_refused"


class StoreUnavailable(MoneyerError):
    """Not now: the request failed, nothing was half written. HTTP 503."""

    code = "unavailable"


class StoreBusy(StoreUnavailable):
    code = "busy"


class StoreConflict(StoreUnavailable):
    """Two transactions were in each other's way; this one was undone, and may be tried again at once."""

    code = "busy"


class StoreLost(StoreUnavailable):
    """The database's server does not answer, or has ended the connection."""

    code = "database_lost"


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
    CONFLICT = "conflict"
    """Another transaction was in the way: it passes, and at once."""
    LOST = "lost"
    """The server does not answer, or ended the connection."""
    DISK = "disk"
    """The disk, the rights or the machine: the file itself may well be sound."""
    DAMAGE = "damage"
    """The file is not what it was."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the database refused. `words`: what is so, to stand behind a colon or in brackets; `see`: what to look at."""

    fault: Fault
    words: str
    see: str = "see that the disk has room and can be written"


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
_LOST: Final = Cause(Fault.LOST, "its server does not answer, or ends the connection")
_CONFLICT: Final = Cause(Fault.CONFLICT, "another transaction is in the way")
_SETTINGS: Final = "see the server's settings, and the database's URL"
_READ_ONLY: Final = Cause(Fault.DISK, "it can be read only: it is a replica, or was made so", _SETTINGS)
STATES: Final = {
    "08": _LOST,
    "57P": _LOST,
    "28": Cause(Fault.DISK, "its server does not take this user, or this password", _SETTINGS),
    "3D": Cause(Fault.DISK, "its server has no database of that name", _SETTINGS),
    "3F": Cause(Fault.DISK, "this user has no schema there to keep tables in", "see the user's search_path"),
    "42501": Cause(
        Fault.DISK,
        "this user may not use it",
        "let the user own the database and its tables (ALTER DATABASE … OWNER TO …)",
    ),
    "0A000": _READ_ONLY,
    "25006": _READ_ONLY,
    "40": _CONFLICT,
    "55P03": _BUSY,
    "57014": _BUSY,
    "53300": Cause(Fault.BUSY, "its server takes no more connections"),
    "25P03": _BUSY,
    "53100": Cause(Fault.DISK, "the server's disk is full"),
    "53": Cause(Fault.DISK, "the server is short of memory or disk"),
    "58": Cause(Fault.DISK, "the server's disk failed to read or write"),
    "23": CAUSES[19],
    "XX": Cause(Fault.DAMAGE, "its pages contradict each other"),
}
"""By the beginning of PostgreSQL's SQLSTATE, the longest that fits
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
_OF_RIGHTS: Final = (STATES["3F"], STATES["42501"])
"""What the URL is not to blame for."""
_WORDS: Final = (
    ("too many (clients|connections)|connection slots are reserved", "53300"),
    ("authentication failed|no password supplied|pg_hba.conf|role .* does not exist|not permitted to log in", "28"),
    ("database .* does not exist", "3D"),
    ("permission denied", "42501"),
)
"""What a server says that lets nobody in, in English; in another language it is taken for one that does not answer."""
_GUESSES: Final = re.compile(r"\s*(This probably means .*?request\.|Is the server running .*?\?)", re.DOTALL)
_UNKNOWN: Final = Cause(Fault.UNKNOWN, "what is in it cannot be read")
_NOTE_SECONDS: Final = 60.0
_noted: dict[Fault, float] = {}
"""When a fault was written to the log last: while a disk is full each request meets it."""


def cause_of(error: BaseException) -> Cause:
    """The cause behind an error of the driver, or behind SQLAlchemy's that has one in it; noted in the log."""
    original = getattr(error, "orig", None) or error
    if hasattr(original, "sqlstate"):  # psycopg's
        return _server_cause(original)
    code = getattr(original, "sqlite_errorcode", _CODES.get(str(original), 0))
    cause = CAUSES.get(code & 0xFF, _UNKNOWN)
    if cause.fault is not Fault.BUSY:
        note(cause.fault, f"{original} ({getattr(original, 'sqlite_errorname', type(original).__name__)})")
    return cause


def _server_cause(original: Any) -> Cause:
    state: str = original.sqlstate or _state_of_words(original)
    begins = (state[:length] for length in (5, 3, 2))
    cause = next((STATES[each] for each in begins if each in STATES), _UNKNOWN)
    if cause.fault not in (Fault.BUSY, Fault.CONFLICT):
        note(cause.fault, f"{words(original)} ({state or type(original).__name__})")
    return cause


def words(error: BaseException) -> str:
    """A server's or libpq's error in one line, without what libpq guesses and asks behind it."""
    return " ".join(_GUESSES.sub("", str(error)).split())[:300] or type(error).__name__


def _state_of_words(original: Any) -> str:
    """libpq tells no state where there was no answer, and none of a server that lets nobody in."""
    if not any(kind.__name__ == "OperationalError" for kind in type(original).__mro__):
        return ""
    words = str(original)
    return next((state for pattern, state in _WORDS if re.search(pattern, words)), "08")


def note(fault: Fault, words: str) -> None:
    """Write the database's own words to the log, once a minute for each kind of fault."""
    now = monotonic()
    if now - _noted.get(fault, -_NOTE_SECONDS) >= _NOTE_SECONDS:
        _noted[fault] = now
        log.info("the database says: %s", words[:500])


def unavailable(error: BaseException) -> StoreUnavailable:
    """Why a running node's database did not do what was asked."""
    cause = cause_of(error)
    if cause is _BUSY:
        return StoreBusy("the database is busy with another process's work: try again")
    if cause.fault is Fault.BUSY:
        return StoreBusy(f"the database is busy ({cause.words}): try again")
    if cause.fault is Fault.CONFLICT:
        return StoreConflict("the database had another transaction in the way: try again")
    if cause.fault is Fault.LOST:
        return StoreLost(f"the database cannot be reached now ({cause.words}): try again")
    if cause.fault is Fault.DAMAGE:
        return StoreFailed(f"the database is damaged ({cause.words}): `moneyer verify` tells more")
    if cause.fault is Fault.DISK:
        return StoreFailed(f"the database cannot be used now ({cause.words}): {cause.see}")
    return StoreFailed("the database did not do what was asked: the node's log says more, and so does `moneyer verify`")


def refused(database: Path | str, error: BaseException) -> StoreRefused:
    """Why a database cannot be opened, from what its driver or SQLAlchemy raised. `database`: a file, or a server's
    database as it is shown."""
    cause = cause_of(error)
    if isinstance(database, str) and cause.fault in (Fault.LOST, Fault.DISK, Fault.BUSY, Fault.CONFLICT):
        return not_taken(f"{database} cannot be opened", cause)
    if cause.fault is Fault.BUSY:
        return StoreRefused(f"{database} is in use by another process for long: try again when it is done")
    if cause.fault is Fault.DISK:
        return StoreRefused(
            f"{database} cannot be opened ({cause.words}): see that its folder can be written and has room"
        )
    return damaged(database, cause.words)


def not_taken(what: str, cause: Cause) -> StoreRefused:
    """Of a server, whose words say little about what is wrong with a URL. `what`: a clause, with the database in it."""
    see = "see that the server runs and has room, and that its address, database, user and password are right"
    return StoreRefused(f"{what} ({cause.words}): {cause.see if cause in _OF_RIGHTS else see}")


def damaged(database: Path | str, how: str) -> StoreRefused:
    """A database that is damaged, or a file that is none. `how`: a clause of ours."""
    if isinstance(database, str):
        return StoreRefused(
            f"{database} is damaged, or no database of Moneyer's ({how}). It was left as it is: put a backup in its "
            "place, or name another database with --database"
        )
    return StoreRefused(
        f"{database} is damaged or no database ({how}). It was left as it is: {ways_out(database.parent)}; "
        "`moneyer verify` tells more"
    )


def check_links(path: Path, instead: str) -> None:
    """Raises StoreRefused where a symbolic link in `path` leads nowhere, so that nothing can be made there.

    `instead`: what can be done other than to remove the link.
    """
    link = dead_link(path)
    if link is not None:
        raise StoreRefused(
            f"{link} is a symbolic link to {link.readlink()}, which leads nowhere: remove the link, or {instead}"
        )


def ways_out(data: Path) -> str:
    """What can be done about a data folder whose database is lost or damaged: two commands, as they are typed."""
    return (
        f"`moneyer db restore FILE --data {typed(data)}` puts a backup in its place; "
        f"`moneyer db anew --data {typed(data)}` moves it away and begins anew (the chain then comes from peers, the "
        "wallet stays)"
    )
