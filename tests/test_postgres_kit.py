"""The kit's PostgreSQL servers do what tests ask of them, and none stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit import databases
from tests.kit.databases import within
from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.shared import Databases, shared
from tests.kit.system.process_tree import is_gone
from tests.kit.system.processes import Child, Pipe, children
from tests.kit.waiting import wait_until

psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        yield started


def write(server: PostgresServer, number: int) -> None:
    server.ask("CREATE TABLE IF NOT EXISTS numbers (number int PRIMARY KEY)")
    server.ask("INSERT INTO numbers VALUES (%s)", number)


def numbers(server: PostgresServer) -> set[int]:
    return {number for (number,) in server.ask("SELECT number FROM numbers")}


def test_a_server_commits_durably_and_is_reached_both_ways(server: PostgresServer) -> None:
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert server.ask(f"SHOW {name}") == [("on",)]
    assert server.ask("SELECT 1 + %s", 1) == [(2,)]
    for url in (server.url(), server.url(over_socket=True)):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_was_committed_outlives_a_stop_and_a_kill(server: PostgresServer) -> None:
    write(server, 1)
    server.restart()
    write(server, 2)
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        server.connect()
    server.start()
    assert numbers(server) >= {1, 2}


def test_backends_are_ended_and_killed_under_their_clients(server: PostgresServer) -> None:
    for end in (lambda pid: server.terminate_backends(), server.kill_backend):
        with server.connect() as connection:
            pid = connection.info.backend_pid
            wait_for_sessions(server, [pid])
            assert pid in server.backends("postgres")
            end(pid)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            wait_for_sessions(server, [])


def wait_for_sessions(server: PostgresServer, wanted: list[int]) -> None:
    """Asked by one connection: each that was closed is a session for a moment more."""
    clients = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with server.connect() as asking:
        wait_until(lambda: [pid for (pid,) in asking.execute(clients)] == wanted, 30, f"the sessions to be {wanted}")


def test_a_paused_server_says_nothing_until_it_goes_on(server: PostgresServer) -> None:
    with server.connect() as connection:
        server.pause()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url(), connect_timeout=2)
        server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_settings_are_changed_at_once_or_for_the_next_start(server: PostgresServer) -> None:
    server.configure(synchronous_commit="off", max_connections=20)
    assert server.ask("SHOW synchronous_commit") == [("off",)]
    assert server.ask("SHOW max_connections") == [("200",)]
    server.configure(synchronous_commit="on", fsync="off")
    server.restart()
    assert [server.ask(f"SHOW {name}") for name in ("synchronous_commit", "max_connections", "fsync")] == [
        *([("on",)], [("20",)], [("off",)])
    ]
    server.configure(max_connections=200, fsync="on")
    server.restart()


def test_a_synchronous_replica_lags_where_told_and_takes_over_with_all_that_was_acknowledged() -> None:
    with postgres_server() as primary, primary.replica(synchronous=True) as replica:
        assert primary.followers() == {"replica": "sync"}
        write(primary, 1)
        replica.wait_for_replay(primary)
        replica.hold_replay()
        write(primary, 2)
        assert replica.is_replica
        assert numbers(replica) == {1}
        replica.let_replay()
        replica.wait_for_replay(primary)
        assert numbers(replica) == {1, 2}
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            write(replica, 3)
        write(primary, 3)
        primary.kill()
        replica.promote()
        assert numbers(replica) == {1, 2, 3}
        write(replica, 4)  # and it waits for nobody itself


def test_a_replica_follows_late_where_told() -> None:
    with postgres_server() as primary, primary.replica("late") as replica:
        assert primary.followers() == {"late": "async"}
        write(primary, 1)
        replica.wait_for_replay(primary)
        replica.configure(recovery_min_apply_delay="1h")
        write(primary, 2)
        assert numbers(replica) == {1}
        replica.configure(recovery_min_apply_delay="0")
        wait_until(lambda: numbers(replica) == {1, 2}, 30, "the delay to be over")


MAKES_ONE = """
import sys, time
from tests.kit.postgres.cluster import PostgresServer
server = PostgresServer().start()
server.kill() if "dead" in sys.argv else server.pause() if "paused" in sys.argv else None
print(server.folder, server.process.pid if server.process else 0, server._keeper.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["alive", "paused", "dead"])
def test_a_server_ends_with_a_process_that_is_killed(state: str, server: PostgresServer) -> None:
    """`server`: skips where there is none."""
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKES_ONE, state], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        assert maker.stdout is not None
        folder, *pids = maker.stdout.readline().split()
    finally:
        maker.kill()
        maker.communicate()
    wait_until(lambda: all(is_gone(int(pid)) for pid in pids if pid != "0"), 30, "the server and its keeper to be gone")
    assert not Path(folder).exists()


