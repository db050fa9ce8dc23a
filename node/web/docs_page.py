"""`/docs`: every call of the API, to read and to try; made from the same endpoints as `/openapi.json`."""

from __future__ import annotations

from dataclasses import dataclass

from ..api.endpoint import ENDPOINTS, Binary, Endpoint, Form
from ..api.http.guard import is_open
from ..api.openapi import TAGS, tag_of
from .frame.pages import Page, Visit, page


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call as the list shows it."""

    method: str
    path: str
    summary: str
    token: bool
    """Whether it needs the node's token, where the node wants one."""
    query: tuple[str, ...]
    """The names of its parameters after the `?`."""
    body: tuple[str, ...]
    """The keys of its JSON body."""
    bytes: str
    """What its body is, where it is not JSON."""


def shown_call(endpoint: Endpoint) -> ShownCall:
    body = endpoint.body
    return ShownCall(
        method=endpoint.method,
        path=endpoint.path,
        summary=endpoint.summary,
        token=endpoint.token,
        query=endpoint.query.__struct_encode_fields__ if endpoint.query else (),
        body=() if body is None or isinstance(body, Binary | Form) else body.__struct_encode_fields__,
        bytes=body.about if isinstance(body, Binary) else "",
    )


@page("/docs")
def docs(visit: Visit[None]) -> Page:
    groups = [(tag, about, [shown_call(each) for each in ENDPOINTS if tag_of(each.path) == tag]) for tag, about in TAGS]
    return Page("docs.html", {"groups": groups, "wants_token": not is_open(visit.node.config)})
