"""The API as one WSGI application: routes from the endpoints, checks before them, errors after them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from time import monotonic
from typing import Any

import bottle
import msgspec

from ..p2p.gossip.gossip import Caller
from ..p2p.peer.connection import NODE_HEADER
from ..system.shares import NoPlace
from .calls import (  # noqa: F401 - imported for the endpoints that they register
    p2p_calls,
    tutorial,
    v1_accounts,
    v1_blocks,
    v1_events,
    v1_mining,
    v1_peers,
    v1_status,
    v1_templates,
    v1_transactions,
)
from .calls.metrics import metrics_of
from .context import NodeContext
from .http.body import check_binary, declared_length, json_of, read_body, read_query
from .http.endpoint import ENDPOINTS, Binary, Call, Endpoint, Rendered, Reply, Streamed
from .http.errors import MethodNotAllowed, NoBody, NotFound, TooLarge, answer_of, status_line
from .http.guard import check_host, check_same_site, check_token, is_open
from .http.inflight import Flight, Flights, Outgoing, Phase, flights_of
from .http.large import LARGE
from .openapi import DOCS_POLICY, docs_page, document
from .shapes.fields import encode
from .shapes.v1 import Error, ErrorBody

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
STRICTEST_POLICY = "default-src 'none'; frame-ancestors 'none'"
_MAX_PATH = 1_000
_NODE_HEADER = "HTTP_" + NODE_HEADER.upper().replace("-", "_")
_MAX_NODE_ID = 64
_FLIGHT, _ENDPOINT = "moneyer.flight", "moneyer.endpoint"
"""Where a request's own stand in its environ."""
_NOTHING_HERE = "there is nothing at this address; GET /docs lists what there is"

log = logging.getLogger("moneyer.api")


class Api(bottle.Bottle):  # type: ignore[misc] # Bottle ships without types
    """Bottle's routes, our answers: each is whole bytes, its errors JSON, its headers written once."""

    def __init__(self, node: NodeContext) -> None:
        super().__init__()
        self.node = node
        self._flights = flights_of(node)
        self._metrics = metrics_of(node)

    def wsgi(self, environ: Environ, start_response: StartResponse) -> list[bytes] | Outgoing:
        flight = environ[_FLIGHT] = self._flights.begin(environ.get("REMOTE_ADDR") or "")
        try:
            status, headers, answer = self._respond(environ)
        except BaseException:
            self._flights.end(flight)
            raise
        flight.end_turn()
        method = environ["REQUEST_METHOD"]
        start_response(status_line(status), headers)
        if flight.large is not None or isinstance(answer, Rendered):
            seconds = (flight.since if flight.phase is Phase.REFUSED else monotonic()) - flight.began
            self._metrics.observe(method, environ.get(_ENDPOINT, ""), status, seconds)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s %s %d, %.1f ms", method, environ["PATH_INFO"][:_MAX_PATH], status, seconds * 1e3)
        if isinstance(answer, Rendered):
            self._flights.end(flight)
            return [] if method == "HEAD" else [answer.content]
        stream = Outgoing(answer.chunks, self._flights, flight)
        if method != "HEAD":
            return stream
        stream.close()
        return []

    def _respond(self, environ: Environ) -> tuple[int, Headers, Rendered | Streamed]:
        flight: Flight = environ[_FLIGHT]
        try:
            flight.begin_turn(self._flights.requests)
            check_host(environ, self.node.config)
            environ["PATH_INFO"] = _decoded_path(environ)
            status, answer = self._answer(environ)
            return status, _headers(answer), self._in_pieces(environ, answer)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, NoPlace):
                self._flights.hold_back(flight)
            status, rendered, headers = _render_error(error)
            return status, headers, rendered

    def _in_pieces(self, environ: Environ, answer: Rendered | Streamed) -> Rendered | Streamed:
        """A large answer as a stream: as whole bytes it would be the server's until its client has taken it."""
        if isinstance(answer, Streamed) or len(answer.content) < LARGE or environ["REQUEST_METHOD"] == "HEAD":
            return answer
        return Streamed(self._flights.in_pieces(environ[_FLIGHT], answer.content), answer.content_type)

    def _answer(self, environ: Environ) -> tuple[int, Rendered | Streamed]:
        try:
            # Bottle would take `head` for HEAD, and what must not run for a HEAD would run.
            method = environ["REQUEST_METHOD"]
            route, path = self.router.match(environ if method.isupper() else {**environ, "REQUEST_METHOD": "-"})
        except bottle.HTTPError as error:
            if error.status_code == 405:
                raise MethodNotAllowed(_allowed(error.headers.get("Allow"))) from None
            raise NotFound(_NOTHING_HERE) from None
        environ[_ENDPOINT] = route.name
        answer: tuple[int, Rendered | Streamed] = route.callback(environ, path)
        return answer


