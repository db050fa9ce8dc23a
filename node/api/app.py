"""The API as one WSGI application: routes from the endpoints, checks before them, errors after them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import cast

import bottle
from msgspec import Struct

from ..config import PEER
from ..p2p.gossip.gossip import Caller
from ..p2p.peer.wire import NODE_HEADER
from ..service import Node
from ..system.shares import NoPlace
from .calls import (  # noqa: F401 - imported for the endpoints that they register
    p2p_calls,
    tutorial,
    v1_accounts,
    v1_blocks,
    v1_events,
    v1_mining,
    v1_peers,
    v1_sessions,
    v1_status,
    v1_templates,
    v1_transactions,
)
from .calls.assets import v1_assets, v1_policies  # noqa: F401 - as above
from .calls.explore import v1_chain, v1_search  # noqa: F401 - as above
from .calls.lab import v1_graph, v1_lab  # noqa: F401 - as above
from .endpoint import ENDPOINTS, Answer, Binary, Call, Endpoint, Form, OfChain, Reply, Streamed
from .http.decode import form_of, json_of, read_query
from .http.errors import (
    MethodNotAllowed,
    NoBody,
    NoPeersHere,
    NotFound,
    PeersOnly,
    SessionOver,
    TooLarge,
    answer_of,
    status_line,
)
from .http.guard import (
    Environ,
    came_by_tls,
    check_binary,
    check_host,
    check_own_page,
    check_same_site,
    check_token,
    cookies_of,
    declared_length,
    has_it,
    has_token,
    is_open,
    read_body,
)
from .http.inflight import Flight, Outgoing
from .http.large import LARGE
from .openapi import document
from .parts.answers import Rendered
from .parts.api_parts import ApiParts
from .shapes.fields import encode
from .shapes.v1 import Error, ErrorBody

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], object]
Sent = Rendered | Streamed
"""An answer as it goes to the server."""
ErrorPage = Callable[[Environ, str, int, str, str], Rendered | None]
"""Renders an error for a browser, from the request, its endpoint's path (empty where there is none), and the error's
status, code and message. None: it goes out as JSON."""

SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),  # with no-referrer, browsers send the forms of pages with `Origin: null`
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_KEEP_NOTHING = ("Cache-Control", "no-store")
_ASK_AGAIN = ("Cache-Control", "no-cache")
_ASK_AGAIN_ALONE = ("Cache-Control", "private, no-cache")
_NEVER_ASK = ("Cache-Control", "public, max-age=31536000, immutable")
_PASS_ON = ("X-Accel-Buffering", "no")
"""nginx passes each piece on as it comes, and does not wait until it has many."""
_NOTHING = Rendered(b"")
STRICTEST_POLICY = "default-src 'none'; frame-ancestors 'none'"
_OF_A_PEER = frozenset({"/healthz", "/metrics", "/v1/status", "/v1/coin", "/v1/peers", "/v1/network"})
"""What a node with `--role peer` serves, beside all that needs peers, and `_STATIC`: its refusals are pages, too."""
_STATIC = "/static/"
_MAX_PATH = 1_000
_NODE_HEADER = "HTTP_" + NODE_HEADER.upper().replace("-", "_")
_MAX_NODE_ID = 64
_FLIGHT, _ENDPOINT = "moneyer.flight", "moneyer.endpoint"
"""Keys of a request's environ: its `Flight`, and its endpoint's path."""
_NOTHING_HERE = "there is nothing at this address; GET /docs lists what there is"

log = logging.getLogger("moneyer.api")


class App(bottle.Bottle):  # type: ignore[misc] # Bottle ships without types
    """The WSGI application. Bottle finds the route; an answer is whole bytes, and an error is JSON."""

    def __init__(self, node: Node, parts: ApiParts, error_page: ErrorPage | None = None) -> None:
        super().__init__()
        self.node = node
        self.parts = parts
        self._flights = parts.flights
        self._callers = parts.callers
        self._error_page = error_page

    def wsgi(self, environ: Environ, start_response: StartResponse) -> list[bytes] | Outgoing:
        """One request, from the server to its answer (PEP 3333)."""
        flight = environ[_FLIGHT] = self._flights.begin(*self._callers.of(environ))
        try:
            status, headers, answer = self._respond(environ, flight)
        except BaseException:
            self._flights.end(flight)
            raise
        flight.end_turn()
        method = environ["REQUEST_METHOD"]
        start_response(status_line(status), headers)
        if flight.large is not None or isinstance(answer, Rendered):
            seconds = self._flights.answered(flight, method, environ.get(_ENDPOINT, ""), status)
            if log.isEnabledFor(logging.DEBUG):
                said = method, environ["PATH_INFO"][:_MAX_PATH], status, seconds * 1e3, flight.remote
                log.debug("%s %s %d, %.1f ms, for %s", *said)
        if isinstance(answer, Rendered):
            self._flights.end(flight)
            return [] if method == "HEAD" else [answer.content]
        stream = Outgoing(answer.chunks, self._flights, flight)
        if method != "HEAD":
            return stream
        stream.close()
        return []

    def _respond(self, environ: Environ, flight: Flight) -> tuple[int, Headers, Sent]:
        try:
            self._flights.begin_turn(flight)
            check_host(environ, self.node.config)
            environ["PATH_INFO"] = _decoded_path(environ)
            status, answer = self._routed(environ)
            if isinstance(answer, Rendered) and answer.etag and has_it(environ, answer.etag):
                return 304, _validators(answer), _NOTHING
            return status, _headers(answer), self._in_pieces(environ, flight, answer)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, NoPlace):
                self._flights.hold_back(flight)
            return self._refuse(environ, error)

    def _refuse(self, environ: Environ, error: Exception) -> tuple[int, Headers, Rendered]:
        status, code, message, details, headers = answer_of(error)
        answer = None
        if self._error_page is not None:
            answer = self._error_page(environ, environ.get(_ENDPOINT, ""), status, code, message)
        if answer is None:
            answer = Rendered(encode(Error(ErrorBody(code, message, dict(details)))))
        return status, [*_headers(answer), *headers.items()], answer

    def _in_pieces(self, environ: Environ, flight: Flight, answer: Sent) -> Sent:
        """A large answer as a stream: as whole bytes it would be the server's until its client has taken it."""
        if isinstance(answer, Streamed) or len(answer.content) < LARGE or environ["REQUEST_METHOD"] == "HEAD":
            return answer
        return Streamed(self._flights.in_pieces(flight, answer.content), answer.content_type)

    def _routed(self, environ: Environ) -> tuple[int, Sent]:
        """The answer of a request's endpoint. Raises NotFound, MethodNotAllowed, and what the endpoint does."""
        try:
            # Bottle would take `head` for HEAD, and what must not run for a HEAD would run.
            method = environ["REQUEST_METHOD"]
            route, path = self.router.match(environ if method.isupper() else {**environ, "REQUEST_METHOD": "-"})
        except bottle.HTTPError as error:
            if error.status_code == 405:
                raise MethodNotAllowed(_allowed(error.headers.get("Allow"))) from None
            raise NotFound(_NOTHING_HERE) from None
        environ[_ENDPOINT] = route.name
        return cast("tuple[int, Sent]", route.callback(environ, path))


