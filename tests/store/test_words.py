"""What SQLite refuses is told by cause and remedy, in our words; SQLite's own stand in the log."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from moneyer.node.store import errors
from moneyer.node.store.backends.sqlite.driver import DatabaseError, driver
from moneyer.node.store.errors import Fault, StoreBusy, StoreFailed, cause_of, refused, unavailable
from tests.kit.words import NOT_FOR_PEOPLE

DATABASE = Path("/data/chain.db")


def raised(database: Path, statement: str, mode: str = "rw", **options: object) -> BaseException:
    """What the driver itself raises: no test knows its errors better."""
    connection = driver.connect(f"{database.as_uri()}?mode={mode}", uri=True, timeout=0, **options)
    try:
        with pytest.raises(DatabaseError) as error:
            connection.execute(statement).fetchall()
    finally:
        connection.close()
    return error.value


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "chain.db"
    connection = driver.connect(str(path))
    connection.executescript("CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES (1)")
    connection.close()
    return path


def no_database(database: Path) -> BaseException:
    database.write_bytes(b"a letter to a friend" * 1_000)
    return raised(database, "SELECT * FROM t")


def damaged(database: Path) -> BaseException:
    database.write_bytes(database.read_bytes()[:4096] + b"\xa5" * 4096)
    return raised(database, "SELECT count(*) FROM t")


def gone(database: Path) -> BaseException:
    database.unlink()
    with pytest.raises(DatabaseError) as error:
        driver.connect(f"{database.as_uri()}?mode=rw", uri=True)
    return error.value


def read_only(database: Path) -> BaseException:
    return raised(database, "INSERT INTO t VALUES (2)", mode="ro")


def contradicting(database: Path) -> BaseException:
    return raised(database, "INSERT INTO t VALUES (1)")


def without_a_table(database: Path) -> BaseException:
    return raised(database, "SELECT * FROM nowhere")


def full(database: Path) -> BaseException:
    connection = driver.connect(str(database))
    connection.execute("PRAGMA max_page_count=2")
    try:
        with pytest.raises(DatabaseError) as error:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    finally:
        connection.close()
    return error.value


CASES: dict[str, tuple[Callable[[Path], BaseException], Fault, str]] = {
    "no database": (no_database, Fault.DAMAGE, "what is in it is no database"),
    "damaged": (damaged, Fault.DAMAGE, "its pages contradict each other"),
    "gone": (gone, Fault.DISK, "cannot be opened"),
    "read only": (read_only, Fault.DISK, "it can be read only"),
    "contradicting": (contradicting, Fault.DAMAGE, "its rows contradict each other"),
    "full": (full, Fault.DISK, "the disk is full"),
    "without a table": (without_a_table, Fault.UNKNOWN, "what is in it cannot be read"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_of_sqlite_is_told_in_our_words_and_its_own_are_in_the_log(
    case: str, database: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, fault, words = CASES[case]
    error = make(database)
    monkeypatch.setattr(errors, "_noted", {})
    caplog.set_level(logging.INFO, "moneyer.store")
    wrapped = DBAPIError.instance("SELECT 1", None, error, driver.Error)
    assert cause_of(error) == cause_of(wrapped)
    assert cause_of(error).fault is fault
    assert words in cause_of(error).words
    for told in (unavailable(error).message, refused(DATABASE, error).message):
        assert str(error) not in told
        assert not NOT_FOR_PEOPLE.search(told), told
    assert not unavailable(error).details, "it would stand in an answer"
    (noted,) = [record.getMessage() for record in caplog.records]  # once: each request would meet it
    assert str(error) in noted


def test_a_database_in_use_is_busy_and_no_line_of_the_log(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "moneyer.store")
    other = driver.connect(str(database), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    error = raised(database, "INSERT INTO t VALUES (2)")
    other.close()
    assert cause_of(error).fault is Fault.BUSY
    assert isinstance(unavailable(error), StoreBusy)
    assert "in use by another process" in refused(DATABASE, error).message
    assert not caplog.records


def test_a_backup_that_fails_is_told_though_its_error_has_no_code(database: Path, tmp_path: Path) -> None:
    source, copy = driver.connect(str(database)), driver.connect(str(tmp_path / "copy.db"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(DatabaseError) as error:
            source.backup(copy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        source.close()
        copy.close()
    assert cause_of(error.value).words == "the disk failed to read or write"


def test_an_error_without_a_code_is_told_without_its_words() -> None:
    error = DatabaseError("the moon is full")
    assert type(unavailable(error)) is StoreFailed
    assert "moon" not in unavailable(error).message + refused(DATABASE, error).message


def test_every_kind_of_fault_says_what_to_do() -> None:
    for code, cause in errors.CAUSES.items():
        error = DatabaseError("x")
        error.sqlite_errorcode = code | 0x100  # type: ignore[attr-defined]  # an extended code has the same cause
        assert cause_of(error) == cause
        assert any(remedy in unavailable(error).message for remedy in ("try again", "see that", "moneyer verify"))
