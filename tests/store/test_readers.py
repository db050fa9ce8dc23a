"""Connections that read stay open between two reads; each read is a snapshot of its own all the same."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import BigInteger, Connection, literal_column, select, text

from moneyer.node.store import blocks, meta, tables
from moneyer.node.store.backends.postgres.pg_engines import MOST_READERS
from moneyer.node.store.backends.statements import Among, Query
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreUnavailable
from moneyer.node.system.shares import READERS
from tests.kit.chains import easy_coin
from tests.kit.databases import POSTGRESQL, node_config

pytestmark = pytest.mark.both_databases


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(node_config(data=tmp_path), easy_coin())


def said(conn: Connection) -> bytes | None:
    return meta.get(conn, "said")


def say(store: Store, value: bytes) -> None:
    store.write(lambda conn: meta.replace(conn, "said", value))


def test_a_read_sees_what_was_committed_before_it_and_nothing_that_comes_while_it_lasts(store: Store) -> None:
    for number in range(20):
        say(store, b"%d" % number)
        with store.read() as conn:
            assert said(conn) == b"%d" % number
            say(store, b"later")
            assert said(conn) == b"%d" % number
    store.close()


def test_a_read_that_is_left_with_rows_to_come_holds_no_snapshot_for_the_next_one(store: Store) -> None:
    say(store, b"before")
    with store.read() as conn:
        rows = blocks.oldest_whole(conn, 0, 10)
        next(rows)
    say(store, b"after")
    with store.read() as conn:
        assert said(conn) == b"after"
    del rows
    store.close()


def test_a_read_by_sqlalchemy_and_one_by_the_driver_share_a_snapshot(store: Store) -> None:
    for _ in range(3):
        say(store, b"before")
        with store.read() as conn:
            assert conn.execute(text("SELECT value FROM meta WHERE key = 'said'")).scalar_one() == b"before"
            say(store, b"after")
            assert said(conn) == b"before"
            assert conn.execute(text("SELECT value FROM meta WHERE key = 'said'")).scalar_one() == b"before"
    store.close()


def test_many_read_at_once_and_each_has_a_snapshot_of_its_own(store: Store, database: str) -> None:
    most = MOST_READERS if database == POSTGRESQL else 40
    with ExitStack() as stack:
        seen = []
        for number in range(most):
            say(store, b"%d" % number)
            conn = stack.enter_context(store.read())
            seen.append((conn, said(conn)))
        assert [value for _, value in seen] == [said(conn) for conn, _ in seen] == [b"%d" % n for n in range(most)]
    with store.read() as conn:
        assert said(conn) == b"%d" % (most - 1)
    store.close()


def test_who_waits_while_all_read_has_the_first_connection_that_is_given_back(store: Store, database: str) -> None:
    """Not only once so many have come back that no more stay open."""
    done = []

    def wait_and_read() -> None:
        with store.read() as conn:
            done.append(said(conn))

    with ExitStack() as others, ExitStack() as one:
        one.enter_context(store.read())
        for _ in range((MOST_READERS if database == POSTGRESQL else READERS) - 1):
            others.enter_context(store.read())
        waiting = [Thread(target=wait_and_read) for _ in range(3)]
        for thread in waiting:
            thread.start()
        one.close()
        for thread in waiting:
            thread.join(60)
        assert len(done) == 3
    store.close()


def test_an_error_within_a_read_leaves_the_next_read_a_connection(store: Store) -> None:
    for _ in range(20):
        with pytest.raises(StoreUnavailable), store.read() as conn:
            conn.execute(text("SELECT nothing FROM nowhere"))
        with pytest.raises(LookupError), store.read() as conn:
            blocks.load(conn, bytes(32))
    with store.read() as conn:
        assert blocks.tip(conn).height == 0
    store.close()


def test_a_database_that_fails_between_two_rows_is_one_that_failed(store: Store) -> None:
    """SQLite finds a damaged page while rows are fetched; here the second row is no 64-bit number."""
    key = tables.meta.c.key
    size = literal_column("abs(-4611686018427387904 * length(key))", BigInteger)
    sums = select(size).select_from(tables.meta).order_by(key)
    for name in ("1", "22"):
        store.write(partial(meta.put, key=name, value=b""))
    with store.read() as conn:
        assert Query(sums.where(key == "1")).one(conn) == (2**62,)
    for fetch in (
        lambda conn: Query(sums.where(key == "22")).one(conn),
        lambda conn: list(Query(sums.where(key <= "22")).rows(conn)),
        lambda conn: list(Among(sums, key).rows(conn, ["1", "22"])),
    ):
        with pytest.raises(StoreUnavailable), store.read() as conn:
            fetch(conn)


def test_a_store_that_is_closed_during_a_read_folds_its_log_behind_it(tmp_path: Path, store: Store) -> None:
    say(store, b"something")
    with store.read() as conn:
        assert said(conn) == b"something"
        store.close()
        assert said(conn) == b"something"
    again = Store.open(node_config(data=tmp_path), easy_coin())
    with again.read() as conn:
        assert said(conn) == b"something"
    again.close()
