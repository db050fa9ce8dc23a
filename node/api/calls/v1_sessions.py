"""Sessions: a browser signs in with a one-time code, and signs out."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...service import Node
from ..endpoint import Call, endpoint
from ..http.guard import is_open
from ..parts.answers import Rendered
from ..parts.sessions import CODE_SECONDS, IDLE_SECONDS
from ..shapes.fields import encode
from ..shapes.v1 import SessionCode, SessionView

SIGN_IN = "/signin"
"""The page that takes a code from its own address, behind the `#`."""


class SessionBody(Struct, forbid_unknown_fields=True):
    code: Annotated[str, Meta(min_length=1, max_length=200)]


def cookie(call: Call[object, object], secret: str, *, ends: bool = False) -> tuple[str, str]:
    """The header by which a browser keeps a session's secret, or (`ends`) forgets it."""
    parts = [f"{call.parts.sessions.cookie}={secret}", "Path=/", "HttpOnly", "SameSite=Strict"]
    parts += ["Secure"] if call.by_tls else []
    parts += ["Max-Age=0"] if ends else []
    return "Set-Cookie", "; ".join(parts)


@endpoint(
    "POST",
    "/v1/sessions",
    "Make a one-time code by which a browser signs in",
    reply=SessionCode,
    status=201,
    changes=True,
    token=True,
)
def make_code(node: Node, call: Call[None, None]) -> SessionCode:
    url = node.config.local_url
    if is_open(node.config):
        return SessionCode(None, None, f"{url}/")
    code = call.parts.sessions.new_code()
    return SessionCode(code, CODE_SECONDS, f"{url}{SIGN_IN}#{code}")


@endpoint(
    "POST",
    "/v1/session",
    "Sign in: hand in a one-time code, get a session's cookie",
    reply=SessionView,
    body=SessionBody,
    changes=True,
    own_page=True,
)
def sign_in(node: Node, call: Call[None, SessionBody]) -> Rendered:
    secret = call.parts.sessions.begin(call.body.code, call.remote)
    if call.session:
        call.parts.sessions.end(call.session)
    return Rendered(encode(SessionView(True, IDLE_SECONDS)), headers=(cookie(call, secret),))


@endpoint("DELETE", "/v1/session", "Sign out: end the session", reply=SessionView, changes=True)
def sign_out(node: Node, call: Call[None, None]) -> Rendered:
    call.parts.sessions.end(call.session)
    return Rendered(encode(SessionView(False, None)), headers=(cookie(call, "", ends=True),))
