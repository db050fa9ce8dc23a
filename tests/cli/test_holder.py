"""A data folder's token reaches the process that holds the folder's lock, with calls that need it, and nobody else."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from moneyer.node.api import app  # noqa: F401 - it registers every endpoint
from moneyer.node.api.endpoint import ENDPOINTS
from moneyer.node.client.transport import needs_token
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.devnet.holder import FolderToken, holder_of
from moneyer.node.system.api_token import ensure_token
from moneyer.node.system.locks import hold
from tests.kit.callers.in_front import in_front
from tests.kit.commands import moneyer, refusal
from tests.kit.running import own_coin, own_node, write_wallet

pytestmark = pytest.mark.timeout(300)


@contextmanager
def stranger() -> Iterator[tuple[int, list[bytes]]]:
    """The port of a program that is no node, and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock:
                        heard.append(sock.recv(65_536))
                        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)


def folder_with_token(data: Path) -> str:
    write_wallet(data)
    (data / "coin.toml").write_text(coin_to_toml(own_coin()))
    return ensure_token(data / "api.token")


def about(port: int, **changes: object) -> bytes:
    """What a node on that port writes into its lock."""
    said = {"pid": os.getpid(), "url": f"http://127.0.0.1:{port}", "host": "127.0.0.1", "port": port, "start": "1"}
    return json.dumps({**said, **changes}).encode()


@pytest.mark.parametrize("state", ["no lock", "a lock that is free", "a lock that names another port"])
def test_a_program_that_listens_where_a_node_would_gets_no_token(state: str, tmp_path: Path) -> None:
    token = folder_with_token(tmp_path)
    with stranger() as (port, heard):
        lock = None
        if state != "no lock":
            lock = hold(tmp_path / "node.lock")
            lock.write(about(port if "free" in state else port + 1))
            if "free" in state:
                lock.release()
        for command in (("mining", "continuous"), ("peers", "--add", "http://127.0.0.1:5001"), ("status",)):
            moneyer(*command, "--data", tmp_path, "--node", f"http://127.0.0.1:{port}")
    assert len(heard) >= 3
    assert not any(token.encode() in each or b"authorization" in each.lower() for each in heard)


def test_the_token_goes_to_the_node_itself_and_with_what_changes_something_only(tmp_path: Path) -> None:
    heard: list[bytes] = []
    with own_node(tmp_path / "data") as node:
        for named in (("--node", f"http://localhost:{node.port}"), ()):
            done = moneyer("mining", "continuous", "--data", tmp_path / "data", *named)
            assert done.returncode == 0, done.stderr

        def listen(request: bytes, forward: object) -> bool:
            heard.append(request)
            return True

        with in_front(node, listen) as url:
            for command in (("mining",), ("send", "alice", "bob", "1")):
                assert moneyer(*command, "--data", tmp_path / "data", "--node", url).returncode == 0
            said = refusal(moneyer("mining", "continuous", "--data", tmp_path / "data", "--node", url))
            assert "token" in said, "the proxy is another process than the one that holds the lock"
    assert len(heard) > 3
    assert not any(b"authorization" in each.lower() for each in heard)


def test_a_holder_that_changes_while_the_connection_is_made_gets_no_token(tmp_path: Path) -> None:
    token = folder_with_token(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        lock, credential = hold(tmp_path / "node.lock"), FolderToken(tmp_path)
        lock.write(about(port))
        seen = credential.look()
        with socket.create_connection(("127.0.0.1", port)) as sock:
            assert credential.token(seen, sock) == token
            lock.write(about(port, start="2"))
            assert credential.token(seen, sock) is None
            lock.write(about(port, host="127.0.0.2"))
            assert credential.token(credential.look(), sock) is None
            lock.write(about(port, host="0.0.0.0"))
            assert credential.token(credential.look(), sock) == token
        lock.write(about(port, pid=2**22 + 1))
        assert holder_of(tmp_path) is None, "what a dead holder wrote is not true of the next"
        lock.release()


def test_the_client_knows_which_calls_need_the_token() -> None:
    for each in ENDPOINTS:
        assert needs_token(each.method, f"{each.path}?a=b") == each.token, (each.method, each.path)
