"""A coin of one's own that runs: a real node with a wallet in its data folder, and a worker where blocks are wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moneyer.node.core.coin import Coin
from moneyer.node.wallet.derive import Key
from moneyer.node.wallet.keystore import create_wallet
from tests.api.running import RunningNode, running
from tests.cli.support import MONEYER, environment, moneyer
from tests.support import easy_coin, key, wait_until

PASSPHRASE = "sand and shells"
SECRET = {"MONEYER_PASSPHRASE": PASSPHRASE}
PEOPLE = ("miner", "alice", "bob")
RICH = 1_000_000_000
"""Base units that alice and bob have in genesis: 1000 coins."""


def own_coin(**changes: Any) -> Coin:
    return easy_coin(premine=[(key("alice"), RICH), (key("bob"), RICH)], **changes)


def write_wallet(data: Path, passphrase: str | None = None) -> None:
    """`wallet.json` with PEOPLE, whose keys are those of `tests.support.key`."""
    data.mkdir(parents=True, exist_ok=True)
    keys = {name: Key.from_secret(key(name).secret) for name in PEOPLE}
    create_wallet(data / "wallet.json", keys, development=False, passphrase=passphrase)


@contextmanager
def own_node(
    data: Path, coin: Coin | None = None, *, passphrase: str | None = None, **options: Any
) -> Iterator[RunningNode]:
    """A node of a coin of one's own, whose wallet holds PEOPLE."""
    if not (data / "wallet.json").exists():
        write_wallet(data, passphrase)
    options = {"development": False, "min_fee": 1, **options}
    with running(data, coin or own_coin(), **options) as node:
        yield node


@contextmanager
def mining(data: Path, mode: str = "instant") -> Iterator[subprocess.Popen[bytes]]:
    """The worker of the node of `data`."""
    with (data.parent / "worker.reports").open("ab") as log:
        worker = subprocess.Popen(
            [*MONEYER, "worker", "--data", str(data), "--mode", mode],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(10)


def asked(*arguments: str | Path, env: dict[str, str] | None = None, typed: str | None = None) -> Any:
    """The JSON that a command prints."""
    done = moneyer(*arguments, "--json", env=env, typed=typed)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def start(*arguments: str | Path, **env: str) -> subprocess.Popen[str]:
    """A command that goes on meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-m", "moneyer", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(**env),
    )


def height_of(node: RunningNode) -> int:
    return int(node.get("/v1/status").json["height"])


def wait_for_height(node: RunningNode, height: int) -> None:
    wait_until(lambda: height_of(node) >= height, 30, f"height {height}")
