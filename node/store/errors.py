"""What can go wrong between a node and its database."""

from __future__ import annotations

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
        f"{database} is damaged or no database ({words}). It was left as it is: move it away and start again (the "
        "chain comes back from peers), or put a backup in its place; `moneyer verify` tells more"
    )
