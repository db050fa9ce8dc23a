"""What a link to one peer is like in an experiment: cut, slow, lossy, narrow; and the file that keeps it.

`DATA/links.json` of a node with `--lab`: `{"http://127.0.0.1:5003": {"cut": true, "latency_ms": 300}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ...core.errors import MoneyerError, quoted
from ...system.decoding import prepare
from ...system.files import write_whole
from ...system.words import read_plain, sentence_of
from .errors import BadUrl
from .urls import parse_peer_url

MAX_LINKS: Final = 1_000
"""As many as a node's table of peers has rows."""
MAX_LATENCY_MS: Final = 60_000
MAX_FILE_BYTES: Final = 1_000_000
_MOST_NAMED: Final = 200
"""Characters of a key that an error repeats."""


_FORM: Final = '{"http://127.0.0.1:5003": {"cut": false, "latency_ms": 300, "loss": 0.1, "rate": 10000}}'


class BadConditions(MoneyerError):
    """Conditions of links that can't be."""

    code = "bad_conditions"


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """Of the requests to one peer and of its answers to them; the peer's own requests have theirs, at its end."""

    is_cut: bool = False
    """Nothing passes, in either direction."""
    latency_ms: float = 0.0
    """One way: a request waits so long, and its answer again."""
    loss: float = 0.0
    """Share of requests and of answers that get lost, from 0 to below 1; each is sent again, later."""
    rate: int | None = None
    """Bytes a second, in each direction; None: as fast as it goes."""

    @property
    def is_plain(self) -> bool:
        """Whether it is a link like any other."""
        return self == PLAIN


PLAIN: Final = LinkConditions()


class LinkFields(Struct, forbid_unknown_fields=True):
    """The same as JSON spells it, in the file and in the API."""

    cut: bool = False
    latency_ms: Annotated[float, Meta(ge=0, le=MAX_LATENCY_MS)] = 0.0
    loss: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    rate: Annotated[int, Meta(ge=1, le=2**53)] | None = None


prepare(dict[str, LinkFields])


def from_fields(given: Mapping[str, LinkFields]) -> dict[str, LinkConditions]:
    """By canonical URL; links like any other are left out. Raises BadConditions, which names the URL."""
    if len(given) > MAX_LINKS:
        raise BadConditions(f"{len(given)} links: a node has at most {MAX_LINKS:,}")
    found: dict[str, LinkConditions] = {}
    for text, each in given.items():
        try:
            url = parse_peer_url(text).url
        except BadUrl as error:
            raise BadConditions(f"{quoted(text[:_MOST_NAMED])}: {error.message}", field=text[:_MOST_NAMED]) from None
        if url in found:
            raise BadConditions(f"{url} stands there twice: give one", field=url)
        found[url] = LinkConditions(each.cut, each.latency_ms, each.loss, each.rate)
    return {url: each for url, each in found.items() if not each.is_plain}


def to_fields(conditions: Mapping[str, LinkConditions]) -> dict[str, LinkFields]:
    return {
        url: LinkFields(each.is_cut, each.latency_ms, each.loss, each.rate) for url, each in sorted(conditions.items())
    }


def read_conditions(path: Path) -> dict[str, LinkConditions]:
    """What a file says, by URL; nothing where there is none. Raises BadConditions, which names file and key."""
    try:
        if path.is_fifo():  # opening it would wait
            raise BadConditions(f"{path} is a pipe and no file: remove it")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadConditions(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise BadConditions(f"{path} is over {MAX_FILE_BYTES:,} bytes: it has no more than {MAX_LINKS:,} links")
    try:
        return from_fields(msgspec.json.decode(raw, type=dict[str, LinkFields]))
    except BadConditions as error:
        raise BadConditions(f"{path}: {error.message}", **error.details) from None
    except (ValueError, RecursionError):
        raise BadConditions(f"{path}: {_what_is_wrong(raw)}") from None


def _what_is_wrong(raw: bytes) -> str:
    """Names the key that is wrong, and says what it may be."""
    otherwise = f"that is no JSON of the form {_FORM}"
    try:
        return sentence_of(dict[str, LinkFields], read_plain(raw.decode()), otherwise)
    except (ValueError, RecursionError):
        return otherwise


def write_conditions(path: Path, conditions: Mapping[str, LinkConditions]) -> None:
    """Keep conditions in a file, whole or not at all; the disk is not waited for. Raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(to_fields(conditions))) + b"\n"
    write_whole(path, content, mode=0o600, durable=False)
