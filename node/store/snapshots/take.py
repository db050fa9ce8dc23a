"""Takes a snapshot: the databases of several nodes at one instant, while they run. The standard library alone."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ...core.codec import show
from ...system.files import sync_file, sync_folder
from ..backends.sqlite.driver import DatabaseError, OperationalError, driver, one_at_a_time
from ..errors import Fault, StoreRefused, cause_of

HOLD_SECONDS: Final = 5.0
"""How long the right to write is waited for, of all databases together. A node's own writes wait for ten."""
_LOOK_SECONDS: Final = 0.002
_PAGES: Final = 1_000
"""Copied in one go: some 4 MB."""
_TIP: Final = "SELECT height, block_hash FROM blocks WHERE main_chain ORDER BY height DESC LIMIT 1"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def check_name(name: str) -> None:
    """Raises StoreRefused for what is no name of a snapshot."""
    if not _NAME.fullmatch(name):
        raise StoreRefused(
            "a snapshot's name has 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or "
            "a digit"
        )


def find(folder: Path, node: str) -> Path | None:
    """The copy of a node in a snapshot; None where there is none. `folder`: as of `take`."""
    for each in (folder, _old(folder)):
        if (path := each / f"{node}.db").is_file():
            return path
    return None


def take(
    databases: Mapping[str, Path],
    folder: Path,
    beside: Mapping[str, bytes] = MappingProxyType({}),
    *,
    hold_seconds: float = HOLD_SECONDS,
) -> None:
    """Copy databases as of one instant to `folder`/NODE.db each, in place of a snapshot of that name.

    `databases`: by the nodes' names, which are names of files; `beside`: further files of that folder, by name;
    `hold_seconds`: see HOLD_SECONDS. Raises StoreRefused with a sentence, and then a snapshot that was there is as it
    was; so it is after an interruption.
    """
    check_name(folder.name)
    making = folder.with_name(f".{folder.name}.tmp")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with one_at_a_time(folder.parent):
            _mend(folder)
            for left in folder.parent.glob(".*.tmp"):  # of those that were killed
                shutil.rmtree(left, ignore_errors=True)
            making.mkdir(mode=0o700)
            try:
                for name, content in beside.items():
                    (making / name).write_bytes(content)
                _copy_all(databases, making, hold_seconds)
                sync_folder(making)
                _put(making, folder)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise StoreRefused(f"the snapshot {folder} cannot be written: {error.strerror}") from None


def tip_in(copy: Path) -> tuple[int, str]:
    """Height and hash, as it is shown, of the main chain's tip in a node's copy. Raises StoreRefused."""
    try:
        with closing(driver.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(_TIP).fetchone()
    except DatabaseError as error:
        raise StoreRefused(f"{copy} cannot be read: {cause_of(error).words}") from None
    if row is None:
        raise StoreRefused(f"{copy} has no chain in it: take the snapshot anew")
    return row[0], show(row[1])


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _mend(folder: Path) -> None:
    """Finish what a killed process left between its two renames."""
    old = _old(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _put(making: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(_old(folder))
    try:
        making.rename(folder)
        sync_folder(folder.parent)
    finally:
        _mend(folder)


def _copy_all(databases: Mapping[str, Path], making: Path, hold_seconds: float) -> None:
    with ExitStack() as stack:
        for name, source in _freeze(stack, databases, hold_seconds).items():
            _copy(source, databases[name], making / f"{name}.db")
    for each in making.iterdir():  # once all are written: the first ones are mostly on the disk by then
        sync_file(each)


def _freeze(stack: ExitStack, databases: Mapping[str, Path], hold_seconds: float) -> dict[str, Any]:
    """Readers of all databases, each in a transaction as of one instant. Raises StoreRefused."""
    ends_at = time.monotonic() + hold_seconds
    readers: dict[str, Any] = {}
    with ExitStack() as writers:
        # In one order, whoever does it: two that each hold what the other wants would wait for each other.
        names = sorted(databases, key=lambda name: str(databases[name].absolute()))
        for name in names:
            _hold(writers.enter_context(closing(_connect(databases[name]))), databases[name], ends_at)
        for name in names:
            readers[name] = stack.enter_context(closing(_connect(databases[name])))
            readers[name].execute("BEGIN")
            readers[name].execute("SELECT count(*) FROM sqlite_master").fetchone()  # only this begins to read
    return readers


def _connect(database: Path) -> Any:
    uri = f"{database.absolute().as_uri()}?mode=rw"
    try:
        return driver.connect(uri, uri=True, isolation_level=None, timeout=0)
    except DatabaseError as error:
        raise _refused(database, error) from None


def _hold(connection: Any, database: Path, ends_at: float) -> None:
    """Take the right to write; its close gives it back. Raises StoreRefused."""
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            # SQLite's own waiting looks every 0.1 s in the end: beside a busy node it might never find a gap.
            if cause_of(error).fault is not Fault.BUSY or time.monotonic() > ends_at:
                raise _refused(database, error) from None
        except DatabaseError as error:
            raise _refused(database, error) from None
        time.sleep(_LOOK_SECONDS)


def _copy(source: Any, database: Path, target: Path) -> None:
    """Copy what `source` reads to a new file. Raises StoreRefused."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        with closing(driver.connect(str(target), isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous=OFF")  # the whole file is waited for, once
            # In parts, with Python in between: there Ctrl-C ends it.
            source.backup(copy, pages=_PAGES, progress=lambda _status, _remaining, _total: None)
            copy.execute("PRAGMA journal_mode=DELETE")  # it has no log, and none is made by whoever reads it
    except DatabaseError as error:
        cause = cause_of(error)
        raise StoreRefused(f"the snapshot's copy of {database} cannot be written: {cause.words}") from None


def _refused(database: Path, error: BaseException) -> StoreRefused:
    return StoreRefused(f"{database} cannot be copied now: {cause_of(error).words}; try again when that is over")
