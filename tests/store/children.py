"""What the store's tests run in processes of their own."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection as Rows

from moneyer import migrations
from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.core.errors import MoneyerError, RuleError
from moneyer.node.core.policy import AfterHeight, Threshold
from moneyer.node.core.policy import Key as KeyLeaf
from moneyer.node.core.types import COIN_ASSET, Block, Payment, Spend, Transfer
from moneyer.node.store import blocks, meta
from moneyer.node.store.assets import asset_pages
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreUnavailable
from moneyer.node.store.opening import migrate, schema
from moneyer.node.store.snapshots.restore import rows_of
from tests.kit.chains import Key, block_on, burn, contract, issue, key, meet, mine, mint, pay, transfer
from tests.kit.databases import node_config
from tests.kit.nodes import Node
from tests.kit.system.processes import Pipe

SENDERS = [key(f"sender {number}") for number in range(8)]
POLICY = Threshold(2, (KeyLeaf(SENDERS[0].payload[1:]), AfterHeight(1)))
SHARED = contract(POLICY)
"""A contract that a coin of rules 2 may have in its genesis."""


def open_when_told(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Say "ready"; at the word open the store; answer with chain_id and node_id, or with the refusal."""
    _open_when_told(pipe, node_config(folder), coin)


def open_at_when_told(pipe: Pipe, folder: Path, coin: Coin, url: str) -> None:
    """`open_when_told` on a server's database."""
    _open_when_told(pipe, node_config(folder, database_url=url), coin)


def _open_when_told(pipe: Pipe, config: Config, coin: Coin) -> None:
    pipe.send("ready")
    pipe.recv()
    try:
        store = Store.open(config, coin)
    except MoneyerError as error:
        pipe.send(error.message)
        return
    with store.read() as conn:
        answer = meta.get(conn, "chain_id"), meta.node_id(conn)
    store.close()
    pipe.send(answer)


def open_with_migrations(pipe: Pipe, folder: Path, coin: Coin, scripts: Path, marks: Path) -> None:
    """Say "ready", open the store as a program with these migrations would, say "opened"."""
    os.environ["MONEYER_TEST_MARKS"] = str(marks)
    _take_migrations(scripts)
    pipe.send("ready")
    store = Store.open(node_config(folder), coin)
    pipe.send("opened")
    store.close()


def _take_migrations(scripts: Path) -> None:
    migrations.__file__ = str(scripts / "__init__.py")
    setattr(schema, "SCHEMA_REVISION", "next")  # noqa: B010 - as a test's monkeypatch does


def open_and_die(pipe: Pipe, folder: Path, coin: Coin, scripts: Path | None, step: int) -> None:
    """Open the store as a program with these migrations would (None: ours); SIGKILL itself before it takes that step.

    A step is a statement, or a file of the folder that is opened, named or taken away.
    """
    left = step

    def count(*_: object) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        of_files = event in ("open", "os.link", "os.remove", "os.rename", "tempfile.mkstemp")
        if of_files and str(arguments[0]).startswith(str(folder)):
            count()

    def connect(*arguments: Any, **options: Any) -> Any:
        connection = really_connect(*arguments, **options)
        connection.set_trace_callback(count)
        return connection

    migrate.revisions()  # what is imported lazily is no step
    really_connect = driver.connect
    setattr(driver, "connect", connect)  # noqa: B010 - as a test's monkeypatch does
    sys.addaudithook(hook)
    if scripts is not None:
        _take_migrations(scripts)
    Store.open(node_config(folder), coin).close()
    pipe.send("opened")


def leave_a_journal(pipe: Pipe, database: Path) -> None:
    """Where SQLite keeps a rollback journal: change so much that the file itself is written, then wait for the kill."""
    connection = driver.connect(str(database), isolation_level=None)
    connection.execute("PRAGMA journal_mode=TRUNCATE")
    connection.execute("PRAGMA cache_size=2")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE accounts SET balance = balance + 1")
    connection.execute("UPDATE bodies SET body = zeroblob(4000)")
    pipe.send("inside")
    pipe.recv()


def go_back_until_killed(pipe: Pipe, folder: Path, coin: Coin, files: list[Path]) -> None:
    """Go back to one snapshot after the other without a pause; say "going" before each."""
    with Node(folder, coin) as node:
        for file in itertools.cycle(files):
            pipe.send("going")
            with rows_of(file) as replace_rows:
                node.store.submit(replace_rows, alone=True).result()


