"""A page is one function and one line about it: `@page("/block/{block}", …)`. It takes a `Visit`, returns a `Page`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote

from msgspec import Struct

from .... import __version__
from ...api.calls.assets.v1_assets import terms_of
from ...api.endpoint import Answer, Call, Endpoint, Form, OfChain, Reply, Text
from ...api.http.guard import is_open
from ...api.parts.answers import Rendered
from ...api.shapes.assets import AssetSummary
from ...api.shapes.v1 import TransactionView
from ...service import Node
from ...system.shares import SHORT_READS, WRITES, Bound
from .name_book import NOBODY, NameBook, Names
from .static_files import StaticFiles
from .templating import make_environment

HTML: Final = "text/html; charset=utf-8"
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of every page: files of this node, and nothing that stands within a page."""

Query = TypeVar("Query", covariant=True)
Q = TypeVar("Q", bound=Struct)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page's function returns."""

    template: str
    """A file of `templates/`."""
    content: Mapping[str, object]
    """The names that the template knows beside those of every page."""
    tip: bytes | None = None
    """The tip's hash of the same read, where all of it depends on the main chain alone."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """In place of a page: the browser asks for another one, by GET (303)."""

    url: str
    """A path of this node."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page, as templates know it."""

    is_owner: bool
    """Whether the wallet is theirs: an open development network, or a session that signed in."""
    names: Names
    signed_in: bool = False
    """Whether there is a session that they can end."""

    def name_of(self, address: str | None) -> str | None:
        """The name of an address, where the wallet or the contacts know one."""
        return None if address is None else self.names.of_address.get(address)


STRANGER: Final = Viewer(False, NOBODY)
"""Everybody but the owner."""


class AssetTerms:
    """What assets are called and how their units are written. For one page: each is looked up once, if it is named."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._found: dict[str, AssetSummary | None] = {}

    def __call__(self, asset: str) -> AssetSummary | None:
        """None where the main chain has no asset of this id: its issue waits, or was undone."""
        if asset not in self._found:
            self._found[asset] = terms_of(self._node, asset)
        return self._found[asset]

    def of(self, moved: TransactionView) -> AssetSummary | TransactionView | None:
        """Symbol and decimals of what a transaction moves: an issue has them itself, others name the asset."""
        if moved.kind == "issue":
            return moved
        return self(moved.asset) if moved.asset else None


@dataclass(frozen=True, slots=True)
class Visit(Generic[Query]):
    """One request for a page."""

    node: Node
    call: Call[Query, Any]
    """Its body is what the page's line names, or None."""
    site: Site
    viewer: Viewer

    @property
    def query(self) -> Query:
        return self.call.query

    @property
    def form(self) -> Any:
        """The fields of the form that was sent, as the struct that the page's line names."""
        return self.call.body

    def terms(self, asset: str) -> AssetSummary | None:
        """An asset by what a form says is its id; None where there is none."""
        is_id = len(asset) == 64 and set(asset) <= set("0123456789abcdef")
        return terms_of(self.node, asset) if is_id else None

    def ask(self, handler: Callable[[Node, Call[Any, Any]], R], query: Struct | None = None, **path: str) -> R:
        """What an endpoint of `/v1` answers, as its struct. Raises what it does."""
        call: Call[Any, Any] = self.call
        return handler(self.node, replace(call, query=query, body=None, path=path))

    def do(self, handler: Callable[[Node, Call[Any, Any]], R], body: Struct) -> R:
        """What an endpoint of `/v1` does with a body, and answers. Raises what it does."""
        call: Call[Any, Any] = self.call
        return handler(self.node, replace(call, query=None, body=body, path={}))


@dataclass(frozen=True, eq=False)
class Site:
    """What the pages of one node share."""

    node: Node
    names: NameBook
    static: StaticFiles = field(default_factory=StaticFiles)

    @cached_property
    def environment(self) -> Any:
        """The templates; loaded when the first page is asked for."""
        return make_environment(self.node.coin, self.static)

    def viewer(self, is_owner: bool) -> Viewer:
        return Viewer(is_owner, self.names.now(), not is_open(self.node.config)) if is_owner else STRANGER

    def varies(self, is_owner: bool) -> str:
        """What a kept page depends on beside rows and address."""
        return f"owner {self.names.now().version}" if is_owner else ""

    def render(self, page: Page, viewer: Viewer, path: str = "") -> Rendered:
        """A page as HTML. `path`: its address, so that the menu shows where one is."""
        template = self.environment.get_template(page.template)
        assets = AssetTerms(self.node)
        text = template.render(page.content, viewer=viewer, path=path, assets=assets, program_version=__version__)
        content = text.encode("utf-8", "backslashreplace")
        return Rendered(content, HTML, POLICY, headers=page.headers, private=viewer.is_owner)


class Options(TypedDict, total=False):
    """What `@page` may be told; each is described at the field of `Endpoint`."""

    query: type[Struct]
    body: Form
    bound: Bound | None
    kept: bool
    kept_seconds: float | None
    changes: bool
    token: bool


Handler = Callable[[Visit[Any]], "Page | Redirect | Rendered"]
H = TypeVar("H", bound=Callable[..., "Page | Redirect | Rendered"])


@dataclass(frozen=True, slots=True)
class Registered:
    """A page's function and its line."""

    method: str
    path: str
    handler: Handler
    options: Options


PAGES: list[Registered] = []
"""Every page of the modules imported so far."""


def page(path: str, method: str = "GET", **options: Unpack[Options]) -> Callable[[H], H]:
    """Register a function as the page at `path`. It is kept (see `Endpoint.kept`) unless told otherwise."""

    def register(handler: H) -> H:
        PAGES.append(Registered(method, path, handler, options))
        return handler

    return register


def endpoint_of(registered: Registered, site: Site) -> Endpoint:
    """A page as an endpoint of the node's application: the same checks, the same places."""
    options = registered.options
    changes = options.get("changes", False)
    kept = options.get("kept", registered.method == "GET")

    def handle(node: Node, call: Call[object, object]) -> Answer:
        viewer = site.viewer(call.is_owner)
        found = registered.handler(Visit(node, call, site, viewer))
        if isinstance(found, Redirect):
            return Reply(303, Rendered(b"", HTML, POLICY, headers=(("Location", found.url), *found.headers)))
        if isinstance(found, Rendered):
            return found
        rendered = site.render(found, viewer, _path_of(registered.path, call.path))
        if found.status != 200:
            return Reply(found.status, rendered)
        return rendered if found.tip is None else OfChain(rendered, found.tip)

    return Endpoint(
        method=registered.method,
        path=registered.path,
        summary="",
        handler=handle,
        reply=Text("a page", HTML),
        status=200,
        also={},
        body=options.get("body"),
        query=options.get("query"),
        errors=(),
        changes=changes,
        token=options.get("token", False),
        same_site=changes,
        limit=lambda coin: 65_536,
        bound=options.get("bound", WRITES if changes else SHORT_READS),
        is_health=False,
        kept=kept,
        kept_seconds=options.get("kept_seconds"),
        varies=site.varies if kept else None,
    )


def _path_of(pattern: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        pattern = pattern.replace(f"{{{name}}}", quote(value))
    return pattern


def content_of(answer: object) -> Any:
    """The struct of a `/v1` answer, and the tip that it depends on, if it does: `(content, tip)`."""
    return (answer.content, answer.tip) if isinstance(answer, OfChain) else (answer, None)
