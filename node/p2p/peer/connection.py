"""HTTP to one peer: each exchange is bounded in total time and in bytes, and follows nothing that a peer says.

The total deadline is kept by a watchdog thread, which shuts the request's sockets when it passes. The time-out that
`requests` takes holds between two bytes only: a peer that sends a byte a second would hold a call for as long as it
likes.

Why not one client for peers and users: `node.client.transport` is loaded by every command and by users' scripts, so it
uses the standard library alone, one connection a call, and keeps its deadline by a thread for each call. Between nodes
calls are many: connections are kept alive and shared by threads (`requests`), one thread watches all deadlines, and
every address is checked in the step that connects.

Beyond time and bytes: http:// only, no redirect, no compressed body, no proxy, no cookie, no retry but one after a
kept-alive connection that the peer had closed.
"""

from __future__ import annotations

import contextlib
import heapq
import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from .... import __version__
from ...core.errors import RULES
from ...system.decoding import prepare
from ...system.network import shut
from . import urls
from .conditioned import ConditionedLinks, Exchange
from .errors import BadAnswer, BadUrl, LinkCut, PeerError, PeerTimeout, PeerUnreachable, Refused, TooLarge
from .urls import PeerUrl, parse_peer_url
from .wire import JSON, NODE_HEADER

_CHUNK: Final = 65_536
_MAX_ERROR: Final = 65_536
_AGENT: Final = f"moneyer/{__version__}"
_AFTER_THE_WATCHDOG: Final = 1.0
"""Seconds by which a socket times out later than the deadline, so that it is the watchdog that ends a late request."""


class RequestDeadline:
    """The deadline of one request and the sockets that it uses. `ends_at`: on the monotonic clock."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.expired = False
        """Whether the deadline passed before the request was over."""
        self._is_broken = False
        self._over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds left, never under a millisecond: 0 would mean "do not block" to a socket."""
        return max(0.001, self.ends_at - time.monotonic())

    def attach(self, sock: socket.socket) -> None:
        """Have `sock` shut when the deadline passes (at once if it has)."""
        with self._lock:
            self._sockets.append(sock)
            if self.expired or self._is_broken:
                shut(sock)

    def finish(self) -> None:
        """The request is over: its sockets, which may be kept alive, are no longer touched."""
        with self._lock:
            self._over = True
            self._sockets.clear()
            if time.monotonic() >= self.ends_at:
                self.expired = True

    def fire(self) -> None:
        """The deadline has passed: shut the sockets, unless the request is over. Called by the watchdog."""
        with self._lock:
            if self._over:
                return
            self.expired = True
            for sock in self._sockets:
                shut(sock)

    def break_off(self) -> None:
        """The link is cut: shut the sockets, also those that come, unless the request is over."""
        with self._lock:
            self._is_broken = True
            for sock in self._sockets:
                shut(sock)


class DeadlineWatchdog:
    """One daemon thread for all deadlines of the process; it is started by the first one and never ends."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._queue: list[tuple[float, int, RequestDeadline]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def watch(self, deadline: RequestDeadline) -> None:
        with self._wake:
            # Threads don't survive a fork, so this is asked each time.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            self._count += 1
            heapq.heappush(self._queue, (deadline.ends_at, self._count, deadline))
            if self._queue[0][2] is deadline:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    self._wake.wait()
                left = self._queue[0][0] - time.monotonic()
                if left > 0:
                    self._wake.wait(left)
                    continue
                deadline = heapq.heappop(self._queue)[2]
            deadline.fire()


_WATCHDOG = DeadlineWatchdog()
_CURRENT: ContextVar[RequestDeadline | None] = ContextVar("moneyer_request_guard", default=None)


@contextlib.contextmanager
def total_deadline(seconds: float) -> Iterator[RequestDeadline]:
    """Ends what this thread does on the sockets of one request `seconds` from now.

    Look at `expired` behind the block: a body that was cut short may look like a whole one.
    """
    deadline = RequestDeadline(time.monotonic() + seconds)
    token = _CURRENT.set(deadline)
    _WATCHDOG.watch(deadline)
    try:
        yield deadline
    finally:
        _CURRENT.reset(token)
        deadline.finish()


def current_deadline() -> RequestDeadline:
    """The deadline of this thread's request. Raises RuntimeError outside of `total_deadline`."""
    deadline = _CURRENT.get()
    if deadline is None:
        raise RuntimeError("a request to a peer without a deadline")
    return deadline


