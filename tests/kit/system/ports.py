"""Free ports: not used by another test process, and not among those that the system gives to clients.

The system gives a port that was let go to the next client or server that asks. So each process claims a block of ports
below the system's own, by holding the first, and hands out the rest.
"""

from __future__ import annotations

import random
import socket
import threading
from functools import cache

from moneyer.node.devnet.addresses import taken

_FIRST, _END, _BLOCK = 12_000, 32_000, 1_000


class _Block:
    def __init__(self, guard: socket.socket) -> None:
        self._guard = guard  # bound for as long as this process lives
        self._ports = range(guard.getsockname()[1] + 1, guard.getsockname()[1] + _BLOCK)
        self._used = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> int:
        """The first of `count` ports in a row that are free. Those given out longest ago come again."""
        with self._lock:
            for _ in self._ports:
                if self._used + count > len(self._ports):
                    self._used = 0
                first = self._ports[self._used]
                self._used += count
                if not taken(range(first, first + count)):
                    return first
        raise RuntimeError(f"no {count} ports in a row are free in {self._ports}")


@cache
def _block() -> _Block:
    firsts = list(range(_FIRST, _END, _BLOCK))
    random.shuffle(firsts)
    for first in firsts:
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
        except OSError:
            guard.close()
        else:
            return _Block(guard)
    raise RuntimeError(f"every block of ports from {_FIRST} to {_END} is claimed")


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row."""
    return _block().take(count)
