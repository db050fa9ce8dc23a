"""What a text may mean: one meaning leads there at once, several are listed, none is told with what was looked for."""

from __future__ import annotations

from msgspec import Struct

from ...api.calls.explore.v1_search import MAX_TEXT, look_up
from ..frame.pages import Page, Redirect, Visit, page


class TextQuery(Struct):
    q: str = ""
    """Whatever somebody typed. The whole query of a request is bounded."""


@page("/search", query=TextQuery, kept=False)
def search_page(visit: Visit[TextQuery]) -> Page | Redirect:
    text = visit.query.q
    found = look_up(visit.node, text, names=visit.viewer.is_owner)
    if len(found.results) == 1:
        return Redirect(found.results[0].url)
    return Page("search.html", {"text": text[:MAX_TEXT], "found": found})