def test_a_closed_server_leaves_nothing() -> None:
    with postgres_server() as server:
        assert server.process is not None
        pid = server.process.pid
    assert is_gone(pid)
    assert not server.folder.exists()


def test_a_fresh_database_is_empty_and_compares_by_bytes(fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SELECT 'B' < 'a', 'Z' < 'ä'").fetchone() == (True, True)
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def url_in_child(pipe: Pipe, folder: Path) -> None:
    where = databases.current()
    pipe.send(where and where.of_folder(folder))


def test_a_folder_has_one_database_in_every_process_and_they_end_with_their_block(tmp_path: Path) -> None:
    where = shared()
    with where.ended():
        with within(where), children(*(Child(url_in_child, tmp_path / "a") for _ in range(3))) as both:
            urls = {child.hear() for child in both} | {where.of_folder(tmp_path / "b" / ".." / "a")}
        assert len(urls) == 1
        assert len({where.of_folder(tmp_path / "b"), *urls}) == 2
        names = where.names()
        with psycopg.connect(urls.pop()) as connected:  # whoever is connected does not keep it
            with where.ended():
                last = where.fresh()
            assert where.names() == names
            connected.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(last)
    assert not where.names() & names


def test_a_server_that_was_named_is_taken(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONEYER_TEST_DATABASE", server.url())
    where: Databases = shared.__wrapped__()
    assert where.url == server.url()
    with where.ended():
        assert where.fresh().startswith(server.url().removesuffix("postgres"))
        assert len(where.names()) == 1


BOTH = """
import pytest
from tests.kit.databases import database, _a_test_leaves_no_database, choose, current

pytest_generate_tests = choose
pytestmark = pytest.mark.both_databases

@pytest.fixture(scope="module")
def of_file(database, tmp_path_factory):
    where = current()
    if where is not None:
        where.of_folder(tmp_path_factory.mktemp("node"))
    yield database
    assert where is None or len(where.names()) == 1

@pytest.fixture(autouse=True)
def one_of_a_test(of_file, tmp_path):
    if current() is not None:
        current().of_folder(tmp_path)
        assert len(current().names()) == 2

def test_first(database, of_file):
    assert of_file == database

def test_second(of_file):
    print("ran on", of_file)

@pytest.mark.sqlite_only("of its file")
def test_third(database):
    assert database == "sqlite"
"""


def test_a_file_of_both_runs_on_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "test_both.py").write_text(BOTH)
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\nmarkers =\n both_databases\n sqlite_only\npythonpath = {REPOSITORY}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-s", "-p", "no:cacheprovider", "test_both.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env={**os.environ}
    )  # fmt: skip
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("ran on sqlite") == done.stdout.count("ran on postgresql") == 1


def test_where_there_is_none_tests_skip_or_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.kit.postgres import binaries

    monkeypatch.setattr(binaries, "_folder", lambda: None)
    monkeypatch.delenv("MONEYER_TEST_DATABASE", raising=False)
    monkeypatch.delenv("MONEYER_REQUIRE_POSTGRES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        shared.__wrapped__()
    monkeypatch.setenv("MONEYER_REQUIRE_POSTGRES", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        shared.__wrapped__()
