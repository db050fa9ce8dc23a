"""An endpoint is one function and one line about it: `@endpoint("GET", "/v1/coin", …)`.

From that line come the route, the checks before the function is called, and its part of the OpenAPI document. A type
checker holds the function to the line: with `query=BlockQuery` it takes a `Call[BlockQuery, None]`, with
`body=MineBody` a `Call[None, MineBody]`, with `body=Binary(…)` a `Call[None, bytes]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypedDict, TypeVar, Unpack, cast, overload

from msgspec import Struct

from ..core.coin import Coin
from ..service import Node
from ..system.decoding import prepare
from ..system.shares import SHORT_READS, WRITES, Bound
from .http.errors import TooLarge
from .http.guard import JSON_LIMIT
from .http.inflight import Flight
from .http.large import Chunks
from .parts.answers import Rendered
from .parts.api_parts import ApiParts

Query = TypeVar("Query", covariant=True)
Body = TypeVar("Body", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """One request, parsed: nothing in it is unchecked but what `path` holds."""

    path: Mapping[str, str]
    """What stands in the place of the path's `{names}`."""
    query: Query
    """The endpoint's query struct, or None."""
    body: Body
    """The endpoint's body struct, bytes for a binary one, or None."""
    flight: Flight
    """The request as one that is under way."""
    parts: ApiParts
    """What the calls of this node share."""
    remote: str
    """The caller's IP address."""
    sender: str = ""
    """The node_id that the caller says it has; anything may stand there."""
    last_event_id: str | None = None
    """The header of that name."""
    host: str = ""
    """What the caller calls this node: the request's `Host`, one that it answers to."""
    is_owner: bool = False
    """Whether the caller may see and use the node's wallet: with the token or a session; on an open development network
    everybody may."""
    session: str = field(default="", repr=False)
    """The secret of the session that the request carries, valid or not; empty where it carries none."""
    by_tls: bool = False
    """Whether the page that asks came by TLS."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status other than the endpoint's own. It is never kept."""

    status: int
    content: Struct | Rendered


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer without an end of its own."""

    chunks: Chunks
    content_type: str


@dataclass(frozen=True, slots=True)
class Binary:
    """In place of a struct: bytes, `application/octet-stream`. `oversize`: what too many of them are refused with."""

    about: str
    oversize: type[TooLarge] = TooLarge


@dataclass(frozen=True, slots=True)
class Form:
    """In place of a struct: one that an HTML form's fields are read into, `application/x-www-form-urlencoded`."""

    struct: type[Struct]


@dataclass(frozen=True, slots=True)
class Text:
    """In place of a struct: text of a type of its own."""

    about: str
    content_type: str


S = TypeVar("S", bound=Struct | Rendered, covariant=True)
QueryStruct = TypeVar("QueryStruct", bound=Struct)


@dataclass(frozen=True, slots=True)
class OfChain(Generic[S]):
    """An answer of a `kept` endpoint that depends on the main chain alone. `tip`: the tip's hash, of the same read."""

    content: S
    tip: bytes


Answer = Struct | bytes | Reply | Rendered | Streamed | OfChain[Struct] | OfChain[Rendered]
"""What a handler may return."""
Handler = Callable[[Node, Call[object, object]], Answer]
Returned = TypeVar("Returned", bound=Answer)
Q = TypeVar("Q", bound=Struct | None)
B = TypeVar("B", bound=Struct | bytes | None)


class Register(Protocol[Q, B]):
    """What `@endpoint(…)` is: it takes a handler of such calls, and gives it back as it was."""

    def __call__(self, handler: Callable[[Node, Call[Q, B]], Returned]) -> Callable[[Node, Call[Q, B]], Returned]: ...


