"""Assets in the database: what blocks make of them, what pages read, and what is found where a row was changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from moneyer.node.chain.verify import ChainBroken, verify_chain
from moneyer.node.cli.main import cli
from moneyer.node.core import codec
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.errors import MoneyerError
from moneyer.node.core.policy import AfterHeight, Key, Threshold
from moneyer.node.core.types import Payment
from moneyer.node.store import chainstate
from moneyer.node.store.assets import asset_pages
from moneyer.node.store.assets.asset_pages import Holder
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreRefused
from moneyer.node.store.snapshots.restore import rows_of
from moneyer.node.store.snapshots.take import take
from moneyer.node.store.transactions import Place
from tests.kit.chains import ChainBuilder, burn, contract, easy_coin, issue, key, meet, mint, pay
from tests.kit.damage import change
from tests.kit.databases import POSTGRESQL, copy_node, node_config
from tests.kit.nodes import NOW, Node

pytestmark = pytest.mark.both_databases

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)], rules=2)
POLICY = Threshold(1, (Key(ALICE.payload[1:]), Threshold(2, (Key(BOB.payload[1:]), AfterHeight(8)))))
VAULT = contract(POLICY)

FIRST = issue(COIN, ALICE, 100, 150, symbol=b"TICKET", name="Karte 🎟".encode(), content=b"p" * 32)
TICKET = codec.asset_id(COIN.chain_id, FIRST)
SECOND = issue(COIN, BOB, 0, 5, symbol=b"TICKET", sequence=0)
"""Of the same symbol, and nobody holds any of it."""
OTHER = codec.asset_id(COIN.chain_id, SECOND)
SMALL = issue(COIN, BOB, 7, 7, symbol=b"SMALL", decimals=8, sequence=1, receiver=VAULT)
TINY = codec.asset_id(COIN.chain_id, SMALL)
RIVAL = issue(COIN, BOB, 9, 9, symbol=b"RIVAL", sequence=1)
GONE = codec.asset_id(COIN.chain_id, RIVAL)
"""Issued on a branch that was left."""


def made_chain() -> ChainBuilder:
    """Eight blocks with every version; the vault spends the asset by its second branch."""
    chain = ChainBuilder(COIN)
    chain.add([FIRST, pay(COIN, ALICE, BOB, 30, TICKET, 1, 1)])
    chain.add([SECOND])
    chain.add([SMALL, mint(COIN, ALICE, TICKET, 20, receiver=VAULT, fee=2, sequence=2)])
    chain.add([pay(COIN, BOB, CAROL, 30, TICKET, 1, 2)])
    chain.add([burn(COIN, CAROL, TICKET, 10)])
    chain.add([pay(COIN, ALICE, VAULT, 9, fee=1, sequence=3), pay(COIN, ALICE, BOB, 10, TICKET, 1, 4)])
    chain.grow(1)
    spend = Payment(VAULT, 3, 0, b"", b"", BOB.payload, TICKET, 4)
    chain.add([meet(COIN, spend, POLICY, [1, 2], [BOB])])
    return chain


CHAIN = made_chain()
WAITING = (
    pay(COIN, ALICE, CAROL, 4, TICKET, 1, 5),
    mint(COIN, ALICE, TICKET, 3, fee=1, sequence=6),
    meet(COIN, Payment(VAULT, 1, 1, b"", b"", BOB.payload, TICKET, 1), POLICY, [1, 2], [BOB]),
)


@pytest.fixture(scope="module")
def reorganized(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose node came to `CHAIN` by a reorg that undid other issues, and has spends in its pool."""
    folder = tmp_path_factory.mktemp("reorganized")
    with Node(folder, COIN) as node:
        rival = CHAIN.branch(1, "rival")
        rival.add([pay(COIN, ALICE, CAROL, 50, TICKET, 1, 2)])
        rival.add([SECOND])  # a block later than in CHAIN
        rival.add([RIVAL])
        rival.grow(1)
        node.chain.accept_blocks(rival.raw, NOW)
        assert node.tip_hash == rival.tip_hash
        node.chain.accept_blocks(CHAIN.raw[1:], NOW)
        assert node.tip_hash == CHAIN.tip_hash
        for spend in WAITING:
            node.mempool.accept_transfer(spend)
        verify_chain(node.store)
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    return folder


