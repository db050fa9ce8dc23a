"""Data folders to damage: made once, copied for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.store.backends.sqlite.driver import driver
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.databases import current
from tests.kit.nodes import Node
from tests.kit.running import launch, log_of

ALICE, BOB = key("alice"), key("bob")


def _chain() -> ChainBuilder:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)]))
    for _ in range(30):
        chain.add([chain.transfer(ALICE, BOB, 5, 1, b"memo"), chain.transfer(BOB, ALICE, 5, 1)])
    return chain


CHAIN = _chain()


@cache
def template() -> Path:
    """The folder that `made` copies."""
    folder = Path(tempfile.mkdtemp(prefix="moneyer-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _make(folder)
    return folder


def _make(folder: Path) -> None:
    node = Node(folder, CHAIN.coin)
    node.chain.accept_blocks(CHAIN.raw, now=2**32)
    node.mempool.accept_transfer(transfer(CHAIN.coin, ALICE, BOB, 5, 1, CHAIN.account(ALICE).sequence))
    node.store.close()


def made(parent: Path, coin: Coin = CHAIN.coin) -> Path:
    """A data folder of 30 blocks, 60 transfers and one in the pool; of another coin, one with genesis only."""
    folder = parent / "made"
    if coin is CHAIN.coin and current() is None:
        shutil.copytree(template(), folder)
    elif coin is CHAIN.coin:
        _make(folder)
    else:
        Node(folder, coin).store.close()
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder that says something: not SQLite's shared memory, nor a log with nothing in it."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".db-shm"}
    return {name: content for name, content in files.items() if content}


def change(folder: Path, sql: str) -> None:
    """As another program would: no foreign keys, no checks. On a server these statements are put into its words."""
    where = current()
    if where is not None:
        where.change(folder, sql)
        return
    connection = driver.connect(str(folder / "chain.db"))
    connection.execute("PRAGMA ignore_check_constraints=ON")
    connection.executescript(sql)
    connection.commit()
    connection.close()


def refused(config: Config) -> str:
    """What a node says that ends by itself on a damaged folder; the file is named, and all files are as they were."""
    before = bytes_of(config.data)
    process = launch(config)
    try:
        assert process.wait(60) == 1
    finally:
        process.kill()
    said = log_of(config).read_text("utf-8")
    assert str(config.database) in said
    assert "Traceback" not in said
    after = bytes_of(config.data)
    assert {name: after.get(name) for name in before} == before
    return said
