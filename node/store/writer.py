"""The one place where a process writes: many jobs, one durable commit.

A job runs inside a transaction that has the only right to write, behind a savepoint of its own unless it is `clean` or
`alone`; one that raises is rolled back alone. Jobs for many items at once (`write_item`) run once for neighbours in the
queue. A caller gets its answer only after the commit.

Group commit with a leader: one thread at a time has the lead, takes what is queued, commits it, and passes the lead on
to the caller whose job stands first in the queue then. A caller that finds the lead free takes it, so that a single
writer waits for no other thread. The writer's own thread leads where the first in the queue does not wait itself: it
came by `submit`, or it is the main thread, which signals may interrupt anywhere.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..core.errors import MoneyerError
from .backends.backend import CommitUnknown
from .backends.statements import execute
from .errors import StoreBusy, StoreConflict, StoreFailed, StoreLost, unavailable

T = TypeVar("T")
Item = TypeVar("Item")
Job = Callable[[Connection], Any]
ItemsJob = Callable[[Connection, Sequence[Item]], Sequence[T | MoneyerError]]
"""Answers in the order of the items. It changes nothing for an item that it answers with an error."""

_GROUP = 128
"""Jobs at most in one commit: bounds how long the first one waits for the last."""

_TRIES = 4
"""Of a group whose transaction was in another one's way: they are rare, as only one process writes at a time."""

_PASSED_ON = 0
"""In place of a leader's identity, until the one that was called has the lead."""

MAX_WAITING = 256
"""Jobs that wait at once; each holds a thread of whoever asked. The next ones are told to come again."""