def write_and_stay_inside(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Begin a transaction, change something, say "inside", and stay there until told."""
    store = Store.open(node_config(folder), coin)

    def job(conn: Rows) -> None:
        meta.put(conn, "half", b"written")
        pipe.send("inside")
        pipe.recv()

    store.write(job)
    pipe.send("committed")
    pipe.recv()


def commit_when_told(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Say "ready"; commit something at each word, then answer "committed"."""
    store = Store.open(node_config(folder), coin)
    pipe.send("ready")
    while True:
        name = pipe.recv()
        store.write(partial(meta.put, key=name, value=b"x"))
        pipe.send("committed")


def wait_for_changes(pipe: Pipe, folder: Path, coin: Coin, timeout: float) -> None:
    """Say "ready", then "changed" after every change that `wait_for_change` tells of; only the bell wakes it."""
    store = Store.open(node_config(folder), coin)
    store.fallback_seconds = timeout
    seen = store.data_version()
    pipe.send("ready")
    while True:
        version = store.wait_for_change(seen, timeout)
        if version != seen:
            seen = version
            pipe.send("changed")


def work_until_killed(pipe: Pipe, folder: Path, coin: Coin, seed: int) -> None:
    """Mine, send, fork and reorganize without end; each thing is told once it is acknowledged."""
    random = Random(seed)
    node = Node(folder, coin)
    pipe.send(("opened", None))
    while True:
        what = random.random()
        if what < 0.5:
            sender = random.choice(SENDERS)
            sent = _spend(node, random, sender)
            try:
                pipe.send(("transfer", node.mempool.accept_transfer(sent).txid))
            except RuleError:
                continue
        else:
            now = node.tip.header.timestamp + 1
            block = mine(node.chain.template(key("miner").payload, now, random.randbytes(8)).block)
            if what < 0.6:
                _fork(pipe, node, random)
            else:
                pipe.send(("block", node.offer(block).block_hash))


def _spend(node: Node, random: Random, sender: Key) -> Spend:
    """One that no reorg of `_fork` takes away for good: of an asset, only what its issuer has for long."""
    coin, receiver, amount = node.coin, random.choice(SENDERS), random.randint(1, 50)
    sequence = node.mempool.next_sequence(sender.payload)
    with node.store.read() as conn:
        issued = asset_pages.newest(conn, 2, issuer=sender.payload) if coin.rules == 2 else []
    old = [each.asset for each in issued if each.height <= node.tip.height - 3]
    if coin.rules == 1 or random.random() < 0.3:
        return transfer(coin, sender, receiver, amount, 1, sequence)
    if random.random() < 0.3:
        unsigned = Payment(
            SHARED, 1, node.mempool.next_sequence(SHARED), b"", b"", receiver.payload, COIN_ASSET, amount
        )
        return meet(coin, unsigned, POLICY, (0, 1), SENDERS[:1])
    if len(issued) < 2 or not old:
        return issue(coin, sender, 10**9, 2**50, fee=1, sequence=sequence)
    asset = random.choice(old)
    if random.random() < 0.5:
        return pay(coin, sender, receiver, amount, asset, 1, sequence)
    if random.random() < 0.5:
        return mint(coin, sender, asset, amount, fee=1, sequence=sequence)
    return burn(coin, sender, asset, amount, fee=1, sequence=sequence)


def _fork(pipe: Pipe, node: Node, random: Random) -> None:
    """Two empty blocks on the tip's parent: a side branch, then a reorg."""
    tip = node.tip
    if tip.height < 2:
        return
    with node.store.read() as conn:
        header, height = blocks.load(conn, tip.header.prev_hash).header, tip.height - 1
    for _ in range(2):
        height += 1
        block = block_on(node.coin, header, height, extra=random.randbytes(8))
        pipe.send(("block", node.offer(block).block_hash))
        header = block.header


def fill_the_disk(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Do what is told, and say what became of it.

    "limit": the system refuses larger files from now on. "room": any size again. A (name, size): write that. A block,
    a transfer: accept it.
    """
    node = Node(folder, coin)
    pipe.send("ready")
    while True:
        what: Any = pipe.recv()
        try:
            if what == "limit":
                log = max((path.stat().st_size for path in folder.glob("chain.db-*[!m]")), default=0)
                resource.setrlimit(resource.RLIMIT_FSIZE, (log + 8192, resource.RLIM_INFINITY))
                pipe.send("limited")
            elif what == "room":
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                pipe.send("room")
            elif isinstance(what, Block):
                pipe.send(node.offer(what).status)
            elif isinstance(what, Transfer):
                pipe.send(node.mempool.accept_transfer(what).status)
            else:
                name, size = what
                node.store.write(partial(meta.put, key=name, value=bytes(size)))
                pipe.send("written")
        except MoneyerError as error:
            answer = type(error).__name__
            pipe.send((answer, error.message) if isinstance(what, tuple) else answer)


def open_as_a_stranger(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Open the store as a user who is not root, and tell the refusal."""
    migrate.revisions()  # what is imported lazily: a stranger may not be allowed to read this Python
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    try:
        Store.open(node_config(folder), coin).close()
        pipe.send("opened")
    except MoneyerError as error:
        pipe.send(error.message)


def open_until_told(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Open the store, say "opened"; close it when told, say "closed", and live on."""
    store = Store.open(node_config(folder), coin, check_file=False)
    with store.read() as conn:
        blocks.tip(conn)
    pipe.send("opened")
    pipe.recv()
    store.close()
    pipe.send("closed")
    pipe.recv()


def write_half_and_stay(pipe: Pipe, folder: Path, coin: Coin, url: str) -> None:
    """Begin a transaction, change something, and say how long the server lets it stand still.

    At a word make that a second, say so, and stay there until told; then say what came of it. At the next word write
    something whole.
    """
    store = Store.open(node_config(folder, database_url=url), coin)

    def idle(conn: Rows) -> str:
        return str(conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one())

    def job(conn: Rows) -> None:
        meta.put(conn, "half", b"written")
        pipe.send(idle(conn))
        pipe.recv()
        conn.exec_driver_sql("SET idle_in_transaction_session_timeout = '1s'").close()
        pipe.send(idle(conn))
        pipe.recv()
        meta.put(conn, "other half", b"written")

    try:
        store.write(job)
        pipe.send("committed")
    except StoreUnavailable:
        pipe.send("unavailable")
    pipe.recv()
    store.write(partial(meta.put, key="whole", value=b"written"))
    pipe.send("written")
    pipe.recv()
