"""The one place where an exception becomes an HTTP answer."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import ClassVar

from ...core.errors import BadAddress, BadSequence, BlockTooLarge, FeeTooLow, MoneyerError, NoTimestamp, RuleError
from ...core.types import MAX_MONEY
from ...p2p.peer.errors import BadUrl, Banned, LinkCut, NotAdmitted, PeerError
from ...store.errors import StoreUnavailable
from ...system.shares import NoPlace
from ...wallet.errors import BadName, UnknownKey, WalletError

log = logging.getLogger("moneyer.api")


class HttpError(MoneyerError):
    """An answer that only HTTP knows."""

    status: ClassVar[int] = 400
    headers: Mapping[str, str] = {}


class BadField(HttpError):
    code = "bad_field"


class BadQuery(HttpError):
    code = "bad_query"


class BadJson(HttpError):
    code = "bad_json"


class BadEncoding(HttpError):
    code = "bad_encoding"


class NoBody(HttpError):
    code = "no_body"


class Incomplete(HttpError):
    code = "incomplete"


class MissingFields(HttpError):
    code = "missing_fields"


class NoNode(HttpError):
    code = "no_node"


class UnknownName(HttpError):
    code = "unknown_name"


class MalformedTransfer(HttpError):
    code = "malformed"


class Unauthorized(HttpError):
    status = 401
    code = "unauthorized"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="moneyer"'}


class SessionOver(Unauthorized):
    code = "session_over"


class BadCode(HttpError):
    status = 403
    code = "bad_code"


class BadHost(HttpError):
    status = 403
    code = "bad_host"


class CrossSite(HttpError):
    status = 403
    code = "cross_site"


class NotTheCaller(HttpError):
    status = 403
    code = "not_the_caller"


class NoLab(HttpError):
    """What only a node of an experiment does."""

    status = 409
    code = "no_lab"


class BadSnapshot(HttpError):
    """A snapshot of another node, of another schema, or a damaged one."""

    status = 409
    code = "bad_snapshot"


class NotFound(HttpError):
    status = 404
    code = "not_found"


class MethodNotAllowed(HttpError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(f"this address answers to {', '.join(allowed)}", allowed=allowed)
        self.headers = {"Allow": ", ".join(allowed)}


class TooSlow(HttpError):
    status = 408
    code = "too_slow"
    headers: Mapping[str, str] = {"Connection": "close"}


class TooLarge(HttpError):
    status = 413
    code = "too_large"


class BlockOverCap(TooLarge):
    """A block that is far too large: not even read."""

    code = BlockTooLarge.code


class WrongType(HttpError):
    status = 415
    code = "unsupported_media_type"


class NotNow(HttpError):
    """Try again after `Retry-After` seconds."""

    status = 503
    code = "not_now"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class TooManyTries(NotNow):
    """Wrong one-time codes of one address."""

    headers: Mapping[str, str] = {"Retry-After": "60"}


class MachineTrouble(NotNow):
    """The machine refuses what a request needs: files, memory, room or a disk that works."""


class CallerGone(NotNow):
    """Nobody waits for this answer any more; nobody gets it either."""

    code = "caller_gone"


class NoWorker(NotNow):
    code = "no_worker"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class NoPeersHere(NotNow):
    """Another node of this database speaks to other nodes now."""

    code = "no_peers_here"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class PeersOnly(HttpError):
    """A node with `--role peer` serves nobody but other nodes, and whoever looks after it."""

    status = 404
    code = "peers_only"


class JobFailed(NotNow):
    code = "job_failed"


_OF_THE_MACHINE = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EAGAIN,
        errno.ENOLCK,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
    }
)
"""Errors of the operating system that no request is to blame for, and no mistake of the node."""

_STATUS: dict[type[MoneyerError], int] = {
    BadAddress: 400,
    BadName: 400,
    UnknownKey: 400,
    WalletError: 409,
    BadUrl: 400,
    Banned: 403,
    LinkCut: 403,
    NotAdmitted: 403,
    PeerError: 422,
    RuleError: 422,
    NoTimestamp: 503,
    StoreUnavailable: 503,
    NoPlace: 503,
    MoneyerError: 400,
}


def status_of(error: MoneyerError) -> int:
    """The HTTP status of an error, by its nearest class that has one."""
    if isinstance(error, HttpError):
        return error.status
    return next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


class SequenceUsed(HttpError):
    status = 409
    code = BadSequence.code


class NotWorthReplacing(HttpError):
    status = 409
    code = FeeTooLow.code


def conflict(error: RuleError) -> HttpError | RuleError:
    """A transfer that lost to what stands (409): its sequence is used, or it pays too little to take the place.

    In a block the same codes are rules that were broken (422), so only the calls that submit a transfer use this.
    """
    if isinstance(error, BadSequence) and error.details.get("found", 0) <= MAX_MONEY:
        return SequenceUsed(error.message, **error.details)
    if isinstance(error, FeeTooLow) and "replaces" in error.details:  # without: below what this node asks of anyone
        return NotWorthReplacing(error.message, **error.details)
    return error


def answer_of(error: Exception) -> tuple[int, str, str, Mapping[str, object], Mapping[str, str]]:
    """Status, code, message, details and headers of the answer to `error`; an unforeseen one is logged here."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        log.warning("a request was turned away, the machine refuses what it needs: %s", error.strerror)
        error = MachineTrouble(f"the node's machine refuses what this needs now ({error.strerror}): try again later")
    if isinstance(error, MoneyerError):
        status = status_of(error)
        if isinstance(error, HttpError):
            headers = error.headers
        else:
            seconds = error.retry_seconds if isinstance(error, NoPlace) else 1
            headers = {"Retry-After": str(seconds)} if status == 503 else {}
        return status, error.code, error.message, error.details, headers
    log.error("a mistake of the node: %s", type(error).__name__, exc_info=error)
    return 500, "internal", "the node made a mistake; its log says more", {}, {}


@cache
def status_line(status: int) -> str:
    """As WSGI wants it: `404 Not Found`."""
    return f"{status} {HTTPStatus(status).phrase}"