# urllib3 would log, with a traceback, whatever a peer sends in the place of headers.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class _WatchedConnection(HTTPConnection):
    """Connects to a checked address only, and hands its socket to the watchdog."""

    def _new_conn(self) -> socket.socket:
        deadline = current_deadline()
        sock = urls.connect(self._dns_host.strip("[]"), self.port, deadline.ends_at)
        sock.settimeout(deadline.left + _AFTER_THE_WATCHDOG)  # for sending; `connect` left what there was for it
        deadline.attach(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            current_deadline().attach(self.sock)
        super().request(*args, **kwargs)


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedAdapter(HTTPAdapter):
    """For http:// alone, with kept-alive connections and no retries."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        manager.pool_classes_by_scheme = {"http": _WatchedPool}
        self.poolmanager = manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: Any) -> str | None:
        """None: even with allow_redirects=False, requests would read the whole body of a redirect into memory."""
        return None


class _ErrorBody(msgspec.Struct):
    code: str
    details: Any = None
    """Anything: looked at where the code is known."""


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody


prepare(_ErrorAnswer)


class Transport:
    """Kept-alive connections to one peer; may be used by several threads.

    `links`: the conditions of a laboratory's links; None: the link is as the network is.
    """

    def __init__(self, url: PeerUrl, node_id: str | None = None, links: ConditionedLinks | None = None) -> None:
        self.url = url
        self._links = links
        self._used = False
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.adapters.clear()
        self._session.mount("http://", _WatchedAdapter(pool_connections=1, pool_maxsize=4))
        self._session.headers.clear()
        self._session.headers.update({"User-Agent": _AGENT, "Accept-Encoding": "identity"})
        if node_id is not None:
            self._session.headers[NODE_HEADER] = node_id

    def close(self) -> None:
        self._session.close()

    def exchange(
        self, method: str, path: str, *, body: bytes | None = None, kind: str = JSON, cap: int, seconds: float
    ) -> bytes:
        """The body of a 2xx answer, at most `cap` bytes, whole within `seconds`.

        `kind`: the content type of `body`. Raises PeerError: PeerTimeout, PeerUnreachable, BadAnswer, TooLarge,
        Refused (an error status), LinkCut, BadUrl (a name that leads to a forbidden address).
        """
        with total_deadline(seconds) as deadline:
            if self._links is None:
                answer = self._exchange(deadline, method, path, body, kind, cap)
            else:
                exchange = self._links.begin(self.url.url, deadline.break_off)
                try:
                    answer = self._conditioned(exchange, deadline, method, path, body, kind, cap)
                finally:
                    exchange.end()
        if deadline.expired:
            raise _timeout()
        self._used = True
        return answer

    def _conditioned(
        self,
        exchange: Exchange,
        deadline: RequestDeadline,
        method: str,
        path: str,
        body: bytes | None,
        kind: str,
        cap: int,
    ) -> bytes:
        """The exchange as the link's conditions have it."""
        exchange.send(len(body or b""), deadline.left)
        try:
            answer = self._exchange(deadline, method, path, body, kind, cap)
        except PeerError as error:
            # Also where the other end is told of the cut, and this one not yet.
            if exchange.is_cut or (isinstance(error, Refused) and error.rule == LinkCut.code):
                raise LinkCut from None
            raise
        exchange.receive(len(answer), deadline.left)
        if exchange.is_cut:
            raise LinkCut
        return answer

    def _exchange(
        self, deadline: RequestDeadline, method: str, path: str, body: bytes | None, kind: str, cap: int
    ) -> bytes:
        try:
            return self._attempt(deadline, method, path, body, kind, cap)
        except PeerUnreachable:
            # The peer may only have closed the kept-alive connection: a fresh one shows. Every call between nodes may
            # be repeated.
            if not self._used or deadline.left <= 0.001:
                raise
            self._used = False
            return self._attempt(deadline, method, path, body, kind, cap)

    def _attempt(
        self, deadline: RequestDeadline, method: str, path: str, body: bytes | None, kind: str, cap: int
    ) -> bytes:
        headers = {"Content-Type": kind} if body is not None else {}
        try:
            answer = self._session.request(
                method,
                self.url.url + path,
                data=body,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=deadline.left + _AFTER_THE_WATCHDOG,
            )
            return _read(answer, cap)
        except PeerError:
            if deadline.expired:
                raise _timeout() from None
            raise
        except Exception as error:
            raise _failure(deadline, error) from None


def _read(answer: requests.Response, cap: int) -> bytes:
    """The body of an answer as it was asked for. The connection is used again only if all of it was read."""
    whole = False
    try:
        _check_plain(answer)
        refused = answer.status_code >= 400
        body = _read_capped(answer, _MAX_ERROR if refused else cap)
        whole = True
    finally:
        if not whole:
            # Otherwise the pool would read the rest before it uses the connection again.
            answer.raw.close()
        answer.close()
    if refused:
        error = _error_in(body)
        raise Refused(
            f"the peer refused the request (HTTP {answer.status_code}){_why(error)}",
            status=answer.status_code,
            rule=_known_rule(error),
        )
    return body


def _check_plain(answer: requests.Response) -> None:
    if 300 <= answer.status_code < 400:
        raise BadAnswer("the peer answered with a redirect, which a node does not follow")
    if not 200 <= answer.status_code < 600:
        raise BadAnswer("the peer answered with a status that is none")
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise BadAnswer("the peer answered with a compressed body, which was not asked for")


def _read_capped(answer: requests.Response, cap: int) -> bytes:
    announced = answer.headers.get("Content-Length", "").strip()
    if announced.isdecimal() and int(announced[:20]) > cap:
        raise TooLarge(f"the peer's answer is over {cap} bytes", expected=cap)
    body = bytearray()
    for chunk in answer.raw.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > cap:
            raise TooLarge(f"the peer's answer is over {cap} bytes", expected=cap)
    if not body and not announced.isdecimal() and "Transfer-Encoding" not in answer.headers:
        raise _broke()  # among the headers: http.client takes the end of the stream for the end of them
    return bytes(body)


def _error_in(body: bytes) -> _ErrorBody | None:
    try:
        return msgspec.json.decode(body, type=_ErrorAnswer).error
    except (ValueError, RecursionError):
        return None


def _known_rule(error: _ErrorBody | None) -> str | None:
    """The rule's code in an error answer, if this node knows it; or that of a link that is cut."""
    return error.code if error is not None and (error.code in RULES or error.code == LinkCut.code) else None


def _why(error: _ErrorBody | None) -> str:
    """What a person can do about a refusal, to stand behind the sentence; "" for most. No words of the peer's."""
    if error is None or error.code != "no_peers_here":
        return ""
    speaks = error.details.get("peer") if isinstance(error.details, dict) else None
    try:
        return f": ask {parse_peer_url(str(speaks or '')).url}, which speaks to other nodes in its place"
    except BadUrl:
        return ": no node of its database speaks to other nodes now"


def _broke() -> PeerUnreachable:
    return PeerUnreachable("the connection to the peer broke")


def _is_cut_short(error: BaseException) -> bool:
    """Whether an answer broke off: that may be the network, so the peer is not blamed for it."""
    if isinstance(error, http.client.IncompleteRead):
        return True
    if isinstance(error, http.client.BadStatusLine):
        line = str(error.args[0])
        return not line.endswith("\n") and "HTTP/".startswith(line[:5])
    return any(isinstance(each, BaseException) and _is_cut_short(each) for each in error.args)


def _timeout() -> PeerTimeout:
    return PeerTimeout("the peer did not answer in time")


def _failure(deadline: RequestDeadline, error: Exception) -> PeerError:
    """The PeerError for what requests, urllib3, http.client or a socket raised; raises other errors again."""
    if deadline.expired or isinstance(error, (requests.Timeout, TimeoutError)):
        return _timeout()
    if _is_cut_short(error):
        return _broke()
    if isinstance(error, (requests.ConnectionError, OSError)) and not isinstance(error, requests.RequestException):
        return _broke()
    if isinstance(error, requests.ConnectionError):
        cause = error.args[0] if error.args else None
        inner = cause.args[-1] if isinstance(cause, HTTPError) and cause.args else None
        # RemoteDisconnected is an HTTPException too, but a peer that went away has sent nothing wrong.
        if isinstance(inner, http.client.HTTPException) and not isinstance(inner, http.client.RemoteDisconnected):
            return BadAnswer("the peer's answer is not HTTP as it should be")
        return _broke()
    if isinstance(error, (requests.RequestException, HTTPError, http.client.HTTPException, ValueError)):
        return BadAnswer("the peer's answer is not HTTP as it should be")
    raise error
