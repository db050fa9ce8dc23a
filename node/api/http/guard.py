"""Checks of a request before anything in it is parsed: Host, site, token, and the type and length of its body."""

from __future__ import annotations

import re
from functools import lru_cache
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, Final

from ...config import Config
from ...system.network import is_loopback
from .errors import BadHost, CrossSite, Incomplete, TooLarge, Unauthorized, WrongType

Environ = dict[str, Any]
"""What WSGI (PEP 3333) hands over of a request: text, and objects of the server's that have no type."""

JSON_LIMIT: Final = 65_536
"""Bytes of a JSON body, unless the endpoint says otherwise."""
_CHUNK: Final = 65_536

_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII)


def is_open(config: Config) -> bool:
    """Whether wallet, mining and peers need no token: a development network on loopback."""
    return config.development and is_loopback(config.host)


def _name_in(host: str) -> str:
    """The name or address of a `Host` header, without its port; empty where it is no such thing."""
    match = _HOST.fullmatch(host)
    return match[1].lower().rstrip(".") if match else ""


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


@lru_cache(maxsize=256)
def answers_to(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a node is meant by this `Host` header: a loopback name, any IP literal, or an allowed name."""
    name = _name_in(host)
    if not name:
        return False
    if _is_localhost(name) or name in (each.lower() for each in allowed):
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_trustworthy(host: str) -> bool:
    """Whether browsers take a `Host` for this machine's own, and so mark what they send there."""
    name = _name_in(host)
    if _is_localhost(name):
        return True
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def check_host(environ: Environ, config: Config) -> None:
    """Raises BadHost: so a page elsewhere cannot reach this node by a name of its own (DNS rebinding)."""
    host = environ.get("HTTP_HOST") or ""
    if not answers_to(host, config.allow_hosts):
        raise BadHost(
            "this node does not answer to that Host: use its IP address, or start it with --allow-host NAME",
            found=host[:80],
        )


def check_same_site(environ: Environ, config: Config) -> None:
    """Raises CrossSite when a browser says that another site asks, or that nobody does (a prefetch).

    Or when it may be one that says nothing: browsers mark requests to trustworthy addresses only
    (https://www.w3.org/TR/fetch-metadata/), and a plain GET names no origin either.
    """
    if "HTTP_SEC_PURPOSE" in environ or "prefetch" in _joined(environ, "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ"):
        raise CrossSite("a prefetch never changes anything")
    site = environ.get("HTTP_SEC_FETCH_SITE")
    is_unmarked = site is None and environ.get("REQUEST_METHOD") == "GET" and "HTTP_AUTHORIZATION" not in environ
    if is_unmarked and is_open(config) and not _is_trustworthy(environ.get("HTTP_HOST") or ""):
        raise CrossSite("what changes something is called by localhost, 127.0.0.1 or [::1], or with the node's token")
    if site is not None and site.strip().lower() not in ("same-origin", "none"):
        raise CrossSite("another site may not change anything here", found=site[:80])
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not _is_own(origin, environ.get("HTTP_HOST") or ""):
        raise CrossSite("another site may not change anything here", found=origin[:80])


def _joined(environ: Environ, *names: str) -> str:
    return " ".join(str(environ.get(name, "")) for name in names).lower()


def _is_own(origin: str, host: str) -> bool:
    scheme, separator, rest = origin.strip().lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and rest == host.strip().lower()


def check_own_page(environ: Environ) -> None:
    """Raises CrossSite unless the browser says positively that a page of this node asks.

    A cookie is no evidence: whichever page asks, and whatever port of the host it is from, the browser may add it.
    """
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    is_own = origin is not None and _is_own(origin, environ.get("HTTP_HOST") or "")
    if (site is None and not is_own) or (site is not None and site.strip().lower() != "same-origin"):
        raise CrossSite(
            "only a page of this node may do that with its session: a program sends the node's token "
            "(Authorization: Bearer)"
        )


def came_by_tls(environ: Environ) -> bool:
    """Whether the page that asks came by TLS, through a proxy: its browser says so."""
    return str(environ.get("HTTP_ORIGIN") or "").strip().lower().startswith("https://")


def cookies_of(environ: Environ, name: str) -> list[str]:
    """The values of the cookies of that name, as the browser sends them."""
    pairs = (each.strip().partition("=") for each in str(environ.get("HTTP_COOKIE") or "").split(";"))
    return [value for found, _, value in pairs if found == name and value]


def has_token(environ: Environ, token: str) -> bool:
    """Whether the request carries the node's token."""
    scheme, _, given = (environ.get("HTTP_AUTHORIZATION") or "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode("latin-1", "replace"), token.encode())


def check_token(environ: Environ, token: str) -> None:
    """Raises Unauthorized unless the request carries the node's token."""
    if not has_token(environ, token):
        raise Unauthorized(
            "this call needs the header Authorization: Bearer TOKEN; the token stands in the node's api.token"
        )


def has_it(environ: Environ, etag: str) -> bool:
    """Whether `If-None-Match` says that the client has the answer of this ETag (RFC 9110, 13.1.2)."""
    given: str | None = environ.get("HTTP_IF_NONE_MATCH")
    if given is None:
        return False
    return given.strip() == "*" or any(each.strip().removeprefix("W/") == etag for each in given.split(","))


def read_body(environ: Environ, limit: int, oversize: type[TooLarge] = TooLarge) -> bytes:
    """The whole body, at most `limit` bytes; no more than one over that is ever read. Raises TooLarge, Incomplete."""
    declared = declared_length(environ)
    if declared is not None and declared > limit:
        raise _too_large(limit, oversize)
    stream, parts, size = environ["wsgi.input"], [], 0
    while size <= limit and size != declared:  # to ask for more of a whole one takes as long as to read it
        part = stream.read(min(_CHUNK, limit + 1 - size))
        if not part:
            break
        parts.append(part)
        size += len(part)
    if size > limit:
        raise _too_large(limit, oversize)
    if declared is not None and declared != size:
        raise Incomplete("the body ended before its Content-Length", expected=declared, found=size)
    return b"".join(parts)


def declared_length(environ: Environ) -> int | None:
    """The Content-Length, where there is one. Of a longer number the first 20 digits are read: too large anyway."""
    digits = environ.get("CONTENT_LENGTH") or ""
    if not digits.isascii() or not digits.isdigit():
        return None
    return int(digits.lstrip("0")[:20] or "0")  # Python refuses to read thousands of digits, zeros too


def _too_large(limit: int, oversize: type[TooLarge]) -> TooLarge:
    return oversize(f"the body is over {limit} bytes", expected=f"at most {limit}")


def check_type(environ: Environ, expected: str) -> None:
    """Raises WrongType unless the body is said to be `expected`, and not compressed."""
    coding = environ.get("HTTP_CONTENT_ENCODING") or ""
    if coding.strip().lower() not in ("", "identity"):
        raise WrongType("send the body as it is, without Content-Encoding", expected="identity", found=coding[:80])
    given = environ.get("CONTENT_TYPE") or ""
    kind, _, parameters = given.partition(";")
    charset = re.search(r"charset=\"?([\w-]+)", parameters, re.IGNORECASE)
    if kind.strip().lower() != expected or (charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii")):
        raise WrongType(f"send the header Content-Type: {expected}", expected=expected, found=given[:80])


def check_binary(environ: Environ, raw: bytes) -> None:
    """Raises WrongType where a body is there and not said to be of bytes as they are."""
    if raw:
        check_type(environ, "application/octet-stream")
