"""What can go wrong between a node and its database."""

from __future__ import annotations

import shlex
from pathlib import Path

from node.core.errors import MoneyerError


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


def is_busy(words: str) -> bool:
    """Whether SQLite's words mean that another process is at work."""
    return "locked" in words or "busy" in words


def is_of_the_disk(words: str) -> bool:
    """Whether SQLite's words say nothing about the file, but that the disk is full, read-only or failing."""
    return "unable to open" in words or "readonly" in words or "disk" in words.removeprefix("database disk image")


def refused(database: Path, words: str) -> StoreRefused:
    """Why a file cannot be opened, by SQLite's own words."""
    if is_busy(words):
        return StoreRefused(f"{database} is in use by another process for long ({words}): try again when it is done")
    if is_of_the_disk(words):
        return StoreRefused(f"{database} cannot be opened ({words}): see that its folder can be written and has room")
    return StoreRefused(
        f"{database} is damaged or no database ({words}). It was left as it is: {ways_out(database.parent)}; "
        "`moneyer verify` tells more"
    )


def ways_out(data: Path) -> str:
    """What can be done about a data folder whose database is lost or damaged: two commands, as they are typed."""
    folder = shlex.quote(str(data))
    return (
        f"`moneyer db restore FILE --data {folder}` puts a backup in its place; `moneyer db anew --data {folder}` "
        "moves it away and begins anew (the chain then comes from peers, the wallet stays)"
    )