class _Route:
    """One endpoint on one node, as Bottle calls it: check, parse, call, render."""

    def __init__(self, node: Node, parts: ApiParts, endpoint: Endpoint, methods: list[str]) -> None:
        """`methods`: those that its path knows."""
        self._node = node
        self._parts = parts
        self._endpoint = endpoint
        self._limit = endpoint.limit(node.coin)
        self._places = None if endpoint.bound is None else parts.flights.places.of(endpoint.bound)
        self._is_open = is_open(node.config)
        self._is_one_of_many = node.config.database_url is not None
        self._methods = methods

    def __call__(self, environ: Environ, path: dict[str, str]) -> tuple[int, Sent]:
        endpoint = self._endpoint
        if endpoint.changes and environ["REQUEST_METHOD"] == "HEAD":
            raise MethodNotAllowed(self._methods)
        if self._is_one_of_many:
            self._check_role()
        if endpoint.same_site:
            check_same_site(environ, self._node.config)
        if endpoint.own_page:
            check_own_page(environ)
        sessions = self._parts.sessions
        cookies = cookies_of(environ, sessions.cookie)
        session = sessions.first_valid(cookies) if cookies else ""
        is_owner = self._check_owner(environ, session)
        flight: Flight = environ[_FLIGHT]
        kept_as = None
        if endpoint.kept:
            # Before a row is read: a commit in between makes the next caller look again.
            kept_as = _address(environ, endpoint, is_owner), self._parts.answers.version()
            kept = self._parts.answers.find(*kept_as)
            if kept is not None:
                return endpoint.status, kept
        query = read_query(environ.get("QUERY_STRING") or "", endpoint.query) if endpoint.query else None
        sender = _sender(environ)
        flight.trusted = endpoint.is_health or (bool(sender) and self._is_peer(sender, flight))
        links = self._node.peers.links
        with links.incoming(sender) if links is not None and sender else nullcontext():
            call = Call(
                path=path,
                query=query,
                body=self._body(environ, flight),
                flight=flight,
                parts=self._parts,
                remote=flight.remote,
                sender=sender,
                last_event_id=environ.get("HTTP_LAST_EVENT_ID"),
                host=environ.get("HTTP_HOST") or "",
                is_owner=is_owner,
                session=session,
                by_tls=came_by_tls(environ),
            )
            return self._worked_on(call, kept_as)

    def _check_role(self) -> None:
        """Where several nodes may have one database. Raises PeersOnly, NoPeersHere, StoreUnavailable."""
        endpoint, turn = self._endpoint, self._node.turn
        is_of_a_peer = endpoint.peers or endpoint.path in _OF_A_PEER or endpoint.path.startswith(_STATIC)
        if self._node.config.role == PEER and not is_of_a_peer:
            raise PeersOnly("this node only speaks to other nodes (--role peer): ask one that serves everybody")
        if endpoint.peers and not turn.speaks:
            speaker = turn.speaker()
            who = "no node of its database does now" if speaker is None else f"{speaker} does"
            raise NoPeersHere(f"this node does not speak to other nodes now: {who}", peer=speaker)

    def _worked_on(
        self, call: Call[Struct | None, Struct | bytes | None], kept_as: tuple[str, int] | None
    ) -> tuple[int, Sent]:
        """The handler's answer, in one of the endpoint's places; `kept_as`: as of `_rendered`."""
        endpoint, flight = self._endpoint, call.flight
        if self._places is None:
            flight.end_turn()
            return self._rendered(endpoint.handler(self._node, call), kept_as)
        with self._parts.flights.work(flight, self._places):
            if kept_as is None:
                return self._rendered(endpoint.handler(self._node, call), None)
            with self._parts.answers.making.of(kept_as[0].encode()):
                kept = self._parts.answers.find(*kept_as)  # by another caller, while this one waited
                return (endpoint.status, kept) if kept else self._rendered(endpoint.handler(self._node, call), kept_as)

    def _check_owner(self, environ: Environ, session: str) -> bool:
        """Whether the caller may see and use the node's wallet. Raises Unauthorized, SessionOver, CrossSite.

        `session`: the secret that the request's cookie holds.
        """
        if self._is_open:
            return True
        if "HTTP_AUTHORIZATION" in environ or not session:
            if self._endpoint.token:
                check_token(environ, self._node.token.current)
                return True
            return "HTTP_AUTHORIZATION" in environ and has_token(environ, self._node.token.current)
        is_valid = self._parts.sessions.is_valid(session)
        if self._endpoint.token:
            if not is_valid:
                raise SessionOver("this session is over: sign in again with `moneyer open`")
            check_own_page(environ)
        return is_valid

    def _is_peer(self, sender: str, flight: Flight) -> bool:
        return self._node.gossip.is_peer(Caller(sender, flight.remote))

    def _body(self, environ: Environ, flight: Flight) -> Struct | bytes | None:
        kind, flights = self._endpoint.body, self._parts.flights
        if kind is None:
            return None
        oversize = kind.oversize if isinstance(kind, Binary) else TooLarge
        with flights.reading(flight, declared_length(environ)):
            raw = read_body(environ, self._limit, oversize)
        flights.begin_turn(flight)
        if isinstance(kind, Form):
            return form_of(environ, raw, kind.struct)
        if not isinstance(kind, Binary):
            return json_of(environ, raw, kind)
        check_binary(environ, raw)
        if not raw:
            raise NoBody(f"this call needs a body: {kind.about}", expected="application/octet-stream")
        return raw

    def _rendered(self, answer: Answer, kept_as: tuple[str, int] | None) -> tuple[int, Sent]:
        """`kept_as`: the address and version to keep it under."""
        if isinstance(answer, Streamed):
            return self._endpoint.status, answer
        status = answer.status if isinstance(answer, Reply) else self._endpoint.status
        content = answer.content if isinstance(answer, Reply | OfChain) else answer
        if isinstance(content, bytes):
            rendered = Rendered(content, "application/octet-stream")
        else:
            rendered = content if isinstance(content, Rendered) else Rendered(encode(content))
        if kept_as is not None and not isinstance(
            answer, Reply
        ):  # what is kept is found with the endpoint's own status
            tip = answer.tip if isinstance(answer, OfChain) else None
            rendered = self._parts.answers.keep(*kept_as, rendered, tip, self._endpoint.kept_seconds)
        return status, rendered


