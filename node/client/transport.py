"""One request, bounded in time and in size. The standard library's client: it loads in a tenth of what others take.

The deadline of a call is kept by a thread: the call runs in one of its own, and at the deadline the caller stops
waiting for it and shuts its socket. Nodes ask each other with another client (`node.p2p.peer.connection` says why).
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from ..core.errors import quoted
from . import arguments
from .errors import BadArgument, NoAnswer, Refused, Unanswered

MAX_ANSWER = 16_000_000
"""Bytes; an answer of `/get_chain` has at most 8 MB."""
DEADLINE = 10.0
"""Seconds for a whole call."""
USUAL_PORT = 5001
_CONNECT = 3.0
"""Seconds for making the connection."""
_OPEN = (
    "/v1/transactions",
    "/v1/transactions/check",
    "/v1/policies/encode",
    "/v1/policies/decode",
    "/v1/session",
)
"""Calls that are no GET and need no token."""
_GUARDED_GETS = ("/mine_block", "/replace_chain", "/v1/mining/template")
"""Calls that read, or look as if they did, and need one."""


def needs_token(method: str, path: str) -> bool:
    """Whether a call spends from the node's wallet, mines or changes its peers: all others carry no token."""
    path = path.partition("?")[0]
    if method in ("GET", "HEAD"):
        return path in _GUARDED_GETS
    return path not in _OPEN and not path.startswith("/p2p/")


@runtime_checkable
class Credential(Protocol):
    """A token that is shown only to the right process at the node's address (`devnet.holder`)."""

    def look(self) -> object:
        """Called before the connection is made; its result goes to `token`."""

    def token(self, seen: object, sock: socket.socket) -> str | None:
        """The token, where the process at the other end of the connected socket may have it."""


class Transport:
    """Requests to one node; each raises NoAnswer and Refused, and never takes longer than its deadline.

    Unanswered in place of NoAnswer, where a request that is no GET had begun to be sent.
    """

    def __init__(self, url: str, token: str | Credential | None) -> None:
        self.url = origin(arguments.text(url, "url"))
        self._token = token if isinstance(token, Credential) else arguments.token(token)

    def call(self, method: str, path: str, body: Any, deadline: float) -> Any:
        """The JSON that the node answers. Raises BadArgument too.

        Time-outs of sockets are between two bytes; to have a deadline for all, the request runs in a thread, which is
        no longer waited for, and its socket is shut, when time is over.
        """
        deadline = arguments.seconds(deadline, "deadline")
        exchange = _Exchange(self, method, arguments.path(path), _as_json(body), time.monotonic() + deadline)
        thread = threading.Thread(target=exchange.run, daemon=True)
        thread.start()
        thread.join(deadline)
        try:
            if exchange.failed is not None and not exchange.is_late:
                raise self.explained(exchange.failed) from None
            if exchange.answer is None:
                exchange.abort()
                raise NoAnswer(f"{self.url} did not answer within {deadline:g} s")
            return self.read(*exchange.answer)
        except NoAnswer as error:
            if method == "GET" or not exchange.sent:
                raise
            raise Unanswered(
                f"What was asked may have been done all the same: {error.message}", reason=error.message
            ) from None

    def connection(self, seconds: float) -> http.client.HTTPConnection:
        """A connection that is not made yet; making it may take `seconds`, but no more than _CONNECT."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=min(_CONNECT, seconds))

    def connect(self, connection: http.client.HTTPConnection, method: str, path: str) -> dict[str, str]:
        """Make the connection; gives the header with the token for a call that needs one."""
        credential = self._token if needs_token(method, path) else None
        if credential is None or isinstance(credential, str):
            connection.connect()
            token = credential
        else:
            seen = credential.look()
            connection.connect()
            token = credential.token(seen, connection.sock)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def headers(self, *, has_body: bool) -> dict[str, str]:
        """The headers of every request."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
        if has_body:
            headers["Content-Type"] = "application/json"
        return headers

    def nonsense(self) -> NoAnswer:
        """The error for an answer that no node gives."""
        return NoAnswer(f"what answers at {self.url} is no Moneyer node: is the address right?")

    def explained(self, error: Exception) -> Exception:
        """An error of a connection as one with a sentence; other errors as they are."""
        if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
            return NoAnswer(f"{self.url} closed the connection without an answer: is it a node, and not just ending?")
        if isinstance(error, http.client.HTTPException):
            return self.nonsense()
        if isinstance(error, socket.gaierror):
            return NoAnswer(f"no machine is called {urlsplit(self.url).hostname}: is it spelled right?")
        if isinstance(error, OSError):
            return NoAnswer(
                f"no node answers at {self.url}: start one with `moneyer up`, or give the URL of one that runs"
            )
        if isinstance(error, ValueError):
            return NoAnswer(f"{self.url} could not be asked: is the address right?")
        return error

    def read(self, status: int, content: bytes) -> Any:
        """The JSON of an answer. Raises Refused from status 300 up, NoAnswer for what no node would answer."""
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise self.nonsense() from None
        if status < 300:
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(error, dict):
            raise self.nonsense()
        details = error.get("details")
        raise Refused(
            str(error.get("message", f"refused with status {status}"))[:1000],
            status,
            str(error.get("code", "error"))[:100],
            {str(name): value for name, value in details.items()} if isinstance(details, dict) else {},
        )


