"""Locks that cannot be looked at: nobody is taken for dead, and the API says that it is not now."""

from __future__ import annotations

import errno
import http.client
import json
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from moneyer.node.api.http.errors import answer_of
from moneyer.node.config import Config
from moneyer.node.system.locks import hold, is_held
from moneyer.worker.stratum.link import NodeLink
from tests.kit.running import running
from tests.kit.system.process_tree import children_of
from tests.kit.waiting import wait_until


@contextmanager
def no_more_files(pid: int) -> Iterator[None]:
    """What the process has open stays open; it gets nothing more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_lock_is_held_free_or_cannot_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_held(path)
    lock = hold(path)
    assert is_held(path)
    with no_more_files(os.getpid()), pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is looked at
        is_held(path)
    assert caught.value.errno == errno.EMFILE
    lock.release()
    assert not is_held(path)


@pytest.mark.parametrize("page", ["/v1/status", "/metrics", "/v1/mining"])
def test_a_node_that_gets_no_more_files_says_not_now(tmp_path: Path, page: str) -> None:
    with running(tmp_path / "node") as node:
        pids = [node.process.pid, *children_of(node.process.pid)]

        def asked() -> tuple[int, str | None, bytes] | None:
            """By a connection that is there already, as a new one would take a descriptor itself. None where this test
            was held up for so long that the node has ended it."""
            with closing(http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)) as connection:
                connection.request("GET", "/healthz")
                assert connection.getresponse().read()
                with ExitStack() as limits, suppress(ConnectionError):
                    for pid in pids:
                        limits.enter_context(no_more_files(pid))
                    connection.request("GET", page)
                    answer = connection.getresponse()
                    return answer.status, answer.headers["Retry-After"], answer.read()
            return None

        status, after, body = wait_until(asked, 30, "an answer") or (0, None, b"")
        assert (status, after) == (503, "1"), body
        error = json.loads(body)["error"]
        assert error["code"] == "not_now"
        assert os.strerror(errno.EMFILE) in error["message"]
        assert node.get(page).status == 200


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO, errno.EROFS])
def test_trouble_of_the_machine_is_not_now(number: int) -> None:
    status, code, message, _, headers = answer_of(OSError(number, os.strerror(number), "/a/secret/path"))
    assert (status, code, headers) == (503, "not_now", {"Retry-After": "1"})
    assert os.strerror(number) in message
    assert "secret" not in message


def test_other_errors_of_the_system_are_mistakes_of_the_node() -> None:
    assert answer_of(FileNotFoundError(errno.ENOENT, "gone"))[0] == 500
    assert answer_of(OSError("without a number"))[0] == 500


def test_a_stratum_server_that_gets_no_file_to_look_for_its_node_looks_again(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    link = NodeLink(config, lambda template: None, once=False)
    lock = hold(config.node_lock)
    try:
        assert link.is_up(unknown=False)
        with no_more_files(os.getpid()):
            assert [link.is_up(unknown=answer) for answer in (False, True)] == [False, True]
        assert link.is_up(unknown=False)
    finally:
        lock.release()
        link.stop()