@pytest.fixture(scope="module")
def node(reorganized: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("opened") / "data"
    copy_node(reorganized, folder)  # the folder itself is copied again
    with Node(folder, COIN) as opened:
        yield opened


def test_after_a_reorg_the_rows_are_those_of_a_node_that_knew_one_branch_only(node: Node, tmp_path: Path) -> None:
    with Node(tmp_path, COIN) as fresh:
        fresh.chain.accept_blocks(CHAIN.raw, NOW)
        one, other = fresh.dump(), node.dump()
    for what in ("accounts", "assets", "holdings", "asset_history", "history", "transactions"):
        assert one[what] == other[what], what
    assert other["assets"] == CHAIN.ledger.assets
    assert other["holdings"] == CHAIN.ledger.holdings
    assert len(other["mempool"]) == len(WAITING)


def test_an_asset_that_was_undone_is_none(node: Node) -> None:
    with node.store.read() as conn:
        assert asset_pages.get(conn, GONE) is None
        assert asset_pages.holders(conn, GONE, 5) == []
        assert asset_pages.history(conn, GONE, None, 5) == []
        assert asset_pages.holding(conn, BOB.payload, GONE) == 0


def test_one_asset_is_read_with_its_terms_and_what_became_of_it(node: Node) -> None:
    with node.store.read() as conn:
        found = asset_pages.get(conn, TICKET)
    assert found is not None
    assert (found.issuer, found.symbol, found.name, found.decimals) == (ALICE.payload, "TICKET", "Karte 🎟", 0)
    assert (found.content, found.max_supply, found.minted, found.burned) == (b"p" * 32, 150, 120, 10)
    assert found.height == 1


def test_pages_of_assets_follow_each_other_newest_first(node: Node) -> None:
    with node.store.read() as conn:
        whole = asset_pages.newest(conn, 10)
        assert {row.asset for row in whole} == {TICKET, OTHER, TINY}
        assert [row.number for row in whole] == sorted((row.number for row in whole), reverse=True)
        first = asset_pages.newest(conn, 2)
        assert first + asset_pages.newest(conn, 2, before=first[-1].number) == whole
        assert asset_pages.newest(conn, 2, before=whole[-1].number) == []
        by_symbol = asset_pages.newest(conn, 10, symbol="TICKET")
        assert {row.asset for row in by_symbol} == {TICKET, OTHER}
        assert [row.asset for row in asset_pages.newest(conn, 10, issuer=ALICE.payload)] == [TICKET]
        assert [row.asset for row in asset_pages.newest(conn, 10, issuer=BOB.payload, symbol="TICKET")] == [OTHER]
        assert asset_pages.newest(conn, 10, issuer=CAROL.payload) == []


def test_holders_come_largest_first_and_each_once(node: Node) -> None:
    with node.store.read() as conn:
        whole = asset_pages.holders(conn, TICKET, 10)
        assert {row.payload: row.amount for row in whole} == {
            payload: amount for (payload, asset), amount in CHAIN.ledger.holdings.items() if asset == TICKET
        }
        assert [row.amount for row in whole] == sorted((row.amount for row in whole), reverse=True)
        found: list[Holder] = []
        while page := asset_pages.holders(conn, TICKET, 1, found[-1] if found else None):
            found += page
        assert found == whole
        assert asset_pages.holders(conn, OTHER, 5) == []


def test_what_an_account_holds_is_read_in_the_order_of_issue(node: Node) -> None:
    with node.store.read() as conn:
        whole = asset_pages.held(conn, VAULT, 10)
        assert {(row.asset, row.symbol, row.decimals, row.amount) for row in whole} == {
            (TICKET, "TICKET", 0, 16),
            (TINY, "SMALL", 8, 7),
        }
        assert asset_pages.held(conn, VAULT, 1) == whole[:1]
        assert asset_pages.held(conn, VAULT, 5, after=whole[0].number) == whole[1:]
        assert asset_pages.held(conn, key("nobody").payload, 5) == []
        assert asset_pages.holding(conn, VAULT, TINY) == 7
        assert asset_pages.holding(conn, VAULT, OTHER) == 0


def test_the_history_of_an_asset_has_every_transaction_that_touched_it(node: Node) -> None:
    with node.store.read() as conn:
        whole = asset_pages.history(conn, TICKET, None, 20)
        assert [row.place for row in whole] == [(8, 1), (6, 2), (5, 1), (4, 1), (3, 2), (1, 2), (1, 1)]
        assert whole[-1].raw == codec.encode_transaction(FIRST)
        assert asset_pages.history(conn, TICKET, whole[2].place, 2) == whole[3:5]
        assert [row.place for row in asset_pages.history(conn, OTHER, None, 5)] == [Place(2, 1)]


SPARE = "(SELECT min(account_id) FROM accounts WHERE account_id NOT IN (SELECT account_id FROM holdings))"
ASSET = "(SELECT asset_number FROM assets WHERE minted = 120)"
CHANGED = {
    **{
        f"an asset's {column}": f"UPDATE assets SET {column} = {value} WHERE minted = 120"
        for column, value in (
            ("asset", "zeroblob(32)"),
            ("issuer", "zeroblob(33)"),
            ("symbol", "'TICKETS'"),
            ("name", "'Ticket'"),
            ("decimals", "1"),
            ("content", "zeroblob(32)"),
            ("max_supply", "151"),
            ("height", "2"),
        )
    },
    "a holder": f"UPDATE holdings SET account_id = {SPARE} WHERE amount = 16",
    "two holdings": f"UPDATE holdings SET amount = amount + 1 WHERE asset_number = {ASSET} AND amount = 16;"
    f"UPDATE holdings SET amount = amount - 1 WHERE asset_number = {ASSET} AND amount = 20",
    "a row of an asset's history": "DELETE FROM asset_history WHERE height = 4",
    "a place in an asset's history": "UPDATE asset_history SET position = 0 WHERE height = 4",
    "one more in an asset's history": f"INSERT INTO asset_history VALUES ({ASSET}, 7, 0)",
    **{
        f"a waiting spend's {column}": f"UPDATE mempool SET {column} = {value} WHERE arrived = {which}"
        for which, column, value in (
            (1, "asset", "zeroblob(32)"),
            (1, "asset", "NULL"),
            (1, "asset_amount", "asset_amount + 1"),
            (1, "lock_height", "1"),
            (2, "mints", "0"),
            (3, "lock_height", "0"),
            (3, "lock_height", "9"),
            (3, "lock_time", "1"),
        )
    },
}
AT_THE_START = {
    "a holding": "UPDATE holdings SET amount = amount + 1 WHERE amount = 16",
    "a holding gone": "DELETE FROM holdings WHERE amount = 16",
    "what was minted": "UPDATE assets SET minted = 121 WHERE minted = 120",
    "what was burned": "UPDATE assets SET burned = 9 WHERE minted = 120",
    "more minted than there may be": "UPDATE assets SET max_supply = 119 WHERE minted = 120",
    "a holding of no account": "UPDATE holdings SET account_id = 900 WHERE amount = 16",
    "a holding of no asset": "UPDATE holdings SET asset_number = 900 WHERE amount = 16",
    "an asset gone": "DELETE FROM assets WHERE minted = 120",
    "an asset that nobody holds gone": "DELETE FROM assets WHERE minted = 0",
    "a holding of nothing": f"INSERT INTO holdings VALUES ({SPARE}, {ASSET}, 0)",
    "decimals": "UPDATE assets SET decimals = 9 WHERE minted = 120",
    "a text for an id": "UPDATE assets SET asset = CAST(hex(substr(asset, 1, 16)) AS TEXT)",
    "a table": "DROP TABLE asset_history",
    "a waiting spend's asset": "UPDATE mempool SET asset = x'00' WHERE arrived = 1",
    "a waiting spend's lock": "UPDATE mempool SET lock_time = -1",
}


@pytest.fixture
def copy(tmp_path: Path, reorganized: Path) -> Iterator[Path]:
    folder = tmp_path / "copy"
    copy_node(reorganized, folder)
    yield folder
    shutil.rmtree(folder)


def is_found(folder: Path) -> bool:
    store = Store.open(node_config(folder), COIN, check_file=False)
    try:
        verify_chain(store)
    except ChainBroken:
        return True
    finally:
        store.close()
    return False


@pytest.mark.parametrize("what", CHANGED)
def test_a_column_of_assets_that_was_changed_is_found_by_verify(copy: Path, what: str) -> None:
    assert not is_found(copy)
    change(copy, CHANGED[what])
    assert is_found(copy)


@pytest.mark.parametrize("what", AT_THE_START)
def test_what_cannot_be_of_assets_is_noticed_at_the_start_by_db_check_and_by_verify(
    copy: Path, what: str, database: str
) -> None:
    if database == POSTGRESQL:
        if "AS TEXT" in AT_THE_START[what]:
            with pytest.raises(psycopg.Error):  # its columns have types
                change(copy, AT_THE_START[what])
            return
        change(copy, AT_THE_START[what])
        assert is_found(copy)  # a start leaves a server's rows to the server
        return
    change(copy, AT_THE_START[what])
    with pytest.raises(StoreRefused) as refused:
        Store.open(node_config(copy), COIN)
    assert str(copy / "chain.db") in refused.value.message
    for command in (("verify",), ("db", "check")):
        done = CliRunner().invoke(cli, [*command, "--data", str(copy)])
        assert isinstance(done.exception, MoneyerError | SystemExit), (command, done.exception)
        assert done.exit_code != 0, command


def test_verify_replays_a_side_branch_with_its_assets_and_goes_back(tmp_path: Path) -> None:
    """A connected side branch forks off in the middle; the blocks above the fork still find the assets as they were."""
    with Node(tmp_path, COIN) as node:
        node.chain.accept_blocks(CHAIN.raw[:5], NOW)
        side = CHAIN.branch(3, "side")
        side.add([burn(COIN, ALICE, TICKET, 70, sequence=3), mint(COIN, ALICE, TICKET, 30, fee=1, sequence=4)])
        side.add([issue(COIN, BOB, 9, 9, symbol=b"SIDE", sequence=2)])
        side.grow(1)
        node.chain.accept_blocks(side.raw[3:], NOW)
        assert node.tip_hash == side.tip_hash
        node.chain.accept_blocks(CHAIN.raw[5:], NOW)
        assert node.tip_hash == CHAIN.tip_hash
        assert verify_chain(node.store).height == 8


@pytest.mark.parametrize("most_rows", [0, 2, 100_000])
def test_a_reorg_that_is_written_in_parts_issues_assets_anew_in_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    """The numbers of undone assets are free again, whichever come first on the other branch."""
    monkeypatch.setattr(chainstate, "_MOST_ROWS", most_rows)
    made = [issue(COIN, ALICE, 5, 9, symbol=b"A%d" % number, sequence=number) for number in range(3)]
    ids = [codec.asset_id(COIN.chain_id, each) for each in made]
    one, other = ChainBuilder(COIN, "one"), ChainBuilder(COIN, "other")
    for each in made:
        one.add([each])
    one.add([pay(COIN, ALICE, BOB, 2, ids[0], 1, 3)])
    other.add([issue(COIN, BOB, 1, 1, symbol=b"Z"), issue(COIN, BOB, 1, 1, symbol=b"Y", sequence=1)])
    other.add(made[:2])
    other.add([made[2], pay(COIN, ALICE, CAROL, 4, ids[1], 1, 3)])
    other.grow(2)
    with Node(tmp_path, COIN) as node:
        for chain in (one, other):
            node.chain.accept_blocks(chain.raw, NOW)
            assert node.tip_hash == chain.tip_hash
            found = node.dump()
            assert (found["assets"], found["holdings"]) == (chain.ledger.assets, chain.ledger.holdings)
            verify_chain(node.store)
        one.grow(2)
        node.chain.accept_blocks(one.raw[-2:], NOW)
        assert node.tip_hash == one.tip_hash
        assert node.dump()["holdings"] == one.ledger.holdings
        verify_chain(node.store)


@pytest.mark.sqlite_only("a snapshot is of files")
def test_a_node_that_goes_back_to_its_snapshot_has_the_assets_of_then(tmp_path: Path) -> None:
    with Node(tmp_path / "1", COIN) as node:
        node.chain.accept_blocks(CHAIN.raw[:4], NOW)
        node.mempool.accept_transfer(pay(COIN, ALICE, CAROL, 1, TICKET, 1, 3))
        before = node.dump()
        take({"1": node.config.database}, tmp_path / "snapshots" / "one")
        node.chain.accept_blocks(CHAIN.raw[4:], NOW)
        assert node.dump()["assets"] != before["assets"]
        with rows_of(tmp_path / "snapshots" / "one" / "1.db") as job:
            node.store.submit(job, alone=True).result()
        assert node.dump() == before
        verify_chain(node.store)