class _Exchange:
    """One request in a thread of its own."""

    def __init__(self, transport: Transport, method: str, path: str, body: bytes | None, end: float) -> None:
        self._transport = transport
        self._request = (method, path, body)
        self._end = end
        self._connection: http.client.HTTPConnection | None = None
        self.answer: tuple[int, bytes] | None = None
        self.failed: Exception | None = None
        self.sent = False
        """Whether the node may have the request, or a part of it."""

    @property
    def is_late(self) -> bool:
        """Whether it failed as the node was silent for longer than the deadline: its caller was held up till then."""
        return self.sent and isinstance(self.failed, TimeoutError)

    def run(self) -> None:
        try:
            self.answer = self._exchange()
        except Exception as error:  # raised again in the caller's thread
            self.failed = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def abort(self) -> None:
        if self._connection is not None:
            shut(self._connection)

    def _left(self) -> float:
        return max(0.01, self._end - time.monotonic())

    def _exchange(self) -> tuple[int, bytes]:
        method, path, body = self._request
        connection = self._connection = self._transport.connection(self._left())
        authorization = self._transport.connect(connection, method, path)
        connection.sock.settimeout(self._left() + 1)  # a little later than the deadline, which has its own words
        self.sent = True
        headers = {**self._transport.headers(has_body=body is not None), **authorization}
        connection.request(method, path, body, headers)
        content = bytearray()
        with connection.getresponse() as answer:  # which has the socket now, and would keep it open behind an error
            while chunk := answer.read1(65_536):
                content += chunk
                if len(content) > MAX_ANSWER or time.monotonic() > self._end:
                    raise NoAnswer(f"{self._transport.url} sent more than was asked for, or too slowly")
            return answer.status, bytes(content)


def _as_json(body: Any) -> bytes | None:
    try:
        return None if body is None else json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise BadArgument(
            "body is what JSON can hold: objects, lists, text, whole numbers, true, false, null; amounts as text",
            field="body",
        ) from None


def shut(connection: http.client.HTTPConnection) -> None:
    """End what another thread waits for on this connection.

    As `node.system.network.shut` does, which this room, made for scripts that load nothing else, can't import.
    """
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def origin(url: str) -> str:
    """`scheme://host:port` of what a person typed. Raises NoAnswer.

    A missing scheme is `http`; where the port is missing too it is 5001.
    """
    meant = ""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if "://" not in url and parts.port is None and parts.hostname:
            parts = parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{USUAL_PORT}")
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and parts.username is None
            and url.isascii()
            and url.isprintable()
            and " " not in parts.netloc
            and not str(parts.hostname).isdigit()  # a port: the system would make an address of it, 0.0.19.137 of 5001
        )
        if url.isascii() and url.isdigit() and 0 < int(url[:6]) < 2**16:
            meant = f"; did you mean 127.0.0.1:{int(url)}?"
    except ValueError:
        usable = False
    if not usable:
        raise NoAnswer(f"{quoted(url[:200])} is no address of a node: one looks like http://127.0.0.1:5001{meant}")
    return f"{parts.scheme}://{parts.netloc}"
