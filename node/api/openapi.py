"""The OpenAPI 3.1 document, made from the endpoints and the structs that they name; and a page of it for people."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from http import HTTPStatus

import msgspec
from msgspec import Struct

from ... import __version__
from .endpoint import Binary, Endpoint, Text
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
    paths["/openapi.json"] = {"get": _plain("This document", "openapi_get", _JSON, {"type": "object"})}
    paths["/docs"] = {"get": _plain("This document as a page for people", "docs_get", "text/html", {"type": "string"})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Moneyer node",
            "version": __version__,
            "description": "Amounts under /v1 are whole base units and heights count from genesis = 0; the tutorial's "
            "calls speak in coins and in index = height + 1.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "DATA/api.token"}},
        },
    }


def _structs(endpoints: Sequence[Endpoint]) -> list[type[Struct]]:
    """Every struct that an endpoint names, each once, in a steady order."""
    found: dict[type[Struct], None] = {Error: None}
    for endpoint in endpoints:
        for struct in (endpoint.body, endpoint.query, endpoint.reply, *endpoint.also.values()):
            if struct is not None and not isinstance(struct, Binary | Text):
                found[struct] = None
    return list(found)


def _plain(summary: str, name: str, content: str, schema: JsonObject) -> JsonObject:
    return {
        "summary": summary,
        "operationId": name,
        "responses": {
            "200": {"description": "OK", "content": {content: {"schema": schema}}},
            "403": _error(403),
        },
    }


def _operation(endpoint: Endpoint, schema_of: Schemas, schemas: JsonObject) -> JsonObject:
    operation: JsonObject = {
        "summary": endpoint.summary,
        "operationId": endpoint.name,
        "tags": [_tag(endpoint.path)],
        "parameters": [
            *_path_parameters(endpoint),
            *_query_parameters(endpoint, schemas),
            *([_IF_NONE_MATCH] if endpoint.kept else ()),
        ],
        "responses": _responses(endpoint, schema_of),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.body, schema_of)}
    return operation


def _tag(path: str) -> str:
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


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;border-bottom:1px solid #d8dee4}
code{font:.92em ui-monospace,monospace;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}td,th{border-color:#30363d}a{color:#79b8ff}}
""".strip()

DOCS_POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"
    + base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Lets the page's own style in, and nothing else."""

_ROOMS = (
    ("tutorial", "The tutorial's calls", "Amounts in coins; index = height + 1."),
    ("v1", "/v1", "Amounts in base units; heights from genesis = 0."),
    ("p2p", "/p2p", "What nodes ask each other."),
)


def docs_page(endpoints: Sequence[Endpoint]) -> str:
    """The endpoints as HTML, without a script."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Moneyer node: its calls</title><style>{_STYLE}</style></head><body>",
        '<h1>What this node answers to</h1><p>Every shape and every status: <a href="/openapi.json">openapi.json</a>.',
        " 🔒 needs the node's token, except on a development network on loopback.</p>",
    ]
    for tag, title, about in _ROOMS:
        parts.append(f"<h2>{escape(title)}</h2><p>{escape(about)}</p><table><tr><th>Call</th><th>Does</th></tr>")
        parts += [_row(endpoint) for endpoint in endpoints if _tag(endpoint.path) == tag]
        parts.append("</table>")
    return "".join([*parts, "</body></html>"])


def _row(endpoint: Endpoint) -> str:
    fields = ""
    for name, struct in (("Query", endpoint.query), ("Body", endpoint.body)):
        if isinstance(struct, Binary):
            fields += f"<br>{name}: {escape(struct.about)}"
        elif struct is not None:
            names = ", ".join(f"<code>{escape(each)}</code>" for each in struct.__struct_encode_fields__)
            fields += f"<br>{name}: {names}"
    lock = " 🔒" if endpoint.token else ""
    return (
        f"<tr><td><code>{endpoint.method} {escape(endpoint.path)}</code>{lock}</td>"
        f"<td>{escape(endpoint.summary)}{fields}</td></tr>"
    )
