"""Signing in and out: `moneyer open` leads a browser to `/signin#CODE`, whose script hands the code in."""

from __future__ import annotations

from ...api.calls.v1_sessions import SIGN_IN, cookie
from ...api.http.guard import is_open
from ..frame.pages import Page, Redirect, Visit, page


@page(SIGN_IN)
def sign_in(visit: Visit[None]) -> Page:
    return Page("signin.html", {"is_open": is_open(visit.node.config), "is_needed": False})


@page("/signout", "POST", changes=True)
def sign_out(visit: Visit[None]) -> Redirect:
    visit.call.parts.sessions.end(visit.call.session)
    return Redirect("/", (cookie(visit.call, "", ends=True),))
