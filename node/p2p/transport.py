"""One bounded HTTP exchange with a peer: total time, bytes, no redirect, no decompression, no proxy, no cookie."""

from __future__ import annotations

import http.client
import logging
import socket
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from node import __version__
from node.core.errors import RULES
from node.p2p import urls
from node.p2p.deadline import Guard, current_guard, total_deadline
from node.p2p.errors import BadAnswer, PeerError, PeerTimeout, PeerUnreachable, Refused, TooLarge
from node.p2p.urls import PeerUrl

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
        guard = current_guard()
        sock = urls.connect(self._dns_host.strip("[]"), self.port, guard.ends_at)
        sock.settimeout(guard.left + _AFTER_THE_WATCHDOG)  # for sending; `connect` left what there was for it
        guard.attach(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            current_guard().attach(self.sock)
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

    def _attempt(self, guard: Guard, method: str, path: str, body: bytes | None, kind: str, cap: int) -> bytes:
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


def _failure(guard: Guard, error: Exception) -> PeerError:
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