class Options(TypedDict, total=False):
    """What `@endpoint` may be told beside the shapes; each is described at the field of `Endpoint`."""

    status: int
    also: Mapping[int, type[Struct]]
    errors: tuple[int, ...]
    changes: bool
    token: bool
    same_site: bool
    own_page: bool
    bound: Bound | None
    is_health: bool
    kept: bool
    peers: bool
    limit: int | Callable[[Coin], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All there is to say about one method of one path."""

    method: str
    path: str
    """With `{names}` as OpenAPI writes them."""
    summary: str
    handler: Handler
    reply: type[Struct] | Binary | Text
    status: int
    also: Mapping[int, type[Struct]]
    """Other answers that are no errors."""
    body: type[Struct] | Binary | Form | None
    query: type[Struct] | None
    errors: tuple[int, ...]
    """Statuses that this endpoint in particular may answer with; the ones that any may are not named."""
    changes: bool
    """Refused when a browser marks it as another site's or as a prefetch; never run by HEAD."""
    token: bool
    """Whether it needs the node's token, or a session and a page of the node's own, except on a development network on
    loopback."""
    same_site: bool
    """Refused when a browser marks it as another site's, as all that changes something is."""
    limit: Callable[[Coin], int]
    """Bytes of body at most."""
    bound: Bound | None
    """Whose place the node works on it in; None where the handler takes its own, or needs none."""
    is_health: bool
    """A look at the node's health, which may use the reserve whoever asks."""
    kept: bool
    """Answered by the database's rows alone: kept while they are as they were (`parts.answers`), and has an ETag."""
    kept_seconds: float | None = None
    """What is kept holds for so long at most: for answers that tell of more than rows, such as who is alive."""
    varies: Callable[[bool], str] | None = None
    """Names what a kept answer depends on beside rows, path and query; it is told whether the caller is the owner."""
    peers: bool = False
    """Of the one node of its database that speaks to other nodes; another one answers 503 (`http.roles`)."""
    own_page: bool = False
    """Refused unless a browser says that a page of this node asks."""

    def __post_init__(self) -> None:
        body = self.body.struct if isinstance(self.body, Form) else self.body
        prepare(*(kind for kind in (self.query, body) if isinstance(kind, type)))

    @property
    def name(self) -> str:
        return f"{self.handler.__name__}_{self.method.lower()}"


ENDPOINTS: list[Endpoint] = []
"""Every endpoint of the modules imported so far, in the order of their files."""


@overload
def endpoint(
    methods: str, path: str, summary: str, *, reply: type[Struct] | Binary | Text, **options: Unpack[Options]
) -> Register[None, None]: ...


@overload
def endpoint(
    methods: str,
    path: str,
    summary: str,
    *,
    reply: type[Struct] | Binary | Text,
    query: type[QueryStruct],
    **options: Unpack[Options],
) -> Register[QueryStruct, None]: ...


@overload
def endpoint(
    methods: str,
    path: str,
    summary: str,
    *,
    reply: type[Struct] | Binary | Text,
    body: type[QueryStruct],
    **options: Unpack[Options],
) -> Register[None, QueryStruct]: ...


@overload
def endpoint(
    methods: str,
    path: str,
    summary: str,
    *,
    reply: type[Struct] | Binary | Text,
    body: Binary,
    **options: Unpack[Options],
) -> Register[None, bytes]: ...


def endpoint(
    methods: str,
    path: str,
    summary: str,
    *,
    reply: type[Struct] | Binary | Text,
    query: type[Struct] | None = None,
    body: type[Struct] | Binary | None = None,
    **options: Unpack[Options],
) -> Register[Q, B]:
    """Register a handler for `methods` (`"GET"`, or several: `"GET POST"`) of `path`.

    `bound`: as `Endpoint` has it; unless given, `WRITES` for what changes something and `SHORT_READS` for the rest.
    """
    changes = options.get("changes", False)
    limit = options.get("limit", JSON_LIMIT)

    def register(
        handler: Callable[[Node, Call[Query, Body]], Returned],
    ) -> Callable[[Node, Call[Query, Body]], Returned]:
        for method in methods.split():
            ENDPOINTS.append(
                Endpoint(
                    method=method,
                    path=path,
                    summary=summary,
                    handler=cast(Handler, handler),  # it is called with what `query` and `body` say, as it takes it
                    reply=reply,
                    status=options.get("status", 200),
                    also=options.get("also", {}),
                    body=body,
                    query=query,
                    errors=options.get("errors", ()),
                    changes=changes,
                    token=options.get("token", False),
                    same_site=options.get("same_site", False) or changes,
                    limit=limit if callable(limit) else lambda coin: limit,
                    bound=options.get("bound", WRITES if changes else SHORT_READS),
                    is_health=options.get("is_health", False),
                    kept=options.get("kept", False),
                    peers=options.get("peers", False) or path.startswith("/p2p/"),
                    own_page=options.get("own_page", False),
                )
            )
        return handler

    return register
