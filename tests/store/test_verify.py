"""`verify` proves every stored and derived column: each is changed in turn, and each change is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest

from moneyer.node.chain.verify import ChainBroken, verify_chain
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.errors import MoneyerError
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreRefused
from tests.kit.chains import rebuild, transfer
from tests.kit.commands import moneyer
from tests.kit.damage import ALICE, BOB, CHAIN, change, made
from tests.kit.databases import POSTGRESQL, copy_node, node_config
from tests.kit.nodes import Node

pytestmark = pytest.mark.both_databases

COIN = CHAIN.coin


@pytest.fixture(scope="module")
def branched(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with side branches (one that was connected, one never), an invalid block, and a pool with a gap."""
    folder = made(tmp_path_factory.mktemp("branched"))
    node = Node(folder, COIN)
    rival = CHAIN.branch(27, "rival")
    rival.grow(4)
    node.offer_all(rival.blocks[28:])  # 31 is a reorg: 28 to 30 of CHAIN were connected once
    stored = CHAIN.branch(26, "stored")
    stored.add([stored.transfer(ALICE, BOB, 3, 1)])
    assert node.offer(stored.tip).status == "side_branch"
    bad = rival.next_block()
    spoiled = rebuild(bad, [*bad.transactions, bad.transactions[0]])
    with pytest.raises(MoneyerError):
        node.offer(spoiled)
    start = rival.account(BOB).sequence
    node.mempool.accept_transfer(transfer(COIN, BOB, ALICE, 5, 1, start + 40))
    assert verify_chain(node.store).height == 31
    node.store.close()
    return folder


SIDE = "(SELECT min(joined) FROM blocks WHERE NOT main_chain AND status = '{}')"
CONNECTED, STORED = SIDE.format("connected"), SIDE.format("stored")
FLIP = "CAST(substr({0}, 1, {1}) || x'5a' || substr({0}, {1} + 2) AS BLOB)"
"""`{0}`'s byte `{1}` overwritten."""

CHANGED = {
    "offsets": "UPDATE bodies SET offsets = x'0100000002000000' || substr(offsets, 9) WHERE joined = 5",
    "the first position of a part": "UPDATE bodies SET first = 1 WHERE joined = 5",
    "prev_hash": "UPDATE blocks SET prev_hash = zeroblob(32) WHERE height = 12",
    "prev_hash of a side branch": f"UPDATE blocks SET prev_hash = zeroblob(32) WHERE joined = {STORED}",
    "the order in which blocks joined": "UPDATE bodies SET joined = 900 WHERE joined = 9;"
    "UPDATE blocks SET joined = 900 WHERE joined = 9",
    **{
        f"{column} of a block that is {name}": f"UPDATE blocks SET {column} = {value} WHERE joined = {which}"
        for name, which in (("connected", CONNECTED), ("stored", STORED))
        for column, value in (
            ("work", "zeroblob(32)"),
            ("height", "height - 1"),
            ("header", FLIP.format("header", 70)),
            ("size", "size + 1"),
            ("tx_count", "tx_count + 1"),
            ("miner", "zeroblob(33)"),
            ("reward", "reward + 1"),
            ("fees", "fees + 1"),
            ("total_tx_count", "total_tx_count + 1"),
            ("total_fees", "total_fees - 1"),
            ("total_size", "0"),
            ("block_hash", FLIP.format("block_hash", 31)),
        )
    },
    "the body of a side branch": f"UPDATE bodies SET body = {FLIP.format('body', 50)} WHERE joined = {STORED}",
    "offsets of a side branch": f"UPDATE bodies SET offsets = zeroblob(8) WHERE joined = {STORED}",
    "the body of a side branch gone": f"DELETE FROM bodies WHERE joined = {STORED}",
    **{
        f"a waiting transfer's {column} is {value}": f"UPDATE mempool SET {column} = {value} WHERE arrived = 1"
        for column, value in (
            ("txid", "zeroblob(32)"),
            ("sender", "zeroblob(33)"),
            ("sequence", "sequence + 1"),
            ("receiver", "zeroblob(33)"),
            ("cost", "cost + 1"),
            ("fee", "fee + 1"),
            ("fee_rate", "fee_rate + 1"),
            ("ready", "NOT ready"),
            ("ready", "-5"),
            ("head", "NOT head"),
            ("raw", FLIP.format("raw", 40)),
            ("raw", FLIP.format("raw", 150)),
        )
    },
    "a gap's transfer marked as ready": "UPDATE mempool SET ready = TRUE WHERE NOT ready",
    **{
        f"{column} of genesis": f"UPDATE blocks SET {column} = {value} WHERE height = 0"
        for column, value in (("miner", FLIP.format("miner", 5)), ("reward", "reward + 1"), ("fees", "fees + 1"))
    },
    "the pool's totals": "UPDATE mempool_totals SET bytes = bytes + 1",
    "history of no account": "INSERT INTO account_history VALUES (900, 3, 0)",
    "a transaction that is in no block": "INSERT INTO transactions VALUES (zeroblob(32), 3, 9)",
}


