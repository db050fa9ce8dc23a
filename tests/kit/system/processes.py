"""Real processes for tests, quick to start: forked from a server that has imported everything once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from tests.kit import databases
from tests.kit.waiting import END_SECONDS

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "tests.kit.nodes", "tests.store.children", "tests.chain.children", "psycopg"])


class Child:
    """A process that runs `work(pipe, *arguments)`, and this side's end of the pipe."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process: BaseProcess = CONTEXT.Process(
            target=_work, args=(databases.current(), work, theirs, *arguments), daemon=True
        )
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def hear(self, timeout: float = 120) -> Any:
        """What the child sends next. AssertionError when it says nothing; EOFError when it is gone."""
        assert self.pipe.poll(timeout), "the child said nothing"
        return self.pipe.recv()

    def tell(self, what: Any) -> None:
        self.pipe.send(what)

    def ask(self, what: Any) -> Any:
        self.tell(what)
        return self.hear()

    def signal(self, sign: int) -> None:
        os.kill(self.pid, sign)

    def kill(self) -> None:
        """SIGKILL, by its own id; returns when it is gone."""
        self.process.kill()
        self.process.join(END_SECONDS)

    def heard_before_its_end(self) -> list[Any]:
        """All that a killed child had sent."""
        heard = []
        try:
            while self.pipe.poll():
                heard.append(self.pipe.recv())
        except (EOFError, OSError):
            pass  # cut in the middle of a message: nobody was told
        return heard


def _work(where: databases.Databases | None, work: Callable[..., None], pipe: Pipe, *arguments: Any) -> None:
    """In the child: with its data folders' databases where the test has them."""
    with databases.within(where):
        work(pipe, *arguments)


@contextmanager
def children(*all_of_them: Child) -> Iterator[tuple[Child, ...]]:
    """Killed at the end, whatever comes."""
    try:
        yield all_of_them
    finally:
        for child in all_of_them:
            child.kill()
            child.pipe.close()


Pipe = Connection
