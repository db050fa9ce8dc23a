"""What the tests of copies share: a folder with a row of every kind, all rows of a database, copies by children."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from moneyer.node.chain.verify import prove_copy, verify_chain
from moneyer.node.core import codec
from moneyer.node.core.errors import MoneyerError
from moneyer.node.core.types import Transfer
from moneyer.node.store import mining, peers
from moneyer.node.store.copying.copy_chain import Copied, copy_chain
from moneyer.node.store.copying.copy_ends import End
from moneyer.node.store.copying.copy_file import FileEnd, FolderEnd
from moneyer.node.store.copying.copy_server import ServerEnd
from moneyer.node.store.opening.server_url import is_url
from moneyer.node.store.peers import PeerRow
from moneyer.node.store.tables import metadata
from moneyer.node.store.unconfirmed import entries
from tests.kit.chains import ChainBuilder, burn, easy_coin, issue, key, mint, pay, rebuild, transfer
from tests.kit.nodes import NOW, Node, place_coin
from tests.kit.system.processes import Pipe

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)], rules=2)
CROWD = 2_500
"""Transfers in the pool, of senders that have no account."""


def _chain() -> ChainBuilder:
    chain = ChainBuilder(COIN)
    first = issue(COIN, ALICE, 100, 150, symbol=b"TICKET", name="Karte 🎟".encode())
    ticket = codec.asset_id(COIN.chain_id, first)
    chain.add([first, pay(COIN, ALICE, BOB, 30, ticket, 1, 1)])
    chain.add([mint(COIN, ALICE, ticket, 20, fee=2, sequence=2), burn(COIN, BOB, ticket, 10, sequence=0)])
    for _ in range(20):
        chain.add([chain.transfer(ALICE, BOB, 5, 1), chain.transfer(BOB, CAROL, 5, 1)])
    return chain


CHAIN = _chain()


def make_rich(folder: Path) -> None:
    """A data folder that came to CHAIN by a reorg, with side branches, an invalid block, a crowd in the pool whose
    last number is gone, peers and jobs."""
    place_coin(folder, COIN)
    with Node(folder, COIN) as node:
        rival = CHAIN.branch(15, "rival")
        rival.grow(3)
        node.chain.accept_blocks(rival.raw, NOW)
        node.chain.accept_blocks(CHAIN.raw[15:], NOW)
        assert node.tip_hash == CHAIN.tip_hash
        stored = CHAIN.branch(10, "stored")
        stored.grow(1)
        assert node.offer(stored.tip).status == "side_branch"
        bad, poor = CHAIN.next_block(), transfer(COIN, ALICE, BOB, 10**12, 1, CHAIN.account(ALICE).sequence)
        with suppress(MoneyerError):
            node.offer(rebuild(bad, [*bad.transactions, poor]))
        node.store.write(_fill)
        node.store.write(lambda conn: entries.remove(conn, [codec.txid(_waiting(CROWD))]))
        assert verify_chain(node.store).height == CHAIN.height


def _waiting(number: int) -> Transfer:
    return transfer(COIN, key(f"crowd {number}"), BOB, number, 1, 7)


def _fill(conn: Connection) -> None:
    crowd = [_waiting(number) for number in range(1, CROWD + 1)]
    entries.add_many(conn, new=[(codec.outline(each, codec.txid(each)), False) for each in crowd])
    for number in range(3):
        url = f"http://10.0.0.{number}:5001"
        seen = None if number else 1_700_000_000
        peers.save(conn, PeerRow(url, None, "alive", 3, 2**200, "é 🎟", "outbound", 1, seen, None, 5, None))
    job = mining.create(conn, 3, ALICE.payload, 1_700_000_000)
    mining.record_block(conn, job.job_id, CHAIN.tip_hash, 1_700_000_001)
    mining.create(conn, 1, None, 1_700_000_002)


def rows_of(end: End) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of every table, but for what each database has of its own."""
    with end.reading() as read:
        found = {table.name: list(read.rows(table)) for table in metadata.sorted_tables}
        found["last number"] = [(read.last_number(),)]
    found["meta"] = [row for row in found["meta"] if row[0] not in ("coin", "changes")]
    del found["processes"]
    return found


def end_at(text: str) -> End:
    if is_url(text):
        return ServerEnd(text)
    return FileEnd(Path(text)) if text.endswith(".db") else FolderEnd(Path(text))


def copied(begins: str | Path, ends: str | Path, **given: Any) -> Copied:
    return copy_chain(end_at(str(begins)), end_at(str(ends)), prove=given.pop("prove", prove_copy), **given)


def copy_and_stop(pipe: Pipe, begins: str, ends: str, step: int, how: str) -> None:
    """Copy, and at the given call of the progress: die ("kill"), or say so and wait to be told ("wait").

    Sends the number of calls where it comes to its end.
    """
    seen = 0

    def progress(what: str, _done: int, _total: int) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            pipe.send(what)
            pipe.recv()

    try:
        copied(begins, ends, progress=progress)
    except MoneyerError as error:
        pipe.send(error.message)
    else:
        pipe.send(seen)