def build_app(node: NodeContext) -> Api:
    """Every endpoint that the modules of this room registered, on one node."""
    app = Api(node)
    for endpoint in ENDPOINTS:
        app.route(_rule(endpoint.path), endpoint.method, _bind(node, endpoint), name=endpoint.path)
    described = Rendered(encode(document(ENDPOINTS, wants_token=not is_open(node.config))))
    page = Rendered(docs_page(ENDPOINTS).encode(), "text/html; charset=utf-8", DOCS_POLICY)
    app.route("/openapi.json", "GET", lambda environ, path: (200, described), name="/openapi.json")
    app.route("/docs", "GET", lambda environ, path: (200, page), name="/docs")
    return app


def _rule(path: str) -> str:
    """`/v1/blocks/{block}` as Bottle writes it."""
    return re.sub(r"\{(\w+)\}", r"<\1>", path)


def _allowed(header: str) -> list[str]:
    methods = set(header.split(","))
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _decoded_path(environ: Environ) -> str:
    """The path as text. Raises NotFound for what no path of ours can be."""
    raw: str = environ["PATH_INFO"]
    try:
        path = raw.encode("latin-1").decode()  # WSGI hands over bytes in disguise
    except UnicodeError:
        raise NotFound(_NOTHING_HERE) from None
    if len(path) > _MAX_PATH or not path.isprintable():
        raise NotFound(_NOTHING_HERE)
    return path


def _bind(
    node: NodeContext, endpoint: Endpoint
) -> Callable[[Environ, dict[str, str]], tuple[int, Rendered | Streamed]]:
    """The endpoint as a route calls it: check who asks, parse, call, render."""
    limit = endpoint.limit(node)
    flights = flights_of(node)
    places = None if endpoint.bound is None else flights.places.of(endpoint.bound)
    wants_token = endpoint.token and not is_open(node.config)
    methods = sorted({each.method for each in ENDPOINTS if each.path == endpoint.path})

    def run(environ: Environ, path: dict[str, str]) -> tuple[int, Rendered | Streamed]:
        if endpoint.changes and environ["REQUEST_METHOD"] == "HEAD":
            raise MethodNotAllowed(methods)
        if endpoint.same_site:
            check_same_site(environ, node.config)
        if wants_token:
            check_token(environ, node.token.current)
        query = read_query(environ.get("QUERY_STRING") or "", endpoint.query) if endpoint.query else None
        flight: Flight = environ[_FLIGHT]
        sender = _sender(environ)
        flight.trusted = endpoint.is_health or (bool(sender) and node.gossip.is_peer(Caller(sender, flight.remote)))
        call = Call(
            path,
            query,
            _body(endpoint, environ, limit, flights),
            remote=flight.remote,
            sender=sender,
            last_event_id=environ.get("HTTP_LAST_EVENT_ID"),
            flight=flight,
        )
        if places is None:
            flight.end_turn()
            return answered(endpoint.handler(node, call))
        with flights.work(flight, places):
            return answered(endpoint.handler(node, call))

    def answered(answer: Any) -> tuple[int, Rendered | Streamed]:
        if isinstance(answer, Reply):
            return answer.status, Rendered(encode(answer.content))
        return endpoint.status, _rendered(answer)

    return run


def _sender(environ: Environ) -> str:
    given: str = environ.get(_NODE_HEADER) or ""
    return given if len(given) <= _MAX_NODE_ID else ""


def _rendered(answer: Any) -> Rendered | Streamed:
    if isinstance(answer, Rendered | Streamed):
        return answer
    if isinstance(answer, bytes):
        return Rendered(answer, "application/octet-stream")
    assert isinstance(answer, msgspec.Struct)  # noqa: S101 - what a handler may return
    return Rendered(encode(answer))


def _body(endpoint: Endpoint, environ: Environ, limit: int, flights: Flights) -> Any:
    if endpoint.body is None:
        return None
    flight: Flight = environ[_FLIGHT]
    oversize = endpoint.body.oversize if isinstance(endpoint.body, Binary) else TooLarge
    with flights.reading(flight, declared_length(environ)):
        raw = read_body(environ, limit, oversize)
    flight.begin_turn(flights.requests)
    if not isinstance(endpoint.body, Binary):
        return json_of(environ, raw, endpoint.body)
    check_binary(environ, raw)
    if not raw:
        raise NoBody(f"this call needs a body: {endpoint.body.about}", expected="application/octet-stream")
    return raw


def _headers(answer: Rendered | Streamed) -> Headers:
    headers = [("Content-Type", answer.content_type), *SECURITY_HEADERS]
    if isinstance(answer, Streamed):
        return [*headers, ("Content-Security-Policy", STRICTEST_POLICY)]
    return [
        *headers,
        ("Content-Length", str(len(answer.content))),
        ("Content-Security-Policy", answer.policy or STRICTEST_POLICY),
    ]


def _render_error(error: Exception) -> tuple[int, Rendered, Headers]:
    status, code, message, details, headers = answer_of(error)
    answer = Rendered(encode(Error(ErrorBody(code, message, dict(details)))))
    return status, answer, [*_headers(answer), *headers.items()]
