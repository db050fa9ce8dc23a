"""`moneyer db copy` of a chain of a million transfers: into a PostgreSQL server of this machine, and back into a file.

The server is started by the bench, on the disk, as Debian configures it. Needs PostgreSQL's programs and psycopg.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.chains import Line, Payments, bench_coin, connect_many, open_store
from bench.common import SHORT, Cost, Figure, below, costs, folder, in_turns, plain, report, timed
from bench.databases import fresh, on_disk
from moneyer.node.chain.accept import Chain
from moneyer.node.chain.verify import prove_copy
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.store.copying.copy_chain import copy_chain
from moneyer.node.store.copying.copy_ends import End
from moneyer.node.store.copying.copy_file import FileEnd, FolderEnd
from moneyer.node.store.copying.copy_server import ServerEnd
from tests.kit.postgres.cluster import PostgresServer

TRANSFERS = 20_000 if SHORT else 1_000_000
FULL = 2_000
"""Transfers of a block."""
BLOCKS = 10
"""To a transaction, while the chain is made."""
ROUNDS = 3 if SHORT else 5
PROVED_ROUNDS = 1
MOST_SECONDS = 300.0


def make(data: Path, coin: Coin) -> None:
    """A data folder whose chain has `TRANSFERS`."""
    data.mkdir()
    (data / "coin.toml").write_text(coin_to_toml(coin))
    store = open_store(data, coin)
    try:
        chain, line, payments = Chain(store), Line(coin), Payments(coin)
        for _ in range(TRANSFERS // (FULL * BLOCKS)):
            connect_many(chain, [codec.encode_block(line.add(payments.take(FULL))) for _ in range(BLOCKS)])
    finally:
        store.close()


def seconds(begins: End, ends: End, is_proved: bool) -> Cost:
    """Of one copy; processor is this process's alone, per transfer."""
    work: Callable[[], object] = partial(copy_chain, begins, ends, prove=prove_copy if is_proved else None)
    return timed(costs(TRANSFERS, work), TRANSFERS)


def to_server(server: PostgresServer, source: Path, *, is_proved: bool = False) -> Cost:
    with fresh(server) as url:
        return seconds(FolderEnd(source), ServerEnd(url), is_proved)


def to_file(source: str, target: Path, *, is_proved: bool = False) -> Cost:
    try:
        return seconds(ServerEnd(source), FileEnd(target), is_proved)
    finally:
        target.unlink(missing_ok=True)


def measure() -> list[Figure]:
    with folder() as data, on_disk() as server, fresh(server) as url:
        make(data / "node", bench_coin())
        copy_chain(FolderEnd(data / "node"), ServerEnd(url))
        there, back = partial(to_server, server, data / "node"), partial(to_file, url, data / "copy.db")
        to, fro = in_turns(ROUNDS, there, back)
        proved_to, proved_fro = in_turns(PROVED_ROUNDS, partial(there, is_proved=True), partial(back, is_proved=True))
        size = (data / "node" / "chain.db").stat().st_size
        there_size = float(
            server.ask("SELECT pg_database_size(current_database())", database=url.rpartition("/")[2])[0][0]
        )
    what = f"{TRANSFERS:,} transfers"
    return [
        below(f"{what}: SQLite to PostgreSQL, every block proved", proved_to, "s", MOST_SECONDS),
        below(f"{what}: PostgreSQL to SQLite, every block proved", proved_fro, "s", MOST_SECONDS),
        below(f"{what}: SQLite to PostgreSQL, --no-verify", to, "s", MOST_SECONDS),
        below(f"{what}: PostgreSQL to SQLite, --no-verify", fro, "s", MOST_SECONDS),
        plain("size of the file", [size / 1e6], "MB"),
        plain("size of the server's database", [there_size / 1e6], "MB"),
    ]


if __name__ == "__main__":
    report("copy", measure())
