"""This process's own TCP connections, as the kernel knows them: the server hands out none of its sockets.

Only Linux shows them; elsewhere the list is empty, and no connection is cut off.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import F_DUPFD_CLOEXEC, fcntl, ioctl
from ipaddress import ip_address
from pathlib import Path
from struct import unpack_from
from termios import TIOCOUTQ
from typing import Final

from ...system.network import shut, unmapped

_DESCRIPTORS: Final = Path("/proc/self/fd")
_LAST_DATA_SENT: Final = 44
"""Where `tcpi_last_data_sent` (u32, milliseconds) stands in `struct tcp_info` of linux/tcp.h."""
_BYTES_ACKED: Final = 120
"""And `tcpi_bytes_acked` (u64)."""
_BYTES_RECEIVED: Final = 128
"""And `tcpi_bytes_received` (u64)."""


def connections_of(port: int, remote: str | None = None) -> Generator[socket.socket]:
    """Connections that came in on `port`, of `remote` (spelled by `plain_address`) or all. The caller closes each.

    A file is never duplicated, nor closed: with any descriptor of a file that a process closes, it loses all the POSIX
    locks that it has on the file, and SQLite's are such (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    seen: set[int] = set()
    for descriptor in _descriptors():
        with suppress(OSError):
            if not _is_socket(descriptor):
                continue
            # A duplicate: the number itself may be another connection's a moment later.
            duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
            if not _is_socket(duplicate):
                continue  # it already was, and a file's: one number is lost, and no lock
            connection = socket.socket(fileno=duplicate)
            number = _number_of(connection)
            # Where a number was closed meanwhile (the folder's own), a duplicate may have it, and be met again.
            if number not in seen and _is_from(connection, port, remote):
                seen.add(number)
                yield connection
            else:
                connection.close()


def _number_of(connection: socket.socket) -> int:
    """One that no other open connection has."""
    return os.fstat(connection.fileno()).st_ino


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def count_files() -> int:
    """Files and connections that this process has open; 0 where that cannot be seen."""
    return len(_descriptors()) if can_see() else 0


def _descriptors() -> list[int]:
    try:
        return [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    except OSError:
        return []


def _is_from(connection: socket.socket, port: int, remote: str | None) -> bool:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        if connection.getsockname()[1] != port:
            return False
        peer = connection.getpeername()[0]
    except OSError:  # it listens, or is closed
        return False
    return remote is None or plain_address(peer) == remote


def plain_address(address: str) -> str:
    """One spelling for an IP address: no zone, and IPv4 as IPv4."""
    try:
        plain = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(unmapped(plain))


def is_at_rest(connection: socket.socket, seconds: float) -> bool:
    """Whether nothing has been sent on it for `seconds` (if never, since it was made)."""
    info = _info(connection)
    return len(info) >= _LAST_DATA_SENT + 4 and unpack_from("=I", info, _LAST_DATA_SENT)[0] >= seconds * 1000


def taken(connection: socket.socket) -> tuple[int, int]:
    """A number that no other open connection has, and how many bytes the other side has taken since it was made."""
    return _counted(connection, _BYTES_ACKED)


def received(connection: socket.socket) -> tuple[int, int]:
    """The same number, and how many bytes have come since it was made."""
    return _counted(connection, _BYTES_RECEIVED)


def _counted(connection: socket.socket, offset: int) -> tuple[int, int]:
    info = _info(connection)
    count = unpack_from("=Q", info, offset)[0] if len(info) >= offset + 8 else 0
    return _number_of(connection), count


def can_see() -> bool:
    """Whether this system shows a process its own connections."""
    return _DESCRIPTORS.is_dir() and sys.platform == "linux"


def _info(connection: socket.socket) -> bytes:
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (AttributeError, OSError):
        return b""


def has_unsent(connection: socket.socket) -> bool:
    """Whether the kernel holds bytes that the other side has not taken."""
    held = bytearray(4)
    try:
        ioctl(connection, TIOCOUTQ, held)
    except OSError:
        return False
    return int.from_bytes(held, sys.byteorder) > 0


def shut_all(connections: Iterable[socket.socket], how: int) -> int:
    """Shuts each down (`how`: as for `socket.shutdown`); how many of them were still open."""
    return sum(shut(connection, how) for connection in connections)


@contextmanager
def closing_all(connections: Iterable[socket.socket]) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connection) for connection in connections]
