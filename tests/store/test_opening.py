"""Opening a data folder: new, of another coin, of another version, or not a database at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.errors import BadCoin
from moneyer.node.store import meta
from moneyer.node.store.engine import Store, load_coin
from moneyer.node.store.errors import StoreFailed, StoreRefused
from moneyer.node.store.opening import schema
from tests.kit.chains import easy_coin
from tests.kit.damage import CHAIN, bytes_of, change, made
from tests.kit.databases import POSTGRESQL, node_config
from tests.kit.nodes import Node
from tests.kit.system.processes import Child, children
from tests.store.children import open_when_told

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("empty_databases")]

COIN = CHAIN.coin


def refusal(folder: Path) -> str:
    """The sentence of a folder that is refused, which must be left as it was."""
    before = bytes_of(folder)
    with pytest.raises(StoreRefused) as refused:
        Store.open(node_config(folder), COIN)
    assert bytes_of(folder) == before
    return refused.value.message


def test_two_processes_that_open_a_new_folder_at_once_agree(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / str(number)
        with children(*(Child(open_when_told, folder, COIN) for _ in range(2))) as both:
            assert [child.hear() for child in both] == ["ready", "ready"]
            for child in both:
                child.tell("open")
            first, second = (child.hear() for child in both)
        assert first == second
        assert first[0] == COIN.chain_id


@pytest.mark.sqlite_only("of its file")
def test_what_would_be_written_into_a_file_that_is_not_in_its_place_is_refused(tmp_path: Path) -> None:
    """A worker could make a second database there, and the next start would know nothing of what was acknowledged."""
    folder = made(tmp_path)
    store = Store.open(node_config(folder), COIN)
    database, away = folder / "chain.db", tmp_path / "away.db"

    def put(key: str) -> None:
        store.write(lambda conn: meta.put(conn, key, b"x"))

    put("before")
    database.rename(away)
    with pytest.raises(StoreFailed, match="moved, deleted or replaced under the node"):
        put("moved")
    database.write_bytes(b"")
    with pytest.raises(StoreFailed, match="start it again with the file in its place"):
        put("replaced")
    away.rename(database)
    put("back")
    with store.read() as conn:
        assert [meta.get(conn, key) for key in ("before", "moved", "replaced", "back")] == [b"x", None, None, b"x"]
    store.close()


@pytest.mark.sqlite_only("on a server the template of the tests is such a one")
def test_a_folder_that_died_before_its_genesis_was_written_is_made_good(tmp_path: Path) -> None:
    schema.prepare(tmp_path / "chain.db")
    node = Node(tmp_path, COIN)
    assert node.tip_hash == COIN.chain_id
    node.store.close()


@pytest.mark.sqlite_only("of its file")
def test_an_empty_file_is_a_new_database_and_only_its_owners_to_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "chain.db").touch(mode=0o600)
        for folder in (tmp_path / "empty", tmp_path / "new"):
            node = Node(folder, COIN)
            assert stat.S_IMODE((folder / "chain.db").stat().st_mode) == 0o600
            node.store.close()
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_another_coins_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = made(tmp_path, easy_coin(message="another"))
    assert "another coin's chain" in refusal(folder)


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = made(tmp_path)
    change(folder, "UPDATE alembic_version SET version_num = '9999'")
    message = refusal(folder)
    assert "newer Moneyer" in message
    assert "upgrade Moneyer" in message


@pytest.mark.sqlite_only("of its file")
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "chain.db").write_bytes(b"a letter to a friend" * 1000)
    assert "is damaged or no database" in refusal(tmp_path)


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE recipes (name text)")
    assert "another program" in refusal(tmp_path)


def test_a_folder_whose_name_means_something_in_an_address_is_a_folder(tmp_path: Path, database: str) -> None:
    folder = tmp_path / "100% of it? yes #1 & more"
    node = Node(folder, COIN)
    node.store.close()
    assert database == POSTGRESQL or (folder / "chain.db").stat().st_size
    Node(folder, COIN).store.close()


def test_a_missing_or_wrong_coin_file_is_a_sentence(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    with pytest.raises(StoreRefused, match=r"coin\.toml is missing|holds no chain yet"):
        load_coin(config)
    config.coin_file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadCoin, match="UTF-8"):
        load_coin(config)
    config.coin_file.unlink()
    config.coin_file.mkdir()
    with pytest.raises(StoreRefused, match="cannot be read"):
        load_coin(config)
    config.coin_file.rmdir()
    config.coin_file.write_text(coin_to_toml(COIN))
    assert load_coin(config) == COIN


def test_a_store_that_is_closed_twice_or_used_afterwards_says_so(tmp_path: Path, database: str) -> None:
    store = Store.open(node_config(tmp_path), COIN)
    store.close()
    store.close()
    with pytest.raises(StoreFailed):
        store.write(lambda conn: meta.put(conn, "a", b"b"))
    with pytest.raises(StoreFailed):
        store.data_version()
    assert database == POSTGRESQL or not list((tmp_path / "bells").iterdir())