def build_app(
    node: Node,
    parts: ApiParts | None = None,
    more: Sequence[Endpoint] = (),
    error_page: ErrorPage | None = None,
) -> App:
    """Every endpoint that the modules of this room registered, on one node. `parts`: made here unless given.

    `more`: endpoints beside those, which the OpenAPI document does not name.
    """
    parts = parts or ApiParts.of(node)
    app = App(node, parts, error_page)
    endpoints = (*ENDPOINTS, *more)
    for endpoint in endpoints:
        methods = sorted({each.method for each in endpoints if each.path == endpoint.path})
        app.route(_rule(endpoint.path), endpoint.method, _Route(node, parts, endpoint, methods), name=endpoint.path)

    @cache
    def described() -> Rendered:  # when it is asked for: it takes longer to make than all the rest here
        return Rendered(encode(document(ENDPOINTS, wants_token=not is_open(node.config))))

    app.route("/openapi.json", "GET", lambda environ, path: (200, described()), name="/openapi.json")
    return app


def _rule(path: str) -> str:
    """`/v1/blocks/{block}` as Bottle writes it; `{name:path}` takes slashes too."""
    return re.sub(r"\{(\w+(?::path)?)\}", r"<\1>", path)


def _allowed(header: str) -> list[str]:
    methods = set(header.split(","))
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _address(environ: Environ, endpoint: Endpoint, is_owner: bool) -> str:
    """What an answer depends on beside the rows: the path, the query where the endpoint has one, what it names."""
    path: str = environ["PATH_INFO"]
    query = environ.get("QUERY_STRING") if endpoint.query else None
    address = f"{path}?{query}" if query else path
    return f"{address} {endpoint.varies(is_owner)}" if endpoint.varies else address


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


def _sender(environ: Environ) -> str:
    given: str = environ.get(_NODE_HEADER) or ""
    return given if len(given) <= _MAX_NODE_ID else ""


def _validators(answer: Rendered) -> Headers:
    """With an ETag, a client may keep the answer, and asks each time whether it still is the one."""
    if answer.for_ever:
        return [*SECURITY_HEADERS, _NEVER_ASK]
    if answer.etag is None:
        return [*SECURITY_HEADERS, _KEEP_NOTHING]
    return [*SECURITY_HEADERS, _ASK_AGAIN_ALONE if answer.private else _ASK_AGAIN, ("ETag", answer.etag)]


def _headers(answer: Sent) -> Headers:
    if isinstance(answer, Streamed):
        headers = [("Content-Type", answer.content_type), *SECURITY_HEADERS, _KEEP_NOTHING, _PASS_ON]
        return [*headers, ("Content-Security-Policy", STRICTEST_POLICY)]
    return [
        ("Content-Type", answer.content_type),
        *_validators(answer),
        ("Content-Length", str(len(answer.content))),
        ("Content-Security-Policy", answer.policy or STRICTEST_POLICY),
        *answer.headers,
    ]
