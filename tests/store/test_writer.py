"""Group commit: one durable commit for many, and each job alone in what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text

from moneyer.node.core.errors import BadSequence, MoneyerError
from moneyer.node.store import meta
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.backends.sqlite.engines import open_engine
from moneyer.node.store.errors import StoreBusy, StoreFailed, StoreUnavailable
from moneyer.node.store.opening import schema
from moneyer.node.store.writer import MAX_WAITING, Writer
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

T = TypeVar("T")
Job = Callable[[Connection], object]


class Desk:
    """A writer on a database of its own, with a count of its commits."""

    def __init__(self, database: Path) -> None:
        schema.prepare(database)
        self.database = database
        self.commits = 0
        self.writer = Writer(open_engine(database, write=True, busy_seconds=0.1), self._count)

    def _count(self) -> None:
        self.commits += 1

    def keys(self) -> set[str]:
        """What is committed, as another connection sees it."""
        connection = driver.connect(str(self.database))
        try:
            return {key for (key,) in connection.execute("SELECT key FROM meta")}
        finally:
            connection.close()

    def write(self, job: Job) -> object:
        return self.writer.submit(job, clean=False).result(30)

    @contextmanager
    def queueing(self) -> Iterator[None]:
        """What is submitted meanwhile waits together: the writer is busy with another job."""
        inside, go_on = threading.Event(), threading.Event()

        def hold(_conn: Connection) -> None:
            inside.set()
            assert go_on.wait(30)

        first = self.writer.submit(hold, clean=False)
        assert inside.wait(30)
        yield
        go_on.set()
        first.result(30)

    def behind(self, callers: ThreadPoolExecutor, write: Callable[..., T], *arguments: object) -> Future[T]:
        """Have a thread of its own wait for a write, which stands in the queue when this returns."""
        before = self.writer.waiting
        answer = callers.submit(write, *arguments)
        wait_until(lambda: self.writer.waiting > before, 30, "the write to be queued")
        return answer

    def together(self, *jobs: Job, clean: bool = False) -> list[Future[object]]:
        """Have the jobs run in one group."""
        with self.queueing():
            futures = [self.writer.submit(job, clean) for job in jobs]
        for future in futures:
            future.exception(30)
        return futures


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path / "chain.db")
    yield opened
    opened.writer.close()


def put(key: str) -> Job:
    return lambda conn: meta.put(conn, key, b"x")


def put_then_fail(key: str, error: BaseException) -> Job:
    def job(conn: Connection) -> None:
        meta.put(conn, key, b"x")
        raise error

    return job


def break_at_commit(conn: Connection) -> None:
    """A change that SQLite refuses only when the whole transaction is committed."""
    conn.execute(text("PRAGMA defer_foreign_keys=ON"))
    conn.execute(text("INSERT INTO bodies VALUES (99, 0, x'00', x'00')"))


def test_jobs_that_wait_share_one_commit(desk: Desk) -> None:
    futures = desk.together(*(put(str(number)) for number in range(100)))
    assert [future.result() for future in futures] == [None] * 100
    assert desk.commits == 2  # the one that they waited for, and theirs
    assert len(desk.keys()) == 100


def test_many_threads_at_once_are_all_served_in_fewer_commits(desk: Desk) -> None:
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda number: desk.write(put(str(number))), range(400)))
    assert len(desk.keys()) == 400
    assert desk.commits < 400


def test_a_job_that_fails_is_undone_alone_and_told_its_own_error(desk: Desk) -> None:
    error = KeyError("mine")
    good, bad, doubled, after = desk.together(put("a"), put_then_fail("b", error), put("a"), put("c"))
    assert good.exception() is after.exception() is None
    assert bad.exception() is error
    assert isinstance(doubled.exception(), StoreFailed)  # a key twice: an IntegrityError
    assert "rows contradict each other" in str(doubled.exception())
    assert desk.keys() == {"a", "c"}
    assert desk.commits == 2


def test_a_job_that_refuses_before_it_changes_anything_needs_no_savepoint_and_is_told_alone(desk: Desk) -> None:
    def refuse(_conn: Connection) -> None:
        raise BadSequence("used")

    futures = desk.together(put("a"), refuse, put("b"), clean=True)
    assert [type(future.exception()) for future in futures] == [type(None), BadSequence, type(None)]
    assert desk.keys() == {"a", "b"}


@pytest.mark.parametrize("error", [KeyError("a bug"), None], ids=["a bug", "the database"])
def test_without_a_savepoint_an_error_that_may_have_changed_something_takes_the_group_with_it(
    desk: Desk, error: Exception | None
) -> None:
    wrong = put_then_fail("b", error) if error else put("a")  # a key twice
    futures = desk.together(put("a"), wrong, put("c"), clean=True)
    assert all(future.exception() is not None for future in futures)
    assert desk.keys() == set()
    desk.write(put("d"))
    assert desk.keys() == {"d"}


def test_a_savepoint_inside_a_failing_job_goes_with_it(desk: Desk) -> None:
    def failing(conn: Connection) -> None:
        with conn.begin_nested():
            meta.put(conn, "gone", b"x")
            raise ZeroDivisionError

    def job(conn: Connection) -> None:
        with conn.begin_nested():
            meta.put(conn, "kept", b"x")
        with pytest.raises(ZeroDivisionError):
            failing(conn)

    futures = desk.together(job, failing, put("other"))
    assert [type(future.exception()) for future in futures] == [type(None), ZeroDivisionError, type(None)]
    assert desk.keys() == {"kept", "other"}


def test_items_side_by_side_go_to_their_job_at_once_and_one_that_is_refused_is_told_alone(desk: Desk) -> None:
    calls: list[list[str]] = []

    def put_all(conn: Connection, keys: Sequence[str]) -> list[str | MoneyerError]:
        calls.append(list(keys))
        answers: list[str | MoneyerError] = []
        for item in keys:
            if item.startswith("no"):
                answers.append(BadSequence(item))
            else:
                put(item)(conn)
                answers.append(f"{item} is in")
        return answers

    with ThreadPoolExecutor(4) as callers, desk.queueing():
        futures = [desk.behind(callers, desk.writer.write_item, put_all, item) for item in ("a", "no b", "c")]
        between = desk.writer.submit(put("between"), clean=False)
        last = desk.behind(callers, desk.writer.write_item, put_all, "d")
    assert futures[0].result(30) == "a is in"
    assert isinstance(futures[1].exception(30), BadSequence)
    assert futures[2].result(30) == "c is in"
    between.result(30)
    assert last.result(30) == "d is in"
    assert calls == [["a", "no b", "c"], ["d"]]
    assert desk.commits == 2
    assert {"a", "c", "d", "between"} <= desk.keys()


def test_after_a_commit_that_failed_nobody_is_told_it_worked_and_the_writer_works_on(desk: Desk) -> None:
    for attempt in range(3):
        futures = desk.together(put(f"before {attempt}"), break_at_commit, put(f"after {attempt}"))
        assert all(isinstance(future.exception(), StoreUnavailable) for future in futures)
        assert desk.keys() == {f"fine {number}" for number in range(attempt)}
        desk.write(put(f"fine {attempt}"))
    mode = desk.write(lambda conn: conn.exec_driver_sql("PRAGMA synchronous").scalar())
    assert mode == 2  # the new connection is as durable as the first


def test_a_job_that_ends_the_program_does_not_end_the_writer(desk: Desk) -> None:
    futures = desk.together(put("a"), put_then_fail("b", SystemExit(3)), put("c"))
    assert all(isinstance(future.exception(), SystemExit) for future in futures)
    desk.write(put("d"))
    assert desk.keys() == {"d"}


def test_a_lock_that_lasts_is_busy_for_everyone_and_gone_when_it_is_released(desk: Desk) -> None:
    other = driver.connect(str(desk.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for future in [desk.writer.submit(put(key), clean=False) for key in "ab"]:
        with pytest.raises(StoreBusy):
            future.result(30)
    assert (desk.writer.commits, desk.writer.failed) == (0, 2)
    waited = wait_until(lambda: desk.writer.seconds, 10, "their time to be added, behind their answers")
    other.execute("ROLLBACK")
    other.close()
    desk.write(put("c"))
    assert desk.keys() == {"c"}
    assert (desk.writer.commits, desk.writer.failed) == (1, 2)
    wait_until(lambda: desk.writer.seconds > waited, 10, "its time to be added")


def test_who_queued_behind_a_lock_that_lasts_does_not_wait_for_it_a_second_time(tmp_path: Path) -> None:
    schema.prepare(tmp_path / "chain.db")
    other = driver.connect(str(tmp_path / "chain.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for patience in (2, 8, 32):  # on a busy machine it may take longer than some seconds to fill the queue
        writer = Writer(open_engine(tmp_path / "chain.db", write=True, busy_seconds=patience), lambda: None)
        first = writer.submit(put("a"), clean=False)
        wait_until(lambda: not writer.waiting, 10, "the first to be tried")  # noqa: B023
        behind = [writer.submit(put(str(number)), clean=False) for number in range(MAX_WAITING - 1)]
        if refused := refusal_of_one_more(writer):
            break
        writer.close()
    assert f"{MAX_WAITING} writes wait already" in refused
    with pytest.raises(StoreBusy):
        first.result(120)
    other.execute("ROLLBACK")  # in time for those behind, had they been tried
    for future in behind:
        with pytest.raises(StoreBusy):
            future.result(30)
    assert writer.submit(lambda _conn: 7, clean=False).result(30) == 7
    assert writer.commits == 1
    other.close()
    writer.close()


def refusal_of_one_more(writer: Writer) -> str:
    """What a full queue says; nothing where the writer has taken the job."""
    try:
        writer.submit(put("one too many"), clean=False)
    except StoreBusy as busy:
        return busy.message
    return ""


def test_who_comes_behind_an_answer_of_busy_is_tried(desk: Desk) -> None:
    """It has not waited yet, whatever else the writer's thread still has to do."""
    heard, go_on = threading.Event(), threading.Event()

    def hold_the_writer(_first: Future[object]) -> None:
        heard.set()
        assert go_on.wait(30)

    with closing(driver.connect(str(desk.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = desk.writer.submit(put("a"), clean=False)
        first.add_done_callback(hold_the_writer)
        assert heard.wait(30)
        other.execute("ROLLBACK")
        second = desk.writer.submit(put("b"), clean=False)
        go_on.set()
        with pytest.raises(StoreBusy):
            first.result(30)
        second.result(30)
    assert desk.keys() == {"b"}


def test_a_bell_that_cannot_be_rung_does_not_unmake_a_commit(tmp_path: Path) -> None:
    def broken() -> None:
        raise OSError("no bells")

    schema.prepare(tmp_path / "chain.db")
    writer = Writer(open_engine(tmp_path / "chain.db", write=True), broken)
    assert writer.submit(lambda _conn: 7, clean=False).result(30) == 7
    writer.close()


def test_a_job_cannot_wait_for_another_one(desk: Desk) -> None:
    with pytest.raises(RuntimeError):
        desk.write(lambda _conn: desk.writer.submit(put("a"), clean=False))
    assert desk.keys() == set()


def test_closing_finishes_what_is_queued_and_leaves_nobody_waiting(desk: Desk) -> None:
    answers: list[bool] = []

    def write_until_closed(thread: int) -> None:
        for number in range(10_000):
            try:
                desk.write(put(f"{thread} {number}"))
            except StoreFailed:
                return
            answers.append(True)

    threads = [threading.Thread(target=write_until_closed, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while len(answers) < 20:
        threads[0].join(0.01)
    desk.writer.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert len(desk.keys()) == len(answers)


def test_a_caller_that_finds_nobody_leading_writes_by_itself_and_the_main_thread_never_does(desk: Desk) -> None:
    def who(_conn: Connection) -> str:
        return threading.current_thread().name

    with ThreadPoolExecutor(1, thread_name_prefix="caller") as caller:
        assert caller.submit(desk.writer.write, who, clean=False).result(30) == "caller_0"
        assert caller.submit(desk.writer.submit(who, clean=False).result, 30).result(30) == "writer"
    assert desk.writer.write(who, clean=False) == "writer"


def test_the_lead_passes_to_the_caller_that_is_first_and_to_the_writers_thread_where_none_waits(desk: Desk) -> None:
    led: list[str] = []

    def note(_conn: Connection) -> None:
        led.append(threading.current_thread().name)

    with ThreadPoolExecutor(2, thread_name_prefix="caller") as callers, desk.queueing():
        waiting = [desk.behind(callers, desk.writer.write, note, False) for _ in range(2)]
        alone = desk.writer.submit(note, clean=False, alone=True)
    for each in (*waiting, alone):
        each.result(30)
    assert led == ["caller_0", "caller_0", "writer"]
    assert desk.commits == 3


@pytest.mark.parametrize("error", [KeyError("a bug"), SystemExit(3)], ids=["a bug", "the end of the program"])
def test_a_leader_whose_own_job_fails_passes_the_lead_on(desk: Desk, error: BaseException) -> None:
    with ThreadPoolExecutor(2) as callers:
        with desk.queueing():
            bad = desk.behind(callers, desk.writer.write, put_then_fail("a", error), False)
            alone = desk.writer.submit(put("b"), clean=False, alone=True)
        assert bad.exception(30) is error
        alone.result(30)
        callers.submit(desk.writer.write, put("c"), False).result(30)
    assert desk.keys() == {"b", "c"}


def test_closing_waits_for_a_caller_that_leads(desk: Desk) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold(conn: Connection) -> None:
        inside.set()
        assert go_on.wait(30)
        put("held")(conn)

    with ThreadPoolExecutor(2) as callers:
        held = callers.submit(desk.writer.write, hold, False)
        assert inside.wait(30)
        behind = desk.behind(callers, desk.writer.write, put("behind"), False)
        closing = threading.Thread(target=desk.writer.close)
        closing.start()
        wait_until(lambda: not takes_more(desk), 30, "the writer to be closed")
        assert closing.is_alive()
        go_on.set()
        held.result(30)
        behind.result(30)
        closing.join(30)
        assert not closing.is_alive()
    assert desk.keys() == {"held", "behind"}


def takes_more(desk: Desk) -> bool:
    """Whether the writer still takes jobs. What it is asked to do changes nothing."""
    try:
        desk.writer.submit(lambda _conn: None, clean=True)
    except StoreFailed:
        return False
    except StoreBusy:  # by now so many of these wait
        return True
    return True
