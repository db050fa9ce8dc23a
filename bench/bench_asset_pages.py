"""What pages of assets and of holders take: the slowest of a hundred answers, in this process and without HTTP.

100,000 assets, and one of them with 100,000 holders (in the short form 5,000 each); every answer begins elsewhere and
is made anew, so that the addresses in it were mostly not told lately.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import Connection

from bench.common import SHORT, Figure, below, folder, report
from moneyer.node.api.calls.assets.v1_assets import (
    MAX_HOLDERS,
    AssetQuery,
    HeldQuery,
    HolderQuery,
    asset_holders,
    held_assets,
    list_assets,
)
from moneyer.node.api.calls.v1_blocks import MAX_PAGE
from moneyer.node.api.endpoint import Answer, Call, OfChain
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.api.shapes.fields import encode
from moneyer.node.config import Config
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.service import Node
from tests.kit.callers.handlers import call_of
from tests.kit.chains import easy_coin

Q = TypeVar("Q")

ROWS = 5_000 if SHORT else 100_000
ROUNDS = 100 if SHORT else 500
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
ID = "CAST(printf('%032d', {}) AS BLOB)"
PAYLOAD = "CAST(x'00' || printf('%032d', {}) AS BLOB)"
BUSY = bytes(1) + b"%032d" % 7
"""Who holds every asset, and has issued every second one."""
FILL = (
    f"INSERT INTO accounts SELECT i + 10, {PAYLOAD.format('i')}, 0, 0 FROM n",
    f"INSERT INTO assets SELECT i, {ID.format('i')}, {PAYLOAD.format('7 + i % 2')}, 'S' || (i % 3), 'An asset', 0,"
    f" zeroblob(32), {10**9}, {10**9}, 0, 0 FROM n",
    "INSERT INTO holdings SELECT i + 10, 7, i % 500 + 1 FROM n",
    "INSERT INTO holdings SELECT 17, i, 3 FROM n WHERE i != 7",
)


def fill(conn: Connection) -> None:
    """Rows as blocks would leave them, without the blocks."""
    for statement in FILL:
        conn.exec_driver_sql(NUMBERS.format(ROWS) + statement)


def slowest_of_a_hundred(answer: Callable[[int], object]) -> list[float]:
    """Milliseconds by the clock that 99 of 100 answers do not exceed. `answer` is given a number from 1 to ROWS."""
    found = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        answer(1 + number * 61_703 % ROWS)
        found.append((time.perf_counter() - began) * 1e3)
    return [sorted(found)[ROUNDS * 99 // 100 - 1]]


def main() -> None:
    coin = easy_coin(rules=2)
    with folder() as data:
        (data / "coin.toml").write_text(coin_to_toml(coin))
        node = Node.open(Config(data, development=True, min_fee=0, manual=True))
        parts = ApiParts.of(node)
        node.store.write(fill)

        def page(
            handler: Callable[[Node, Call[Q, None]], Answer], path: Mapping[str, str], query: Callable[[int], Q]
        ) -> list[float]:
            def answer(number: int) -> bytes:
                found = handler(node, call_of(parts, path, query=query(number)))
                return encode(found.content if isinstance(found, OfChain) else found)

            return slowest_of_a_hundred(answer)

        asset, address = {"asset": (b"%032d" % 7).hex()}, {"address": coin.address(BUSY)}

        def pages(limit: int, most_holders: int) -> list[Figure]:
            issuer = coin.address(BUSY)
            runs = {
                f"assets, {limit:,} rows": page(list_assets, {}, lambda at: AssetQuery(before=at, limit=limit)),
                f"assets of an issuer and a symbol, {limit:,} rows": page(
                    list_assets, {}, lambda at: AssetQuery(issuer, "S1", before=at, limit=limit)
                ),
                f"holders, {most_holders} rows": page(
                    asset_holders, asset, lambda at: HolderQuery(f"{at * 500 // ROWS}.{at}", most_holders)
                ),
                f"what an account holds, {limit:,} rows": page(held_assets, address, lambda at: HeldQuery(at, limit)),
            }
            return [below(f"{each} of {ROWS:,}: p99", found, "ms", 20) for each, found in runs.items()]

        figures = [*pages(50, 50), *pages(MAX_PAGE, MAX_HOLDERS)]
        node.store.close()
    report("asset_pages", figures)


if __name__ == "__main__":
    main()
