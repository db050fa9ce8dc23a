"""Calls as handlers take them, for tests and benches that ask a handler in their own process, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, overload

from moneyer.node.api.endpoint import Call
from moneyer.node.api.http.inflight import Flight
from moneyer.node.api.parts.api_parts import ApiParts

Q = TypeVar("Q")

HERE = "127.0.0.1"


@overload
def call_of(parts: ApiParts, path: Mapping[str, str] | None = None) -> Call[None, None]: ...


@overload
def call_of(parts: ApiParts, path: Mapping[str, str] | None = None, *, query: Q) -> Call[Q, None]: ...


def call_of(parts: ApiParts, path: Mapping[str, str] | None = None, *, query: Q | None = None) -> Call[Q | None, None]:
    """A request without a body, from this machine; `parts`: of the node that is asked."""
    return Call(path=path or {}, query=query, body=None, flight=Flight(HERE), parts=parts, remote=HERE)
