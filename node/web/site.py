"""The node's application as a whole: the API's endpoints, the pages beside them, and errors as pages for browsers."""

from __future__ import annotations

from functools import partial
from typing import Final

from ..api.app import App, build_app
from ..api.endpoint import Endpoint, Text
from ..api.http.guard import Environ
from ..api.parts.answers import Rendered
from ..api.parts.api_parts import ApiParts
from ..service import Node
from . import docs_page, lab_pages, learn_pages  # noqa: F401 - imported for the pages that they register
from .explorer import (  # noqa: F401
    account_pages,
    assets_page,
    block_pages,
    coin_pages,
    home_page,
    search_page,
    transaction_pages,
)
from .frame.name_book import NameBook
from .frame.pages import PAGES, STRANGER, Page, Site, endpoint_of
from .frame.static_files import PREFIX
from .network import fork_pages, network_page  # noqa: F401
from .owner import asset_forms, contract_pages, proposal_pages, send_pages, session_pages, wallet_pages  # noqa: F401 - as above

_SCRIPTS_OWN: Final = ("/v1", "/p2p", "/openapi.json", "/metrics", "/healthz")
"""Addresses below which a browser, too, is answered in JSON."""


def build_site(node: Node, parts: ApiParts | None = None) -> App:
    """The application of one node, with its pages. `parts`: made here unless given."""
    site = Site(node, NameBook(node.coin, node.keys, node.config.data))
    pages = [endpoint_of(each, site) for each in PAGES]
    paths = {each.path for each in pages}
    return build_app(node, parts, [*pages, _static(site)], partial(_error_page, site, paths))


def _static(site: Site) -> Endpoint:
    return Endpoint(
        method="GET",
        path=f"{PREFIX}/{{version}}/{{name:path}}",
        summary="",
        handler=lambda node, call: site.static.get(call.path["version"], call.path["name"]),
        reply=Text("a file of the pages", "text/css"),
        status=200,
        also={},
        body=None,
        query=None,
        errors=(404,),
        changes=False,
        token=False,
        same_site=False,
        limit=lambda coin: 0,
        bound=None,
        is_health=False,
        kept=False,
    )


def _error_page(
    site: Site, paths: set[str], environ: Environ, endpoint: str, status: int, code: str, message: str
) -> Rendered | None:
    """An error for a browser that asked for a page; None for a program, and for what answers programs."""
    if endpoint not in paths:
        wants_html = "text/html" in (environ.get("HTTP_ACCEPT") or "")
        if endpoint or not wants_html or str(environ["PATH_INFO"]).startswith(_SCRIPTS_OWN):
            return None
    content = {"status": status, "code": code, "message": message}
    return site.render(Page("error.html", content), STRANGER)
