"""The same node on SQLite and on a PostgreSQL server of this machine, in turns: connect, accept, read.

The server is started by the bench, on the disk, as Debian configures it. Needs PostgreSQL's programs and psycopg.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from bench.chains import Line, Payments, bench_coin, connect, connect_many, senders
from bench.common import SHORT, Cost, Figure, at_least, costs, folder, in_turns, plain, ratios, report
from bench.databases import database, on_disk
from moneyer.node.api.calls.v1_accounts import HistoryQuery, history, show_account
from moneyer.node.api.calls.v1_blocks import BlockQuery, list_blocks
from moneyer.node.api.calls.v1_transactions import show_transaction
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.chain.accept import Chain
from moneyer.node.chain.mempool import Mempool
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.types import Transfer
from moneyer.node.service import Node
from moneyer.node.store.engine import Store
from tests.kit.callers.handlers import call_of
from tests.kit.postgres.cluster import PostgresServer

ROUNDS = 3 if SHORT else 5
BLOCKS = 3 if SHORT else 10
TRANSFERS = 2_000
EMPTY = 200 if SHORT else 1_000
ACCEPTED = 1_000 if SHORT else 5_000
THREADS = (8, 32)
READS = 300 if SHORT else 2_000


@contextmanager
def opened(server: PostgresServer | None, coin: Coin) -> Iterator[Store]:
    with folder() as data, database(server) as url:
        store = Store.open(Config(data, database_url=url, mempool_bytes=100_000_000), coin)
        try:
            yield store
        finally:
            store.close()


def connecting(
    server: PostgresServer | None, coin: Coin, raws: list[bytes], things: int, way: Callable[..., None]
) -> Cost:
    """Things a second (`things` in all) in a fresh database."""
    with opened(server, coin) as store:
        chain = Chain(store)
        return costs(things, lambda: way(chain, raws))


def accepting(server: PostgresServer | None, coin: Coin, transfers: list[Transfer], threads: int) -> Cost:
    """Transfers a second from as many threads, each durable when it is taken."""
    with opened(server, coin) as store, ThreadPoolExecutor(threads) as pool:
        mempool = Mempool(store)
        return costs(len(transfers), lambda: list(pool.map(mempool.accept_transfer, transfers)))


Reads = dict[str, Callable[[], object]]


@contextmanager
def reading(server: PostgresServer | None, coin: Coin, raws: list[bytes]) -> Iterator[Reads]:
    """The commonest answers of a node, by its own handlers, without HTTP."""
    with folder() as data, database(server) as url:
        (data / "coin.toml").write_text(coin_to_toml(coin))
        node = Node.open(Config(data, database_url=url, development=True, manual=True))
        connect_many(node.chain, raws)
        parts = ApiParts.of(node)
        txid = show(codec.txid(codec.decode_block(raws[0]).transactions[7]))
        sender = coin.address(senders()[0].payload)

        def ask(handler: Callable[..., object], query: object = None, **path: str) -> Callable[[], object]:
            return lambda: handler(node, call_of(parts, path, query=query))

        yield {
            "an account": ask(show_account, address=sender),
            "a transaction": ask(show_transaction, txid=txid),
            "a history page of 50": ask(history, HistoryQuery(limit=50), address=sender),
            "20 blocks": ask(list_blocks, BlockQuery(limit=20)),
            "data_version": node.store.data_version,
        }
        node.close()


def repeated(read: Callable[[], object], times: int) -> Cost:
    def work() -> None:
        for _ in range(times):
            read()

    return costs(times, work)


def reads(server: PostgresServer, coin: Coin, raws: list[bytes]) -> list[Figure]:
    figures: list[Figure] = []
    with reading(None, coin, raws) as of_file, reading(server, coin, raws) as of_server:
        for what, read in of_file.items():
            file, ours = in_turns(ROUNDS, partial(repeated, read, READS), partial(repeated, of_server[what], READS))
            figures += [
                plain(f"{what}, SQLite", file, "/s"),
                plain(f"{what}, PostgreSQL", ours, "/s"),
                at_least(f"{what}: PostgreSQL / SQLite", ratios(ours, file), "×", 0.5),
            ]
    return figures


def main() -> None:
    coin = bench_coin()
    full = Line(coin).raws(BLOCKS, Payments(coin).take(BLOCKS * TRANSFERS))
    empty = Line(coin, "empty").raws(EMPTY)
    transfers = Payments(coin).take(ACCEPTED)
    figures: list[Figure] = []
    with on_disk() as server:
        for what, raws, things, way in (
            ("transfers connected, block by block", full, BLOCKS * TRANSFERS, connect),
            ("transfers connected, blocks together", full, BLOCKS * TRANSFERS, connect_many),
            ("empty blocks connected, one by one", empty, EMPTY, connect),
        ):
            file, ours = in_turns(
                ROUNDS,
                partial(connecting, None, coin, raws, things, way),
                partial(connecting, server, coin, raws, things, way),
            )
            figures += [
                plain(f"{what}, SQLite", file, "/s"),
                plain(f"{what}, PostgreSQL", ours, "/s"),
                at_least(f"{what}: PostgreSQL / SQLite", ratios(ours, file), "×", 0.5),
            ]
        for threads in THREADS:
            file, ours = in_turns(
                ROUNDS,
                partial(accepting, None, coin, transfers, threads),
                partial(accepting, server, coin, transfers, threads),
            )
            figures += [
                plain(f"accepted, {threads} threads, SQLite", file, "/s"),
                at_least(f"accepted, {threads} threads, PostgreSQL", ours, "/s", 1_500),
            ]
        figures += reads(server, coin, full)
    report("postgres", figures)


if __name__ == "__main__":
    main()
