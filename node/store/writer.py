"""The one writer thread of a process: many jobs, one durable commit.

A job runs inside `BEGIN IMMEDIATE`, behind a savepoint of its own unless it is `clean` or `alone`; one that raises is
rolled back alone. Jobs for many items at once (`submit_item`) run once for neighbours in the queue. A caller gets its
answer only after the commit.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..core.errors import MoneyerError
from .backends.engines import execute
from .errors import StoreBusy, StoreFailed, unavailable

T = TypeVar("T")
Item = TypeVar("Item")
Job = Callable[[Connection], Any]
ItemsJob = Callable[[Connection, Sequence[Item]], Sequence[T | MoneyerError]]
"""Answers in the order of the items. It changes nothing for an item that it answers with an error."""

_GROUP = 128
"""Jobs at most in one commit: bounds how long the first one waits for the last."""


@dataclass(frozen=True, slots=True)
class _Queued:
    """A job by itself, or an item of a job for many."""

    future: Future[Any]
    job: Job | None = None
    clean: bool = False
    alone: bool = False
    items_job: ItemsJob[Any, Any] | None = None
    item: Any = None


MAX_WAITING = 256
"""Jobs that wait at once; each holds a thread of whoever asked. The next ones are told to come again."""

_Answer = tuple[Future[Any], Any, BaseException | None]


class _Undone(Exception):
    """A job that was alone in its transaction raised `error`: everything is rolled back."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Writer:
    """Runs the thread. `check_file` is called before a group and its commit, and raises where the file is gone."""

    def __init__(
        self, engine: Engine, after_commit: Callable[[], None], check_file: Callable[[], None] = lambda: None
    ) -> None:
        self.engine = engine
        self._check_file = check_file
        self._after_commit = after_commit
        self._waiting = 0
        self._jobs: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._held: _Queued | None = None
        """The next job, taken from the queue already: it has to be alone."""
        self.commits = 0
        """Groups that were written since this process began."""
        self._closed = False
        self._door = threading.Lock()  # so that no job is queued behind the one that ends the thread
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether every job has been taken from the queue; it may still be under way."""
        return self._jobs.empty()

    def submit(self, job: Callable[[Connection], T], clean: bool, alone: bool = False) -> Future[T]:
        """The job's result, once it is durable; or what the job raised, StoreBusy or StoreFailed.

        `clean`: it raises only before it has changed anything, and so needs no savepoint. `alone`: it has a transaction
        of its own, and so needs none either: for what changes many rows, which within a savepoint takes far longer.
        """
        return self._queue(_Queued(Future(), job=job, clean=clean, alone=alone))

    def submit_item(self, job: ItemsJob[Item, T], item: Item) -> Future[T]:
        """`submit` for one item of a job that takes many: neighbours in the queue are given to it together."""
        return self._queue(_Queued(Future(), items_job=job, item=item))

    def _queue(self, queued: _Queued) -> Future[Any]:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a job cannot wait for another job")
        with self._door:
            if self._closed:
                raise StoreFailed("the node is stopping")
            if self._waiting >= MAX_WAITING:
                raise StoreBusy(f"{MAX_WAITING} writes wait already: try again")
            self._waiting += 1
            self._jobs.put(queued)
        queued.future.add_done_callback(self._done)
        return queued.future

    def _done(self, _: Future[Any]) -> None:
        with self._door:
            self._waiting -= 1

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()
        self.engine.dispose()

    def _run(self) -> None:
        while True:
            group, is_last = self._next_group()
            if group and not self._commit_group(group) and not is_last:
                # Another process holds the database: who queued meanwhile has waited as long, and waits no second time.
                is_last = self._fail_waiting()
            if is_last:
                return

    def _fail_waiting(self) -> bool:
        """Answers all queued jobs that the database is busy; True once the writer is to stop."""
        left = MAX_WAITING
        while left > 0:
            behind, is_last = self._next_group(blocks=False)
            self._fail(behind, StoreBusy("the database is busy with another process's work: try again"))
            if is_last or not behind:
                return is_last
            left -= len(behind)
        return False

    def _next_group(self, *, blocks: bool = True) -> tuple[list[_Queued], bool]:
        """The queued jobs (`blocks`: waits for a first one), and whether the writer is to stop."""
        group: list[_Queued] = []
        while len(group) < _GROUP:
            try:
                item = self._held or self._jobs.get(block=blocks and not group)
            except queue.Empty:
                break
            if item is None:
                return group, True
            self._held = item if item.alone and group else None
            if self._held is not None:
                break
            group.append(item)
            if item.alone:
                break
        return group, False

    def _commit_group(self, group: list[_Queued]) -> bool:
        """Runs and commits a group; False where another process held the database for as long as a writer waits."""
        answers: list[_Answer] = []
        try:
            self._check_file()
            with self.engine.connect() as connection, connection.begin():
                for items_job, queued in itertools.groupby(group, lambda each: each.items_job):
                    if items_job is not None:
                        answers += self._run_items(connection, items_job, list(queued))
                    else:
                        answers += [self._run_one(connection, each) for each in queued]
                self._check_file()
        except _Undone as undone:
            group[0].future.set_exception(undone.error)
        except DBAPIError as error:
            failed = unavailable(error)
            self._fail(group, failed)
            return not isinstance(failed, StoreBusy)
        except BaseException as error:
            self._fail(group, error)
        else:
            self.commits += 1
            self._ring()
            for future, result, problem in answers:
                if problem is None:
                    future.set_result(result)
                else:
                    future.set_exception(problem)
        return True

    @staticmethod
    def _run_items(connection: Connection, job: ItemsJob[Any, Any], queued: list[_Queued]) -> list[_Answer]:
        results = job(connection, [each.item for each in queued])
        return [
            (each.future, None, result) if isinstance(result, MoneyerError) else (each.future, result, None)
            for each, result in zip(queued, results, strict=True)
        ]

    def _run_one(self, connection: Connection, queued: _Queued) -> _Answer:
        assert queued.job is not None  # noqa: S101 - there is one, or an item
        if queued.alone:
            return queued.future, self._run_alone(connection, queued.job), None
        run = self._run_clean if queued.clean else self._run_job
        return (queued.future, *run(connection, queued.job))

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
            except DBAPIError:
                # A full disk or a failing one has rolled everything back, this job's savepoint too.
                raise error from None
            return None, unavailable(error)
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
        with contextlib.suppress(Exception):
            self.engine.dispose()
        self._ring()  # an error at COMMIT can still have committed: whoever watches looks
        for queued in group:
            queued.future.set_exception(error)
