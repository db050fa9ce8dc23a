"""A node whose database cannot be used does not start: it says what to do, and leaves the file as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moneyer.node.config import Config
from moneyer.node.store.backends.sqlite.driver import driver
from tests.kit.damage import CHAIN, made, refused
from tests.kit.nodes import place_coin
from tests.kit.system.ports import free_port


def with_sql(words: str) -> Callable[[Path], None]:
    def change(database: Path) -> None:
        connection = driver.connect(str(database))
        connection.executescript(words)
        connection.commit()
        connection.close()

    return change


def damage_a_page(database: Path) -> None:
    sound = database.read_bytes()
    middle = len(sound) // 4096 // 2 * 4096
    database.write_bytes(sound[:middle] + b"\xa5" * 4096 + sound[middle + 4096 :])


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "a newer version": (with_sql("UPDATE alembic_version SET version_num = '9999'"), "upgrade Moneyer"),
    "a damaged page": (damage_a_page, "puts a backup in its place"),
    "a row gone": (with_sql("DELETE FROM blocks WHERE height = 15"), "puts a backup in its place"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_node_does_not_start_on_a_database_that_is_none_of_its_own(tmp_path: Path, what: str) -> None:
    folder = made(tmp_path)
    place_coin(folder, CHAIN.coin)
    harm, words = WRONG[what]
    harm(folder / "chain.db")
    assert words in refused(Config(data=folder, port=free_port(), development=True))