class _Queued:
    """A job by itself, or an item of a job for many, and what came of it. `future`: of a caller that does not wait."""

    __slots__ = (
        *("job", "clean", "alone", "items_job", "item", "future"),
        *("result", "error", "may_lead", "has_lead", "_woken"),
    )

    def __init__(
        self,
        job: Job | None = None,
        *,
        clean: bool = False,
        alone: bool = False,
        items_job: ItemsJob[Any, Any] | None = None,
        item: Any = None,
        future: Future[Any] | None = None,
    ) -> None:
        self.job = job
        self.clean = clean
        self.alone = alone
        self.items_job = items_job
        self.item = item
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None
        self.may_lead = future is None and threading.current_thread() is not threading.main_thread()
        """Whether its caller waits, and nothing can interrupt it there."""
        self.has_lead = False
        """Whether its caller has the lead."""
        self._woken = threading.Lock()
        self._woken.acquire()

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Give the caller its answer."""
        self.result, self.error = result, error
        if self.future is None:
            self._woken.release()
        elif error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def lead(self) -> None:
        """Have the caller, which waits, take the lead."""
        self.has_lead = True
        self._woken.release()

    def wait(self) -> None:
        """Until it is finished, or its caller has the lead."""
        self._woken.acquire()

    def answer(self) -> Any:
        """What `finish` was given. Raises the error."""
        try:
            if self.error is not None:
                raise self.error
            return self.result
        finally:
            self.error = None  # which holds this frame


_Answer = tuple[_Queued, Any, BaseException | None]


class _Undone(Exception):
    """A job that was alone in its transaction raised `error`: everything is rolled back."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Writer:
    """Has the one connection that writes. `check_file` is called before a group and its commit, and raises where the
    file is gone; `after_commit` behind each group; `has_committed` where the answer to a COMMIT was lost."""

    def __init__(
        self,
        engine: Engine,
        after_commit: Callable[[], None],
        check_file: Callable[[], None] = lambda: None,
        has_committed: Callable[[CommitUnknown], bool] = lambda _: False,
    ) -> None:
        self.engine = engine
        self._has_committed = has_committed
        self._check_file = check_file
        self._after_commit = after_commit
        self._connection: Connection | None = None
        """Held from group to group; None before the first one and after a failure."""
        self._has_begun = False
        """Whether the transaction of the group that is being written has begun."""
        self.commits = 0
        """Groups that were written since this process began."""
        self.seconds = 0.0
        """Spent on groups since then, waits for the right to write included."""
        self.failed = 0
        """Jobs since then that were not written because of the database."""
        self._door = threading.Lock()
        """Held for moments, round the fields below."""
        self._jobs: deque[_Queued] = deque()
        self._under_way = 0
        """Jobs of the group that is being written."""
        self._leader: int | None = None
        """The thread that has the lead, by its identity; None where nobody has."""
        self._closed = False
        self._calls: SimpleQueue[bool] = SimpleQueue()
        """For the writer's own thread: True to lead, False to end."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs in the queue; those that were taken from it are under way, or done."""
        return len(self._jobs)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, job: Callable[[Connection], T], clean: bool, alone: bool = False) -> Future[T]:
        """The job's result, once it is durable; or what the job raised, StoreBusy or StoreFailed.

        `clean`: it raises only before it has changed anything, and so needs no savepoint. `alone`: it has a transaction
        of its own, and so needs none either: for what changes many rows, which within a savepoint takes far longer.
        """
        future: Future[T] = Future()
        self._enter(_Queued(job, clean=clean, alone=alone, future=future))
        return future

    def write(self, job: Callable[[Connection], T], clean: bool) -> T:
        """`submit` for a caller that waits."""
        result: T = self._finished(_Queued(job, clean=clean))
        return result

    def write_item(self, items_job: ItemsJob[Item, T], item: Item) -> T:
        """`write` for one item of a job that takes many: neighbours in the queue are given to it together."""
        result: T = self._finished(_Queued(items_job=items_job, item=item))
        return result

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._door:
            if not self._closed:
                self._closed = True
                if self._leader is None:
                    self._calls.put(False)
        self._thread.join()
        self._let_go()

    def _finished(self, queued: _Queued) -> Any:
        """The answer to a job whose caller waits. Leads where nobody else does, and where it is asked to."""
        if not self._enter(queued):
            queued.wait()
        if queued.has_lead:
            self._lead()
        return queued.answer()

    def _enter(self, queued: _Queued) -> bool:
        """Queue a job; True where its caller has the lead now, as nobody else had. Raises StoreFailed, StoreBusy."""
        me = threading.get_ident()
        with self._door:
            if self._leader == me:
                raise RuntimeError("a job cannot wait for another job")
            if self._closed:
                raise StoreFailed("the node is stopping")
            if len(self._jobs) + self._under_way >= MAX_WAITING:
                raise StoreBusy(f"{MAX_WAITING} writes wait already: try again")
            self._jobs.append(queued)
            if self._leader is not None:
                return False
            self._leader = me if queued.may_lead else _PASSED_ON
        if queued.may_lead:
            queued.has_lead = True
        else:
            self._calls.put(True)
        return queued.may_lead

    def _run(self) -> None:
        while self._calls.get():
            self._lead()

    def _lead(self) -> None:
        """Write what is queued as one group, and pass the lead on."""
        self._leader = threading.get_ident()
        began = monotonic()
        try:
            self._commit_group(self._next_group())
        finally:
            self.seconds += monotonic() - began
            self._pass_on()

    def _pass_on(self) -> None:
        with self._door:
            first = self._jobs[0] if self._jobs else None
            self._leader = None if first is None else _PASSED_ON
            if first is None:
                if self._closed:
                    self._calls.put(False)
                return
        if first.may_lead:
            first.lead()
        else:
            self._calls.put(True)

    def _next_group(self) -> list[_Queued]:
        """The queued jobs that are written together: neighbours, or one that has to be alone."""
        group: list[_Queued] = []
        with self._door:
            while self._jobs and len(group) < _GROUP and not (group and self._jobs[0].alone):
                group.append(self._jobs.popleft())
                if group[-1].alone:
                    break
            self._under_way = len(group)
        return group

    def _taken_behind(self) -> list[_Queued]:
        """All that is queued now, taken from the queue."""
        with self._door:
            behind = list(self._jobs)
            self._jobs.clear()
        return behind

    def _commit_group(self, group: list[_Queued]) -> None:
        """Runs and commits a group."""
        for left in reversed(range(_TRIES)):
            was_open = self._connection is not None
            answers: list[_Answer] = []
            try:
                self._write(group, answers)
            except _Undone as undone:
                self._answer([(group[0], None, undone.error)])
            except DBAPIError as error:
                failed = unavailable(error)
                # An open connection that is lost before its transaction: the server was restarted since the last one.
                is_stale = isinstance(failed, StoreLost) and was_open and not self._has_begun
                if left and (is_stale or isinstance(failed, StoreConflict)):
                    self._let_go()
                    continue
                if isinstance(failed, StoreBusy):
                    # Another process holds the database: who queued meanwhile has waited as long, and waits no second
                    # time. Whoever comes behind the first answer has not, and is tried.
                    group = [*group, *self._taken_behind()]
                self._fail(group, failed)
                return
            except CommitUnknown as unknown:
                self._look_up(group, answers, unknown)
            except BaseException as error:
                self._fail(group, error)
            else:
                self._committed(answers)
            return

    def _write(self, group: list[_Queued], answers: list[_Answer]) -> None:
        """One transaction; what came of each job is added to `answers`."""
        self._has_begun = False
        self._check_file()
        if self._connection is None:
            self._connection = self.engine.connect()
        with self._connection.begin():
            self._has_begun = True
            for items_job, queued in itertools.groupby(group, lambda each: each.items_job):
                if items_job is not None:
                    answers += self._run_items(self._connection, items_job, list(queued))
                else:
                    answers += [self._run_one(self._connection, each) for each in queued]
            self._check_file()

    def _look_up(self, group: list[_Queued], answers: list[_Answer], unknown: CommitUnknown) -> None:
        """Find out what became of a COMMIT whose answer was lost, before anybody has one."""
        self._let_go()
        try:
            has_committed = self._has_committed(unknown)
        except MoneyerError as error:
            self._fail(group, error)
            return
        if has_committed:
            self._committed(answers)
        else:
            self._fail(group, StoreLost("the database was lost before it had written this: try again"))

    def _committed(self, answers: list[_Answer]) -> None:
        self.commits += 1
        self._ring()
        self._answer(answers)

    def _answer(self, answers: list[_Answer]) -> None:
        self._under_way = 0
        for queued, result, error in answers:
            queued.finish(result, error)

    @staticmethod
    def _run_items(connection: Connection, job: ItemsJob[Any, Any], queued: list[_Queued]) -> list[_Answer]:
        results = job(connection, [each.item for each in queued])
        return [
            (each, None, result) if isinstance(result, MoneyerError) else (each, result, None)
            for each, result in zip(queued, results, strict=True)
        ]

    def _run_one(self, connection: Connection, queued: _Queued) -> _Answer:
        assert queued.job is not None  # noqa: S101 - there is one, or an item
        if queued.alone:
            return queued, self._run_alone(connection, queued.job), None
        run = self._run_clean if queued.clean else self._run_job
        return (queued, *run(connection, queued.job))

    @staticmethod
    def _run_alone(connection: Connection, job: Job) -> Any:
        """The job's result. Raises _Undone with what it raised, so that the transaction is rolled back."""
        try:
            return job(connection)
        except DBAPIError:
            raise
        except Exception as error:
            raise _Undone(error) from None

    def _run_job(self, connection: Connection, job: Job) -> tuple[Any, BaseException | None]:
        """The job's result or error. Raises only where the whole transaction is lost."""
        execute(connection, "SAVEPOINT job").close()
        try:
            result = job(connection)
        except DBAPIError as error:
            try:
                self._undo(connection)
            except SQLAlchemyError:
                # A full disk or a failing one has rolled everything back, this job's savepoint too; or a server is
                # gone, and its connection.
                raise error from None
            failed = unavailable(error)
            if isinstance(failed, StoreConflict):
                raise  # the whole group is tried again
            return None, failed
        except Exception as error:
            self._undo(connection)
            return None, error
        execute(connection, "RELEASE job").close()
        return result, None

    @staticmethod
    def _run_clean(connection: Connection, job: Job) -> tuple[Any, BaseException | None]:
        """The same for a job that changes nothing where it answers with an error; any other loses the group."""
        try:
            return job(connection), None
        except MoneyerError as error:
            return None, error

    @staticmethod
    def _undo(connection: Connection) -> None:
        execute(connection, "ROLLBACK TO job").close()
        execute(connection, "RELEASE job").close()

    def _ring(self) -> None:
        # What is committed is committed, whether or not anyone could be told: they look again by themselves.
        with contextlib.suppress(Exception):
            self._after_commit()

    def _fail(self, group: list[_Queued], error: BaseException) -> None:
        # An error at COMMIT leaves SQLite's transaction open; the connection is thrown away, and with it the rest.
        self.failed += len(group)
        self._let_go()
        self._ring()  # an error at COMMIT can still have committed: whoever watches looks
        self._answer([(queued, None, error) for queued in group])

    def _let_go(self) -> None:
        """Close the connection; the next group has another one."""
        connection, self._connection = self._connection, None
        with contextlib.suppress(Exception):
            if connection is not None:
                connection.close()
        with contextlib.suppress(Exception):
            self.engine.dispose()
