"""A new tip told to 500 miners: the server on one core, its miners and the node on the other.

make bench, or .venv/bin/python -m bench.bench_stratum
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.common import SHORT, Figure, below, folder, plain, report
from bench.process import processor_of
from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.store.engine import Store
from moneyer.node.system.locks import hold
from moneyer.node.wallet.keystore import ensure_wallet
from tests.kit.chains import GENESIS_TIME, ChainBuilder, easy_coin, key
from tests.kit.system.ports import free_port

CONNECTIONS = 500
ROUNDS = 5 if SHORT else 20


@contextmanager
def server(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "moneyer", "stratum", "--data", str(data), "--port", str(port)]
    # One address may hold a quarter of the places, and all of these miners have one.
    command += ["--max-connections", str(4 * CONNECTIONS)]
    process = subprocess.Popen([*command, "--log-level", "error"])
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        if hasattr(os, "sched_setaffinity"):
            core = min(os.sched_getaffinity(0))
            for task in psutil.Process(process.pid).threads():
                os.sched_setaffinity(task.id, {core})
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


class Miners:
    """Many connections that take what they are told, and mine nothing."""

    def __init__(self, port: int, users: list[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest: dict[socket.socket, bytes] = {}
        for number, user in enumerate(users):
            link = socket.create_connection(("127.0.0.1", port), 30)
            for method, params in (("mining.subscribe", []), ("mining.authorize", [user, "x"])):
                link.sendall(json.dumps({"id": number, "method": method, "params": params}).encode() + b"\n")
            link.setblocking(False)
            self._selector.register(link, selectors.EVENT_READ)
            self._rest[link] = b""

    def wait_told(self, prev_hash: str) -> list[float]:
        """When each was told of a job on that parent (as a notify has it), seconds of the monotonic clock."""
        waiting, told = set(self._rest), []
        until = time.monotonic() + 60
        while waiting and time.monotonic() < until:
            for chosen, _ in self._selector.select(1):
                link = chosen.fileobj
                assert isinstance(link, socket.socket)
                self._rest[link] += link.recv(65_536)
                *lines, self._rest[link] = self._rest[link].split(b"\n")
                if link in waiting and any(prev_hash.encode() in line for line in lines):
                    waiting.remove(link)
                    told.append(time.monotonic())
        if waiting:
            raise AssertionError(f"{len(waiting)} miners were told nothing")
        return told

    def close(self) -> None:
        for link in self._rest:
            link.close()


def swapped(block_hash: bytes) -> str:
    return b"".join(block_hash[at : at + 4][::-1] for at in range(0, 32, 4)).hex()


def run(coin: Coin, users: list[str]) -> tuple[list[float], list[float], float]:
    """(milliseconds from the commit to the last miner, and from the first miner to the last), a round each; and
    microseconds of the server's processor for each miner that is told."""
    with folder() as data:
        (data / "coin.toml").write_text(coin_to_toml(coin))
        ensure_wallet(data, development=True)
        config = Config(data=data)
        store = Store.open(config, coin)
        locks = hold(config.node_lock), hold(config.checked_lock)
        chain, builder, port = Chain(store), ChainBuilder(coin), free_port()
        all_told, spread = [], []
        try:
            with server(data, port) as process:
                miners = Miners(port, users)
                miners.wait_told(swapped(codec.block_hash(coin.genesis.header)))
                before = processor_of(process.pid)
                for _ in range(ROUNDS):
                    block = builder.add()
                    chain.accept_block(codec.encode_block(block), GENESIS_TIME + 10**9)
                    committed = time.monotonic()
                    told = miners.wait_told(swapped(codec.block_hash(block.header)))
                    all_told.append((max(told) - committed) * 1e3)
                    spread.append((max(told) - min(told)) * 1e3)
                    time.sleep(0.1)
                spent = processor_of(process.pid) - before
                miners.close()
        finally:
            for lock in locks:
                lock.release()
            store.close()
    return all_told, spread, spent / (ROUNDS * CONNECTIONS) * 1e6


def main() -> None:
    coin = easy_coin(pow_limit=0x207FFFFF)
    figures: list[Figure] = []
    for what, users in (
        ("one address", ["miner.rig"] * CONNECTIONS),
        (f"{CONNECTIONS} addresses", [key(f"user {number}").address(coin) for number in range(CONNECTIONS)]),
    ):
        all_told, spread, spent = run(coin, users)
        figures.append(below(f"a new tip told to {CONNECTIONS} miners of {what}", all_told, "ms", 200))
        figures.append(plain("processor of the server for each of them", [spent], "µs"))
        figures.append(plain("of this, from the first to the last", spread, "ms"))
    report("stratum", figures)


if __name__ == "__main__":
    main()