def is_found(folder: Path) -> bool:
    store = Store.open(node_config(folder), COIN, check_file=False)
    try:
        verify_chain(store)
    except ChainBroken:
        return True
    finally:
        store.close()
    return False


@pytest.fixture
def copy(tmp_path: Path, branched: Path) -> Iterator[Path]:
    folder = tmp_path / "copy"
    copy_node(branched, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", CHANGED)
def test_a_column_that_was_changed_is_found_by_verify(copy: Path, what: str, database: str) -> None:
    if database == POSTGRESQL and what.endswith("is -5"):
        with pytest.raises(psycopg.Error):  # its booleans have no third value
            change(copy, CHANGED[what])
        return
    change(copy, CHANGED[what])
    assert is_found(copy)


def test_a_block_that_was_never_connected_and_is_marked_so_is_found(tmp_path: Path) -> None:
    """Its body is right and its transfers are not: only connecting it shows that."""
    folder = made(tmp_path)
    node = Node(folder, COIN)
    rich = transfer(COIN, ALICE, BOB, 10**9, 1, CHAIN.branch(20, "x").account(ALICE).sequence)
    side = CHAIN.branch(20, "poor")
    block = side.next_block()
    from tests.kit.chains import block_on

    poor = block_on(COIN, CHAIN.blocks[20].header, 21, [rich])
    assert node.offer(poor).status == "side_branch"
    assert block.header.prev_hash == poor.header.prev_hash
    verify_chain(node.store)
    node.store.close()
    change(folder, "UPDATE blocks SET status = 'connected' WHERE NOT main_chain")
    assert is_found(folder)


@pytest.mark.slow
@pytest.mark.sqlite_only("pages of its file")
@pytest.mark.parametrize("seed", range(3))
def test_what_the_node_refuses_and_db_check_finds_verify_finds_too(tmp_path: Path, branched: Path, seed: int) -> None:
    """100 bytes overwritten in each page."""
    folder = tmp_path / "copy"
    copy_node(branched, folder)
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    database = folder / "chain.db"
    sound = database.read_bytes()
    random = Random(seed)
    refusals = 0
    for page in range(len(sound) // 4096):
        at = page * 4096 + random.choice((0, random.randrange(3996)))
        damaged = sound[:at] + random.randbytes(100) + sound[at + 100 :]
        database.write_bytes(damaged)
        try:
            Store.open(node_config(folder), COIN).close()
            is_refused = False
        except StoreRefused:
            is_refused = True
        database.write_bytes(damaged)
        try:
            found = is_found(folder)
        except StoreRefused:
            found = True
        assert found or not is_refused, page
        refusals += is_refused
        for suffix in ("-wal", "-shm"):
            database.with_name(f"chain.db{suffix}").unlink(missing_ok=True)
    assert refusals > 10


@pytest.mark.sqlite_only("pages of its file")
def test_verify_check_and_the_node_say_the_same_of_a_damaged_page(tmp_path: Path, branched: Path) -> None:
    folder = tmp_path / "copy"
    copy_node(branched, folder)
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    database = folder / "chain.db"
    content = bytearray(database.read_bytes())
    content[2 * 4096 + 8 : 2 * 4096 + 108] = b"\xa5" * 100
    database.write_bytes(content)
    for command in (("verify",), ("db", "check")):
        done = moneyer(*command, "--data", folder)
        assert done.returncode == 1
        assert "every block is right" not in done.stdout
        assert "damaged" in done.stderr
    with pytest.raises(StoreRefused, match="damaged"):
        Store.open(node_config(folder), COIN)
