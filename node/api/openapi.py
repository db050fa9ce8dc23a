"""The OpenAPI 3.1 document, made from the endpoints and the structs that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from ... import __version__
from .endpoint import Binary, Endpoint, Form, Text
from .shapes.fields import Json
from .shapes.v1 import Error

JsonObject = dict[str, Json]
Schemas = Mapping[type[Struct], JsonObject]
"""A struct's JSON Schema, or a reference to it."""

_REF = "#/components/schemas/{name}"
_OCTETS = "application/octet-stream"
_JSON = "application/json"

_PATH_PARAMETERS = {
    "block": "64 hex digits, or a height",
    "txid": "64 hex digits",
    "asset": "an asset's id: 64 hex digits",
    "address": "an address of this coin",
    "peer": "host:port",
    "job": "what asking for it answered",
}

_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an answer that the client has: 304 where it is this one still.",
    "schema": {"type": "string"},
}
_REASONS = {
    400: "Not understood: the code and `details.field` say what.",
    401: "No token, or a wrong one.",
    403: "The Host is not one of this node's, or another site asks.",
    404: "No such thing.",
    405: "The address does not know this method; `Allow` says which it knows.",
    408: "The body did not come in time.",
    409: "Conflicts with what stands.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "Understood, and against a rule; the code is the rule's.",
    500: "The node made a mistake.",
    503: "Not now; try again after `Retry-After` seconds.",
}


TAGS: Final = (
    ("v1", "Amounts in base units; heights from genesis = 0."),
    ("tutorial", "The tutorial's calls: amounts in coins; index = height + 1."),
    ("p2p", "What nodes ask each other."),
)
"""The groups of calls, and what each is about, in the order in which a reader wants them."""


def document(endpoints: Sequence[Endpoint], *, wants_token: bool) -> JsonObject:
    """The whole document of a node that `wants_token` for what spends, mines or connects; JSON-ready."""
    structs = _structs(endpoints)
    refs, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    schema_of = dict(zip(structs, refs, strict=True))
    paths: dict[str, JsonObject] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schema_of, schemas)
        if endpoint.token:
            operation["security"] = [{"token": []}] if wants_token else [{}, {"token": []}]
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    paths["/openapi.json"] = {"get": _itself()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Moneyer node",
            "version": __version__,
            "description": "Amounts under /v1 are whole base units and heights count from genesis = 0; the tutorial's "
            "calls speak in coins and in index = height + 1.",
        },
        "tags": [{"name": name, "description": about} for name, about in TAGS],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "What `moneyer token` prints"}
            },
        },
    }


def _structs(endpoints: Sequence[Endpoint]) -> list[type[Struct]]:
    """Every struct that an endpoint names, each once, in a steady order."""
    found: dict[type[Struct], None] = {Error: None}
    for endpoint in endpoints:
        for struct in (endpoint.body, endpoint.query, endpoint.reply, *endpoint.also.values()):
            if struct is not None and not isinstance(struct, Binary | Form | Text):
                found[struct] = None
    return list(found)


def _itself() -> JsonObject:
    """The call that answers with this document: no endpoint has it."""
    return {
        "summary": "This document; a browser shows it at /docs",
        "operationId": "openapi_get",
        "tags": ["v1"],
        "responses": {
            "200": {"description": "OK", "content": {_JSON: {"schema": {"type": "object"}}}},
            "403": _error(403),
        },
    }


def _operation(endpoint: Endpoint, schema_of: Schemas, schemas: JsonObject) -> JsonObject:
    operation: JsonObject = {
        "summary": endpoint.summary,
        "operationId": endpoint.name,
        "tags": [tag_of(endpoint.path)],
        "parameters": [
            *_path_parameters(endpoint),
            *_query_parameters(endpoint, schemas),
            *([_IF_NONE_MATCH] if endpoint.kept else ()),
        ],
        "responses": _responses(endpoint, schema_of),
    }
    if endpoint.body is not None and not isinstance(
        endpoint.body, Form
    ):  # forms are of pages, which have no place here
        operation["requestBody"] = {"required": True, "content": _content(endpoint.body, schema_of)}
    return operation


def tag_of(path: str) -> str:
    """The group of a call, one of `TAGS`."""
    first = path.split("/")[1]
    return first if first in ("v1", "p2p") else "v1" if first in ("healthz", "metrics") else "tutorial"


def _path_parameters(endpoint: Endpoint) -> list[JsonObject]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint, schemas: JsonObject) -> list[JsonObject]:
    if endpoint.query is None:
        return []
    properties = schemas[endpoint.query.__name__]["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        for name, schema in properties.items()
    ]


def _without_null(schema: JsonObject) -> JsonObject:
    """A query has no null: what may be None may be left out."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default") or value is not None}
    if len(choices) == 1:
        return {**{key: value for key, value in rest.items() if key != "anyOf"}, **choices[0]}
    return rest


def _content(kind: type[Struct] | Binary | Text, schema_of: Schemas) -> JsonObject:
    if isinstance(kind, Binary):
        return {_OCTETS: {"schema": {"type": "string", "format": "binary", "description": kind.about}}}
    if isinstance(kind, Text):
        return {kind.content_type.partition(";")[0]: {"schema": {"type": "string", "description": kind.about}}}
    return {_JSON: {"schema": schema_of[kind]}}


def _responses(endpoint: Endpoint, schema_of: Schemas) -> JsonObject:
    answers: dict[int, type[Struct] | Binary | Text] = {endpoint.status: endpoint.reply, **endpoint.also}
    responses = {
        str(status): {"description": HTTPStatus(status).phrase, "content": _content(kind, schema_of)}
        for status, kind in answers.items()
    }
    if endpoint.kept:
        responses["304"] = {"description": "The client has this answer: `If-None-Match` names its `ETag`."}
    for status in _error_statuses(endpoint):
        responses[str(status)] = _error(status)
    return dict(sorted(responses.items()))


def _error_statuses(endpoint: Endpoint) -> set[int]:
    statuses = {403, 503, *endpoint.errors}
    if endpoint.body is not None:
        statuses |= {400, 408, 413, 415}
    if endpoint.query is not None or "{" in endpoint.path:
        statuses |= {400}
    if "{" in endpoint.path:
        statuses |= {404}  # a name that holds a slash is another address
    if endpoint.token:
        statuses |= {401}
    return statuses


def _error(status: int) -> JsonObject:
    return {
        "description": _REASONS[status],
        "content": {_JSON: {"schema": {"$ref": _REF.format(name=Error.__name__)}}},
    }
