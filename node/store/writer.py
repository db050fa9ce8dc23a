"""The one writer thread of a process: many jobs, one durable commit.

A job runs inside `BEGIN IMMEDIATE` behind a savepoint of its own; one that raises is rolled back alone. Whoever
waits for a job hears of it only after the commit.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from node.store.errors import StoreBusy, StoreFailed, StoreUnavailable

T = TypeVar("T")
Job = Callable[[Connection], Any]

_GROUP = 128
"""Jobs at most in one commit: bounds how long the first one waits for the last."""


def translate(error: DBAPIError) -> StoreUnavailable:
    """SQLite's words into ours."""
    words = str(error.orig)
    if "locked" in words or "busy" in words:
        return StoreBusy("the database is busy with another process's work: try again", reason=words)
    return StoreFailed(
        f"the database cannot be written now ({words}): see that the disk has room and can be written",
        reason=words,
    )


class Writer:
    def __init__(self, engine: Engine, after_commit: Callable[[], None]) -> None:
        self._engine = engine
        self._after_commit = after_commit
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def run(self, job: Callable[[Connection], T]) -> T:
        """The job's result, once it is durable. Raises what the job raised, StoreBusy or StoreFailed."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a job cannot wait for another job")
        if self._closed:
            raise StoreFailed("the node is stopping")
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future.result()

    def close(self) -> None:
        """Finish what is queued, then stop."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            group, is_last = self._next_group()
            if group:
                self._commit_group(group)
            if is_last:
                return

    def _next_group(self) -> tuple[list[tuple[Job, Future[Any]]], bool]:
        group = []
        item = self._jobs.get()
        while item is not None:
            group.append(item)
            if len(group) == _GROUP:
                return group, False
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit_group(self, group: list[tuple[Job, Future[Any]]]) -> None:
        answers: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._engine.connect() as connection:
                with connection.begin():
                    for job, future in group:
                        result, error = self._run_job(connection, job)
                        answers.append((future, result, error))
                self._after_commit()
        except DBAPIError as error:
            self._fail(group, translate(error))
        except BaseException as error:
            self._fail(group, error)
        else:
            for future, result, problem in answers:
                if problem is None:
                    future.set_result(result)
                else:
                    future.set_exception(problem)

    def _run_job(self, connection: Connection, job: Job) -> tuple[Any, BaseException | None]:
        """What the job gave or raised. Raises only where the whole transaction is lost."""
        connection.exec_driver_sql("SAVEPOINT job")
        try:
            result = job(connection)
        except DBAPIError as error:
            # A full disk or a failing one may have rolled everything back: then this raises too, and the group fails.
            self._undo(connection)
            return None, translate(error)
        except Exception as error:
            self._undo(connection)
            return None, error
        connection.exec_driver_sql("RELEASE job")
        return result, None

    @staticmethod
    def _undo(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK TO job")
        connection.exec_driver_sql("RELEASE job")

    def _fail(self, group: list[tuple[Job, Future[Any]]], error: BaseException) -> None:
        # An error at COMMIT leaves SQLite's transaction open; the connection is thrown away, and with it the rest.
        self._engine.dispose()
        for _, future in group:
            future.set_exception(error)
