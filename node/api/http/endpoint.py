"""An endpoint is one function and one line about it: `@endpoint("GET", "/v1/coin", …)`.

From that line come the route, the checks before the function is called, and its part of the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ...system.shares import SHORT_READS, WRITES, Bound
from ..context import NodeContext
from .body import JSON_LIMIT
from .errors import TooLarge
from .inflight import Flight
from .large import Chunks


@dataclass(frozen=True, slots=True)
class Call:
    """One request, parsed: nothing in it is unchecked but what `path` holds."""

    path: dict[str, str]
    query: Any
    """The endpoint's query struct, or None."""
    body: Any
    """The endpoint's body struct, bytes for a binary one, or None."""
    remote: str
    """The caller's IP address."""
    last_event_id: str | None = None
    """The header of that name."""
    sender: str = ""
    """The node_id that the caller says it has; anything may stand there."""
    flight: Flight | None = None
    """The request as one that is under way."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status other than the endpoint's own."""

    status: int
    content: msgspec.Struct


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer whose bytes are ready."""

    content: bytes
    content_type: str = "application/json"
    policy: str | None = None
    """Content-Security-Policy, where it isn't the strictest."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer without an end of its own."""

    chunks: Chunks
    content_type: str


Handler = Callable[[NodeContext, Call], Any]


@dataclass(frozen=True, slots=True)
class Binary:
    """In place of a struct: bytes, `application/octet-stream`. `oversize`: what too many of them are refused with."""

    about: str
    oversize: type[TooLarge] = TooLarge


@dataclass(frozen=True, slots=True)
class Text:
    """In place of a struct: text of a type of its own."""

    about: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All there is to say about one method of one path."""

    method: str
    path: str
    """With `{names}` as OpenAPI writes them."""
    summary: str
    handler: Handler
    reply: type[msgspec.Struct] | Binary | Text
    status: int
    also: dict[int, type[msgspec.Struct]]
    """Other answers that are no errors."""
    body: type[msgspec.Struct] | Binary | None
    query: type[msgspec.Struct] | None
    errors: tuple[int, ...]
    """Statuses that this endpoint in particular may answer with; the ones that any may are not named."""
    changes: bool
    """Refused when a browser marks it as another site's or as a prefetch; never run by HEAD."""
    token: bool
    same_site: bool
    """Refused when a browser marks it as another site's, as all that changes something is."""
    limit: Callable[[NodeContext], int]
    """Bytes of body at most."""
    bound: Bound | None
    """Whose place the node works on it in; None where the handler takes its own, or needs none."""
    is_health: bool
    """A look at the node's health, which may use the reserve whoever asks."""

    @property
    def name(self) -> str:
        return f"{self.handler.__name__}_{self.method.lower()}"


ENDPOINTS: list[Endpoint] = []
"""Every endpoint of the modules imported so far, in the order of their files."""


def endpoint(
    methods: str,
    path: str,
    summary: str,
    *,
    reply: type[msgspec.Struct] | Binary | Text,
    status: int = 200,
    also: dict[int, type[msgspec.Struct]] | None = None,
    body: type[msgspec.Struct] | Binary | None = None,
    query: type[msgspec.Struct] | None = None,
    errors: tuple[int, ...] = (),
    changes: bool = False,
    token: bool = False,
    same_site: bool = False,
    bound: Bound | UnsetType | None = UNSET,
    is_health: bool = False,
    limit: int | Callable[[NodeContext], int] = JSON_LIMIT,
) -> Callable[[Handler], Handler]:
    """Register a handler for `methods` (`"GET"`, or several: `"GET POST"`) of `path`.

    `bound`: as `Endpoint` has it; unless given, `WRITES` for what changes something and `SHORT_READS` for the rest.
    """
    if bound is UNSET:
        bound = WRITES if changes else SHORT_READS
    limit_of = limit if callable(limit) else lambda node: limit

    def register(handler: Handler) -> Handler:
        for method in methods.split():
            ENDPOINTS.append(
                Endpoint(
                    method=method,
                    path=path,
                    summary=summary,
                    handler=handler,
                    reply=reply,
                    status=status,
                    also=also or {},
                    body=body,
                    query=query,
                    errors=errors,
                    changes=changes,
                    token=token,
                    same_site=same_site or changes,
                    limit=limit_of,
                    bound=bound,
                    is_health=is_health,
                )
            )
        return handler

    return register
