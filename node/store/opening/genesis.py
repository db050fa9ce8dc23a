"""The first rows of a new database."""

from __future__ import annotations

from pathlib import Path
from secrets import token_bytes

from sqlalchemy import Connection

from ...core import codec
from ...core.codec import show
from ...core.coin import Coin
from ...core.coinfile import coin_to_toml
from .. import blocks, chainstate, meta
from ..backends.statements import SERVER
from ..errors import StoreRefused, damaged
from ..unconfirmed import entries


def check_coin(conn: Connection, coin: Coin, database: Path | str) -> bool:
    """Whether the database is still empty. Raises StoreRefused when it holds another coin's chain."""
    chain_id = meta.get(conn, "chain_id")
    if chain_id is None:
        if blocks.count(conn):
            raise damaged(database, "it has blocks, but does not say of which chain")
        return True
    if chain_id != coin.chain_id:
        another = "another --data folder" if isinstance(database, Path) else "another --database"
        raise StoreRefused(
            f"{database} holds another coin's chain (genesis {show(chain_id)[:16]}…) than coin.toml describes "
            f"({coin.name}, genesis {show(coin.chain_id)[:16]}…): put the first coin.toml back, or give {another}"
        )
    return False


def write(conn: Connection, coin: Coin, database: Path | str) -> None:
    """Genesis and what belongs to it, unless another process was first. Raises StoreRefused where that has another
    coin."""
    if not check_coin(conn, coin, database):
        return
    meta.put(conn, "chain_id", coin.chain_id)
    meta.put(conn, "node_id", token_bytes(meta.NODE_ID_SIZE))
    entries.create_totals(conn)
    if conn.dialect.name == SERVER:  # machines without a data folder of this coin take it from here
        meta.put(conn, meta.COIN, coin_to_toml(coin).encode())
    block = coin.genesis
    body = codec.encode_body(block.transactions)
    chainstate.add(conn, [chainstate.NewBlock(block, coin.chain_id, body, height=0, work=0, txids=())])
    chain = chainstate.ChainState(conn, coin)
    chain.connect_genesis()
    chain.save()
