"""Writes files whole or not at all, whenever a process is killed or the power fails."""

from __future__ import annotations

import errno
import glob
import os
import tempfile
from pathlib import Path

# Some filesystems (exFAT, some network shares) know no hard links.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_whole(path: Path, content: bytes, *, mode: int, replace: bool = True, durable: bool = True) -> None:
    """Put `content` at `path`, with `mode` whatever the umask; after a crash there is the old file or the new one.

    With `replace` false an existing file stays as it is: FileExistsError. Without `durable` the disk is not waited for,
    and a loss of power may take the file. Where `path` is a symbolic link it stays one, and its target is written.
    Raises OSError, also for a link that leads in a circle.
    """
    path = target(path)
    try:
        _write_whole(path, content, mode, replace, durable)
    except OSError as error:
        error.filename = str(path)  # a failed write has no name, and the temporary one is of no use
        raise


def _write_whole(path: Path, content: bytes, mode: int, replace: bool, durable: bool) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(handle)
        if replace:
            temporary.replace(path)
        else:
            put_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def target(path: Path) -> Path:
    """The file itself, where `path` may be a symbolic link: a new file in the link's place would not reach it.

    Raises OSError for a link that leads in a circle.
    """
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except RuntimeError:  # Python before 3.13 raises another error for it
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


def dead_link(path: Path) -> Path | None:
    """The symbolic link in a path, itself or a folder of it, that leads nowhere or in a circle; None for none."""
    return next((each for each in (path, *path.parents) if each.is_symlink() and not each.exists()), None)


def sweep(path: Path) -> None:
    """Remove what killed writers of `path` left, which may hold secrets. The caller's lock keeps out living writers."""
    path = target(path)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp*"):
        leftover.unlink(missing_ok=True)


def put_new(temporary: Path, path: Path) -> None:
    """Give a file of the same folder the name `path`, unless there is one. Raises FileExistsError, OSError.

    Where there are no hard links, two at the same instant are kept apart by the caller's lock alone.
    """
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Write new names in `folder` to the disk, so that a loss of power does not take them. Raises OSError."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Write what a closed file holds to the disk. Raises OSError."""
    _sync(file, 0)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
