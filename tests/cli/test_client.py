"""The HTTP client of the command line, against servers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from moneyer.node.client.client import Client
from moneyer.node.client.errors import NoAnswer, Refused
from moneyer.node.client.transport import MAX_ANSWER

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """The URL of a server that says what `talk` sends once a request has come; the event: the test is over."""
    over = threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    talk(connection, over)
            except OSError:
                pass  # the client has hung up, as it should

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(10)


def answer(content: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda connection, _: connection.sendall(content)


def silence(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def drip(connection: socket.socket, over: threading.Event) -> None:
    for byte in HEAD * 1000:
        connection.sendall(bytes([byte]))
        if over.wait(0.05):
            return


def flood(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"\r\n")
    while not over.is_set():
        connection.sendall(b" " * 1_000_000)


@pytest.mark.parametrize("talk", [silence, drip])
def test_a_server_that_is_too_slow_is_given_up(talk: Callable[[socket.socket, threading.Event], None]) -> None:
    with server(talk) as url, pytest.raises(NoAnswer, match="did not answer within"):
        Client(url).get("/v1/status", deadline=0.5)


def test_a_caller_that_is_held_up_at_its_deadline_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a busy machine: the socket's own time is over, too."""
    join = threading.Thread.join
    with server(silence) as url, monkeypatch.context() as held_up:
        held_up.setattr(threading.Thread, "join", lambda thread, _seconds=None: join(thread, 60))
        with pytest.raises(NoAnswer, match="did not answer within"):
            Client(url).get("/v1/status", deadline=0.1)


def test_an_answer_without_end_is_cut_off() -> None:
    assert MAX_ANSWER < 20_000_000
    with server(flood) as url, pytest.raises(NoAnswer, match="more than was asked for"):
        Client(url).get("/v1/status", deadline=120)


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"Content-Length: 13\r\n\r\n<html></html>",
        HEAD + b"Content-Length: 2\r\n\r\n\xff\xfe",
        HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["HTML", "not UTF-8", "deep", "redirect", "foreign error"],
)
def test_what_is_no_node_is_said_to_be_none(content: bytes) -> None:
    with server(answer(content)) as url, pytest.raises(NoAnswer, match="no Moneyer node"):
        Client(url).status()


def test_something_that_speaks_no_http_is_a_sentence() -> None:
    with server(answer(b"220 mail.example ESMTP\r\n")) as url, pytest.raises(NoAnswer):
        Client(url).status()


def test_a_refusal_carries_the_nodes_sentence_and_code() -> None:
    body = b'{"error": {"code": "not_found", "message": "there is no such block", "details": {"found": "7"}}}'
    content = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with server(answer(content)) as url, pytest.raises(Refused, match="there is no such block") as refused:
        Client(url).get("/v1/blocks/7")
    assert (refused.value.status, refused.value.node_code) == (404, "not_found")
    assert refused.value.details == {"found": "7"}


def test_an_address_may_be_typed_without_http() -> None:
    assert Client("localhost:5001").url == "http://localhost:5001"
    assert Client("https://coin.example/x?y").url == "https://coin.example"
