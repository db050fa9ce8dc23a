"""One bounded HTTP exchange with a peer: total time, bytes, no redirect, no decompression, no proxy, no cookie."""

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
from ...system.network import shut
from . import urls
from .errors import BadAnswer, PeerError, PeerTimeout, PeerUnreachable, Refused, TooLarge
from .urls import PeerUrl

# A total deadline for a request: when it passes, the request's sockets are shut down.
#
# The time-out that `requests` takes is between bytes: a peer that drips holds a call for as long as it likes.


class RequestDeadline:
    """One request under way. `ends_at`: on the monotonic clock."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.expired = False
        self._over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds, never under a millisecond: 0 would mean "do not block" to a socket."""
        return max(0.001, self.ends_at - time.monotonic())

    def attach(self, sock: socket.socket) -> None:
        """Shut `sock` down when the deadline passes (at once if it has)."""
        with self._lock:
            self._sockets.append(sock)
            if self.expired:
                shut(sock)

    def finish(self) -> None:
        """The request is over: its sockets, which may be kept alive, are no longer touched."""
        with self._lock:
            self._over = True
            self._sockets.clear()
            if time.monotonic() >= self.ends_at:
                self.expired = True

    def fire(self) -> None:
        with self._lock:
            if self._over:
                return
            self.expired = True
            for sock in self._sockets:
                shut(sock)


class DeadlineWatchdog:
    """One daemon thread for every deadline of the process; it sleeps while there are none."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._queue: list[tuple[float, int, RequestDeadline]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def watch(self, guard: RequestDeadline) -> None:
        with self._wake:
            # Threads don't survive a fork: alive is asked each time.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            self._count += 1
            heapq.heappush(self._queue, (guard.ends_at, self._count, guard))
            if self._queue[0][2] is guard:
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
                guard = heapq.heappop(self._queue)[2]
            guard.fire()


_WATCHDOG = DeadlineWatchdog()
_CURRENT: ContextVar[RequestDeadline | None] = ContextVar("moneyer_request_guard", default=None)


@contextlib.contextmanager
def total_deadline(seconds: float) -> Iterator[RequestDeadline]:
    """Everything that this thread does to the sockets of one request ends `seconds` from now.

    The caller looks at `guard.expired` behind the block: a body that ends early is told from one that is whole.
    """
    guard = RequestDeadline(time.monotonic() + seconds)
    token = _CURRENT.set(guard)
    _WATCHDOG.watch(guard)
    try:
        yield guard
    finally:
        _CURRENT.reset(token)
        guard.finish()


def current_deadline() -> RequestDeadline:
    """The guard of this thread's request. Raises RuntimeError outside of `total_deadline`."""
    guard = _CURRENT.get()
    if guard is None:
        raise RuntimeError("a request to a peer without a deadline")
    return guard


OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"
_CHUNK: Final = 65_536
_MAX_ERROR: Final = 65_536
_AGENT: Final = f"moneyer/{__version__}"
_AFTER_THE_WATCHDOG: Final = 1.0
"""Seconds by which a socket times out later than the deadline: what the watchdog cuts is known to be late."""
NODE_HEADER: Final = "Moneyer-Node"
"""Who asks: its node_id, so that nothing is sent back to whom it came from."""

