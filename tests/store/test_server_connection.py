"""A connection to a PostgreSQL server: what stays right whatever came before, and whatever a role has set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from moneyer.node.config import Config
from moneyer.node.store import meta
from moneyer.node.store.backends.postgres import pg_connection
from moneyer.node.store.backends.postgres.pg_address import conninfo
from moneyer.node.store.backends.postgres.pg_connection import ServerConnection, connect
from moneyer.node.store.backends.postgres.pg_writing import connect_to_write
from moneyer.node.store.backends.statements import change_mark, execute
from moneyer.node.store.errors import StoreBusy, StoreFailed, StoreRefused
from moneyer.node.store.opening.server_database import ServerDatabase
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import postgres_server
from tests.kit.waiting import wait_until

COIN = easy_coin()


def ask(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def reader(fresh_database: str) -> Iterator[ServerConnection]:
    ask(fresh_database, "CREATE TABLE given (a bigint)", "INSERT INTO given VALUES (7)")
    with closing(connect(conninfo(fresh_database))) as connection:
        yield connection


def test_a_statement_that_could_not_be_planned_anew_runs_later(
    reader: ServerConnection, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT a FROM given WHERE a = %s"
    assert reader.run(sql, (7,)).fetchall() == [(7,)]
    monkeypatch.setattr(pg_connection, "_PLAN_SECONDS", 0.0)
    reader._plans = {key: (name, 0.0) for key, (name, _) in reader._plans.items()}
    reader.message(b"SET lock_timeout = '50ms'")
    with closing(psycopg.connect(fresh_database)) as other:
        other.execute("LOCK TABLE given IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            reader.run(sql, (7,))
        other.rollback()  # a connection that is only closed has its lock for a moment more
    for _ in range(3):
        assert reader.run(sql, (7,)).fetchall() == [(7,)]
    prepared = reader.run("SELECT count(*) FROM pg_prepared_statements WHERE starts_with(statement, 'SELECT a')", ())
    assert prepared.fetchall() == [(1,)]


def test_a_rolled_back_transaction_leaves_every_statement_usable(
    reader: ServerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_connection, "_PREPARED", 4)
    monkeypatch.setattr(pg_connection, "_PLAN_SECONDS", 0.0)
    statements = [f"SELECT a + {i} FROM given WHERE a = %s" for i in range(6)]
    for sql in statements * 2:
        reader.begin_reading(counted=False)
        with pytest.raises(psycopg.errors.DivisionByZero):
            reader.run("SELECT 1 / %s::bigint", (0,))
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            reader.run(sql, (7,))
        reader.end_reading()
        assert len(reader.run(sql, (7,)).fetchall()) == 1


def test_settings_of_a_database_change_nothing_of_what_is_read_and_written(fresh_database: str, tmp_path: Path) -> None:
    settings = (
        *("bytea_output = 'escape'", "standard_conforming_strings = off", "client_min_messages = 'error'"),
        *("statement_timeout = '900ms'", "lock_timeout = '900ms'", "default_transaction_isolation = 'serializable'"),
        *("array_nulls = off", "plan_cache_mode = 'force_generic_plan'", "backslash_quote = off"),
    )
    name = fresh_database.rpartition("/")[2]
    ask(fresh_database, *(f"ALTER DATABASE {name} SET {setting}" for setting in settings))
    chain = ChainBuilder(COIN)
    with Node(tmp_path, COIN, database_url=fresh_database) as node:
        version = node.store.data_version()
        assert node.offer_all(chain.grow(3)) == ["extended"] * 3
        assert node.tip_hash == chain.tip_hash
        assert node.store.data_version() == version + 3
        node.store.write(lambda conn: conn.exec_driver_sql("SELECT pg_sleep(1)").close())
        with node.store.read() as conn:
            conn.exec_driver_sql("SELECT pg_sleep(1)").close()


def test_a_writer_hears_that_a_replica_was_not_waited_for_whatever_its_role_wants_to_hear(tmp_path: Path) -> None:
    cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with (
        postgres_server(client_min_messages="error") as server,
        Node(tmp_path, COIN, database_url=server.url()) as node,
    ):
        server.configure(synchronous_standby_names="nobody")
        write = node.store.submit(lambda conn: meta.put(conn, "here", b"1"))
        wait_until(lambda: server.ask(cancel), 30, "the commit to wait")
        with pytest.raises(StoreFailed, match="did not wait until its replica has"):
            write.result(30)
        server.configure(synchronous_standby_names="")


def test_a_process_reads_its_own_write_though_the_replica_lags(tmp_path: Path) -> None:
    with postgres_server() as primary, Node(tmp_path, COIN, database_url=primary.url()), primary.replica() as replica:
        config: dict[str, Any] = {"database_url": primary.url(), "read_database_url": replica.url()}
        with Node(tmp_path, COIN, **config) as node, Node(tmp_path, COIN, **config) as other:
            replica.wait_for_replay(primary)
            replica.hold_replay()
            node.store.write(lambda conn: meta.put(conn, "here", b"1"))
            with node.store.read() as conn:
                assert meta.get(conn, "here") == b"1"
            # Within a write transaction a process sees what others wrote, and does not forget it behind that.
            assert other.store.write(lambda conn: meta.get(conn, "here")) == b"1"
            with other.store.read() as conn:
                assert meta.get(conn, "here") == b"1"
            replica.let_replay()


@pytest.mark.parametrize(
    ("statement", "by_cursor"),
    [
        ("DELETE FROM given", True),
        ("  delete from given", False),
        ("WITH gone AS (DELETE FROM given RETURNING a) SELECT count(*) FROM gone", True),
        ("with gone as (delete from given returning a) select count(*) from gone", False),
        ("EXPLAIN ANALYZE DELETE FROM given", True),
        ("SELECT empty_given()", True),
        ("SELECT empty_given()", False),
        ("DO 'BEGIN DELETE FROM given; END'", True),
        ("TRUNCATE given", False),
        ("SELECT a FROM given", True),
        ("WITH all_of AS (SELECT a FROM given) SELECT a FROM all_of", False),
    ],
)
def test_whatever_changes_rows_raises_the_counter_and_nothing_else_does(
    statement: str, by_cursor: bool, fresh_database: str, tmp_path: Path
) -> None:
    with (
        Node(tmp_path, COIN, database_url=fresh_database) as node,
        closing(psycopg.connect(fresh_database, autocommit=True)) as outside,
    ):
        outside.execute("CREATE TABLE given AS SELECT 7 AS a")
        outside.execute("CREATE FUNCTION empty_given() RETURNS void LANGUAGE sql AS 'DELETE FROM given'")

        def job(conn: Connection) -> None:
            if by_cursor:
                conn.exec_driver_sql(statement).close()
            else:
                execute(conn, statement).close()

        version, mark = node.store.data_version(), node.store.write(change_mark)
        node.store.write(job, clean=True)
        ((has_changed,),) = outside.execute("SELECT count(*) = 0 FROM given").fetchall()
        assert node.store.data_version() == version + has_changed
        assert (node.store.write(change_mark) != mark) == has_changed


def test_no_time_to_wait_for_the_right_to_write_is_not_all_time(fresh_database: str, tmp_path: Path) -> None:
    with (
        Node(tmp_path, COIN, database_url=fresh_database) as node,
        Node(tmp_path, COIN, database_url=fresh_database, busy_seconds=0) as hasty,
    ):
        with closing(connect_to_write(conninfo(fresh_database), 1, 1)) as holder:
            holder.begin_writing()
            with pytest.raises(StoreBusy):
                hasty.store.write(lambda conn: None)
            holder.execute("ROLLBACK")  # a connection that is only closed has the right for a moment more
        assert hasty.store.write(lambda conn: 7) == 7
        assert node.store.write(lambda conn: 8) == 8


def test_a_chain_in_another_schema_of_the_database_is_not_overlooked(fresh_database: str, tmp_path: Path) -> None:
    with Node(tmp_path / "first", COIN, database_url=fresh_database):
        pass
    ask(fresh_database, "CREATE SCHEMA moneyer")
    hidden = f"{fresh_database}?options=-c%20search_path%3Dmoneyer"
    with pytest.raises(StoreRefused, match='a chain already, in the schema "public"'):
        Node(tmp_path / "second", COIN, database_url=hidden)
    with pytest.raises(StoreRefused, match="no schema there to keep tables in"):
        Node(tmp_path / "third", COIN, database_url=f"{fresh_database}?options=-c%20search_path%3Dnowhere")


def test_of_several_servers_to_read_from_one_that_follows_is_taken(tmp_path: Path) -> None:
    with postgres_server() as primary, Node(tmp_path, COIN, database_url=primary.url()), primary.replica() as replica:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{replica.port}"
        config: dict[str, Any] = {
            "database_url": primary.url(),
            "read_database_url": f"postgresql://moneyer@{hosts}/postgres",
        }
        replica.wait_for_replay(primary)
        with Node(tmp_path, COIN, **config) as node:

            def is_of_replica() -> bool:
                with node.store.read() as conn:
                    return bool(conn.exec_driver_sql("SELECT pg_is_in_recovery()").scalar())

            # One that does not answer within two seconds, as under load, is left alone for a second.
            wait_until(is_of_replica, 30, "the replica to be read")


def test_who_uses_a_database_is_seen_whatever_its_url_says(fresh_database: str, tmp_path: Path) -> None:
    other = f"{fresh_database}?application_name=mine&client_encoding=LATIN1"
    with Node(tmp_path, COIN, database_url=other) as node:
        node.store.write(lambda conn: None)
        database = ServerDatabase(Config(tmp_path, database_url=fresh_database))
        with closing(database), pytest.raises(StoreRefused, match="stop them first"):
            database.check_alone()


def test_a_machine_whose_clock_is_wrong_makes_no_process_forgotten(
    fresh_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process's row it is found out whether a commit came about whose answer was lost."""
    with Node(tmp_path / "first", COIN, database_url=fresh_database) as node:
        node.store.write(lambda conn: meta.put(conn, "here", b"1"))
        with monkeypatch.context() as wrong:
            wrong.setattr(time, "time", lambda: 4_000_000_000.0)
            with Node(tmp_path / "second", COIN, database_url=fresh_database) as other:
                other.store.write(lambda conn: meta.put(conn, "there", b"1"))
        with closing(psycopg.connect(fresh_database)) as outside:
            ((rows,),) = outside.execute("SELECT count(*) FROM processes WHERE committed > 0").fetchall()
        assert rows == 2
