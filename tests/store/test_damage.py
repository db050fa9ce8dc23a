"""A file that is damaged is refused at the start, says what to do, and is left as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from moneyer.node.chain.verify import ChainBroken, verify_chain
from moneyer.node.cli.main import cli
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.errors import MoneyerError
from moneyer.node.store import blocks
from moneyer.node.store.backends.sqlite.driver import driver, has_safe_wal
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreDamaged, StoreRefused
from tests.kit.damage import CHAIN, bytes_of, change, made
from tests.kit.nodes import Node
from tests.kit.system.processes import Child
from tests.store.children import work_until_killed

COIN = CHAIN.coin

GONE_OR_CHANGED = {
    "the tip": "DELETE FROM blocks WHERE height = 30",
    "a block in the middle": "DELETE FROM blocks WHERE height = 15",
    "genesis": "DELETE FROM blocks WHERE height = 0",
    "every block": "DELETE FROM blocks",
    "every row of the chain": "DELETE FROM blocks; DELETE FROM bodies; DELETE FROM transactions; DELETE FROM meta;"
    "INSERT INTO meta VALUES ('chain_id', x'00')",
    "the newest body": "DELETE FROM bodies WHERE joined = (SELECT max(joined) FROM bodies)",
    "an old body": "DELETE FROM bodies WHERE joined = 3",
    "a transaction": "DELETE FROM transactions WHERE height = 7 AND position = 1",
    "a coinbase": "DELETE FROM transactions WHERE height = 9 AND position = 0",
    "a balance": "UPDATE accounts SET balance = balance + 1 WHERE account_id = 2",
    "a sequence": "UPDATE accounts SET sequence = sequence + 1 WHERE account_id = 2",
    "an account": "DELETE FROM accounts WHERE account_id = 3",
    "a header": "UPDATE blocks SET header = zeroblob(80) WHERE height = 4",
    "a byte of an old body": "UPDATE bodies SET body = CAST(substr(body, 1, 60) || x'00' || substr(body, 62) AS BLOB)"
    " WHERE joined = 5",
    "offsets": "UPDATE bodies SET offsets = zeroblob(8) WHERE joined = 5",
    "a parent": "UPDATE blocks SET prev_hash = zeroblob(32) WHERE height = 12",
    "the main chain's mark": "UPDATE blocks SET main_chain = 0 WHERE height > 20",
    "a pooled transfer": "DELETE FROM mempool",
    "the pool's totals": "DELETE FROM mempool_totals",
    "chain_id": "DELETE FROM meta WHERE key = 'chain_id'",
    "node_id": "DELETE FROM meta WHERE key = 'node_id'",
    "a node_id of another length": "UPDATE meta SET value = x'00' WHERE key = 'node_id'",
    "a table": "DROP TABLE account_history",
    "a body's block": "UPDATE bodies SET joined = 900 WHERE joined = 1",
    # What SQLite's own check says nothing of on a connection that only reads, or never.
    "a status that there is not": "UPDATE blocks SET status = 'x' WHERE height = 4",
    "a transfer of less than nothing": "UPDATE mempool SET fee = -1",
    "a yes that is neither yes nor no": "UPDATE mempool SET ready = -5",
    "a text for a hash": "UPDATE mempool SET txid = CAST(hex(substr(txid, 1, 16)) AS TEXT)",
    "bytes for a number": "UPDATE mempool SET fee_rate = x'00'",
    "a number for a body": "UPDATE mempool SET raw = 7",
    "a number for the chain's id": "UPDATE meta SET value = 0 WHERE key = 'chain_id'",
    "the version": "DELETE FROM alembic_version",
}


def refusal(folder: Path) -> str:
    """The sentence of a folder that is refused, which must be left as it was."""
    before = bytes_of(folder)
    with pytest.raises(StoreRefused) as refused:
        Store.open(Config(folder), COIN)
    assert bytes_of(folder) == before
    return refused.value.message


@pytest.mark.parametrize("what", GONE_OR_CHANGED)
def test_a_row_that_is_gone_or_changed_is_noticed_at_the_start(tmp_path: Path, what: str) -> None:
    folder = made(tmp_path)
    change(folder, GONE_OR_CHANGED[what])
    message = refusal(folder)
    assert str(folder / "chain.db") in message
    assert "moneyer db anew --data" in message or "put the first coin.toml back" in message


@pytest.mark.parametrize("what", GONE_OR_CHANGED)
def test_what_the_start_refuses_verify_and_db_check_find_too(tmp_path: Path, what: str) -> None:
    folder = made(tmp_path)
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    change(folder, GONE_OR_CHANGED[what])
    runner = CliRunner()
    for command in (("verify",), ("db", "check")):
        done = runner.invoke(cli, [*command, "--data", str(folder)])
        assert isinstance(done.exception, MoneyerError | SystemExit), (command, done.exception)
        assert done.exit_code != 0, command


def test_a_sound_folder_is_not_refused(tmp_path: Path) -> None:
    node = Node(made(tmp_path), COIN)
    assert node.tip_hash == CHAIN.tip_hash
    assert verify_chain(node.store).transfers == 60
    node.store.close()


@pytest.mark.parametrize("fill", ["noise", "zeros"])
def test_any_page_that_is_overwritten_is_noticed_at_the_start(tmp_path: Path, fill: str) -> None:
    folder = made(tmp_path)
    database = folder / "chain.db"
    sound = database.read_bytes()
    pages = len(sound) // 4096
    assert pages > 20
    for page in range(pages):
        noise = Random(page).randbytes(4096) if fill == "noise" else bytes(4096)
        database.write_bytes(sound[: page * 4096] + noise + sound[(page + 1) * 4096 :])
        assert "chain.db" in refusal(folder), page
    database.write_bytes(sound)
    Node(folder, COIN).store.close()


@pytest.mark.parametrize("size", [1, 50, 100, 4095, 4096, 20_000])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    folder = made(tmp_path)
    os.truncate(folder / "chain.db", size)
    refusal(folder)


@pytest.mark.skipif(not has_safe_wal, reason="there is no log")
def test_a_damaged_file_with_a_log_that_a_killed_process_left_is_refused_with_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(made(tmp_path), folder, ignore=shutil.ignore_patterns("bells"))
    child = Child(work_until_killed, folder, COIN, 1)
    for _ in range(20):
        child.hear()
    child.kill()
    log = folder / "chain.db-wal"
    assert log.stat().st_size
    connection = driver.connect(f"{(folder / 'chain.db').as_uri()}?mode=ro", uri=True)
    connection.execute("SELECT count(*) FROM blocks").fetchone()
    connection.close()
    with (folder / "chain.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 20 * 4096)
    refusal(folder)
    assert log.stat().st_size


def test_a_body_that_goes_bad_while_the_node_runs_is_the_stores_fault_and_not_the_blocks(tmp_path: Path) -> None:
    folder = made(tmp_path)
    node = Node(folder, COIN)
    rival = CHAIN.branch(28, "rival")
    rival.grow(4)
    for sql in ("UPDATE bodies SET body = substr(body, 1, 40)", "DELETE FROM bodies"):
        change(folder, f"{sql} WHERE joined = (SELECT joined FROM blocks WHERE height = 30 AND main_chain)")
        with pytest.raises(StoreDamaged):
            node.offer_all(rival.blocks[29:])
        with node.store.read() as conn, pytest.raises(LookupError):
            blocks.load(conn, CHAIN.tip_hash)
        with pytest.raises(ChainBroken) as broken:
            verify_chain(node.store)
        assert broken.value.details["height"] == 30
        assert node.tip_hash == CHAIN.tip_hash
    node.store.close()


CHANGED_BELOW_THE_START = {
    "two balances": "UPDATE accounts SET balance = balance + 2 * account_id - 5 WHERE account_id IN (2, 3)",
    "a place in the index": "UPDATE transactions SET position = 7 WHERE height = 7 AND position = 1",
    "a history": "UPDATE account_history SET position = 2 WHERE height = 8 AND position = 0",
    "a row of history": "DELETE FROM account_history WHERE height = 8 AND position = 1",
    "work": "UPDATE blocks SET work = zeroblob(32) WHERE height = 8",
    "what is shown of a block": "UPDATE blocks SET fees = fees + 1 WHERE height = 8",
}


@pytest.mark.parametrize("what", CHANGED_BELOW_THE_START)
def test_what_the_start_does_not_look_at_is_found_by_verify(tmp_path: Path, what: str) -> None:
    folder = made(tmp_path)
    change(folder, CHANGED_BELOW_THE_START[what])
    node = Node(folder, COIN)
    with pytest.raises(ChainBroken):
        verify_chain(node.store)
    node.store.close()
    assert codec.block_hash(CHAIN.tip.header) == CHAIN.tip_hash