# It would repeat in the log, with a traceback, whatever a peer sends in the place of headers.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class _GuardedConnection(HTTPConnection):
    """Connects to a checked address only, and lets the watchdog have its socket."""

    def _new_conn(self) -> socket.socket:
        guard = current_deadline()
        sock = urls.connect(self._dns_host.strip("[]"), self.port, guard.ends_at)
        sock.settimeout(guard.left + _AFTER_THE_WATCHDOG)  # for sending; `connect` left what there was for it
        guard.attach(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            current_deadline().attach(self.sock)
        super().request(*args, **kwargs)


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedAdapter(HTTPAdapter):
    """For http:// alone, with kept-alive connections and no retries."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        manager.pool_classes_by_scheme = {"http": _GuardedPool}
        self.poolmanager = manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: Any) -> str | None:
        """None: even with allow_redirects=False, requests would read the whole body of a redirect into memory."""
        return None


class _ErrorBody(msgspec.Struct):
    code: str


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody


class Transport:
    """Kept-alive connections to one peer; may be used by several threads."""

    def __init__(self, url: PeerUrl, node_id: str | None = None) -> None:
        self.url = url
        self._used = False
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.adapters.clear()
        self._session.mount("http://", _GuardedAdapter(pool_connections=1, pool_maxsize=4))
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
        Refused (an error status), BadUrl (a name that leads to a forbidden address).
        """
        with total_deadline(seconds) as guard:
            try:
                answer = self._attempt(guard, method, path, body, kind, cap)
            except PeerUnreachable:
                # A kept-alive connection that the peer closed meanwhile tells nothing; a fresh one does. Every call
                # between nodes may be repeated.
                if not self._used or guard.left <= 0.001:
                    raise
                self._used = False
                answer = self._attempt(guard, method, path, body, kind, cap)
        if guard.expired:
            raise _timeout()
        self._used = True
        return answer

    def _attempt(
        self, guard: RequestDeadline, method: str, path: str, body: bytes | None, kind: str, cap: int
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
                timeout=guard.left + _AFTER_THE_WATCHDOG,
            )
            return _read(answer, cap)
        except PeerError:
            if guard.expired:
                raise _timeout() from None
            raise
        except Exception as error:
            raise _failure(guard, error) from None


def _read(answer: requests.Response, cap: int) -> bytes:
    """The body, if the answer is one that we asked for. The connection goes back only after all of it was read."""
    whole = False
    try:
        _check_plain(answer)
        refused = answer.status_code >= 400
        body = _read_capped(answer, _MAX_ERROR if refused else cap)
        whole = True
    finally:
        if not whole:
            # Else the pool would read what is left before it uses the connection again.
            answer.raw.close()
        answer.close()
    if refused:
        raise Refused(
            f"the peer refused the request (HTTP {answer.status_code})",
            status=answer.status_code,
            rule=_known_rule(body),
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


def _known_rule(body: bytes) -> str | None:
    """The rule's code in an error answer, if it is one of this node's own words."""
    try:
        code = msgspec.json.decode(body, type=_ErrorAnswer).error.code
    except (ValueError, RecursionError):
        return None
    return code if code in RULES else None


def _broke() -> PeerUnreachable:
    return PeerUnreachable("the connection to the peer broke")


def _is_cut_short(error: BaseException) -> bool:
    """Whether an answer ended before its time: the line's fault, and no reason to think ill of the peer."""
    if isinstance(error, http.client.IncompleteRead):
        return True
    if isinstance(error, http.client.BadStatusLine):
        line = str(error.args[0])
        return not line.endswith("\n") and "HTTP/".startswith(line[:5])
    return any(isinstance(each, BaseException) and _is_cut_short(each) for each in error.args)


def _timeout() -> PeerTimeout:
    return PeerTimeout("the peer did not answer in time")


def _failure(guard: RequestDeadline, error: Exception) -> PeerError:
    """The typed form of what requests, urllib3, http.client or a socket raised."""
    if guard.expired or isinstance(error, (requests.Timeout, TimeoutError)):
        return _timeout()
    if _is_cut_short(error):
        return _broke()
    if isinstance(error, (requests.ConnectionError, OSError)) and not isinstance(error, requests.RequestException):
        return _broke()
    if isinstance(error, requests.ConnectionError):
        cause = error.args[0] if error.args else None
        inner = cause.args[-1] if isinstance(cause, HTTPError) and cause.args else None
        # RemoteDisconnected is an HTTPException too, but a peer that went away has not said anything wrong.
        if isinstance(inner, http.client.HTTPException) and not isinstance(inner, http.client.RemoteDisconnected):
            return BadAnswer("the peer's answer is not HTTP as it should be")
        return _broke()
    if isinstance(error, (requests.RequestException, HTTPError, http.client.HTTPException, ValueError)):
        return BadAnswer("the peer's answer is not HTTP as it should be")
    raise error
