"""Waits for what a worker mines: follows a transfer to its confirmations, and says why no block comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..client.errors import ClientError, NotConfirmed
from .exits import UNCONFIRMED, UNKNOWN, Ended, effect, joined, sentence_of

if TYPE_CHECKING:
    from .place import Place

_STARTING = 20.0
"""Seconds that a worker may need which was started together with its node."""
_LOOK_SECONDS = 0.2
"""Seconds between two looks whether the worker lives."""
_WHEN_ASKED = "demand"
_SEEN_SECONDS = 5.0
"""Seconds for which peers are asked whether they have a transfer; gossip takes some hundredths of a second."""
_PEER_SECONDS = 2.0
"""Seconds that one peer has to answer."""
_MAX_PEERS = 64
"""Peers that are asked."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Confirming:
    """A transfer that was accepted, and what is waited for."""

    txid: str
    sender: str
    """The sender's address."""
    sender_name: str
    """As the person wrote it."""
    confirmations: int
    """How many are wanted."""
    timeout: float
    """Seconds to wait."""
    stands: Callable[[str, str], str]
    """A sentence that the transfer (its txid) was accepted, and its state."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of waiting."""

    report: dict[str, Any]
    """For `--json`."""
    trouble: Ended | None = None
    """To be raised where the transfer was not confirmed."""


def watch(place: Place, wanted: Confirming, say: Callable[[str], None]) -> Watched:
    """Wait for the confirmations and `say` each step. Whatever stops it, the transfer was accepted."""
    report: dict[str, Any] = {}
    try:
        _follow(place, wanted, report, say)
    except (ClientError, KeyboardInterrupt) as error:
        count = report.get("confirmations", 0)
        if isinstance(error, NotConfirmed) and error.details.get("dropped"):
            report["status"] = "dropped"
            effect().done(error.message)
            return Watched(report, Ended(error.message, UNKNOWN))
        reason = f"not confirmed after {wanted.timeout} s" if isinstance(error, NotConfirmed) else sentence_of(error)
        state = f"has {count} of {wanted.confirmations} confirmations" if count else "it still waits for a block"
        hint = ". Nothing is lost: is a worker mining?" if isinstance(error, NotConfirmed) and not count else ""
        return Watched(report, Ended(joined(reason, f"{wanted.stands(wanted.txid, state)}{hint}"), UNCONFIRMED))
    effect().done(wanted.stands(wanted.txid, f"has {report['confirmations']} confirmations"))
    return Watched(report)


def _follow(place: Place, wanted: Confirming, report: dict[str, Any], say: Callable[[str], None]) -> None:
    """The way of a transfer to its confirmations; `report` has at each step what is known. Raises ClientError."""
    from ..system.advice import as_typed
    from .output import coins, confirmations, counted, style

    end = time.monotonic() + wanted.timeout

    def left() -> float:
        return max(0.01, end - time.monotonic())

    seen, peers = _seen_by(place, wanted.txid, min(_SEEN_SECONDS, wanted.timeout))
    report.update(seen_by=seen, peers=peers)
    say(f"seen by {seen} of {counted(peers, 'peer')}" if peers else "this node has no peers yet")

    def is_in_a_block() -> bool:
        return place.client.transaction(wanted.txid)["height"] is not None

    def progress(found: dict[str, Any]) -> None:
        before = report.get("confirmations", 0)
        report.update({name: found[name] for name in ("status", "block_hash", "height", "confirmations")})
        if found["confirmations"] == 0:
            say("waiting for a block …")
            reason = why_no_block(place, peers, left(), is_in_a_block)
            if reason is not None:
                say(as_typed(reason))
            return
        if not before:
            say(f"in block {found['height']} ({found['block_hash']})")
        say(confirmations(found["confirmations"]))

    place.client.wait_for(wanted.txid, wanted.confirmations, left(), progress=progress)
    with suppress(ClientError):  # it is confirmed, whether or not the node goes on to answer
        report["balance"] = place.client.account(wanted.sender)["balance"]
        new = coins(report["balance"], place.coin.decimals, place.coin.symbol)
        say(f"{wanted.sender_name} now has {style(new, bold=True)}")


def _seen_by(place: Place, txid: str, seconds: float) -> tuple[int, int]:
    """How many of the node's connected peers have the transfer within `seconds`, and how many there are."""
    from concurrent.futures import ThreadPoolExecutor

    from ..client.client import Client

    urls = [str(peer["url"]) for peer in place.client.peers() if peer["state"] == "connected"][:_MAX_PEERS]
    if not urls:
        return 0, 0

    def has_it(url: str) -> bool:
        try:
            Client(url).get(f"/v1/transactions/{txid}", deadline=_PEER_SECONDS)
        except ClientError:
            return False
        return True

    left, end = set(urls), time.monotonic() + seconds
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        while True:
            asked = list(left)
            left -= {url for url, has in zip(asked, threads.map(has_it, asked), strict=True) if has}
            if not left or time.monotonic() > end:
                return len(urls) - len(left), len(urls)
            time.sleep(0.1)


def mining_of(place: Place, seconds: float, is_over: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """The node's `/v1/mining`; where its worker is still starting, once that has said its mode.

    Waits for the worker until `is_over` says that the answer is of no use any more, for `seconds` at most. Raises
    ClientError.
    """
    from ..system.advice import has_workers

    is_coming = place.folder is not None and has_workers(place.folder)
    end = time.monotonic() + min(seconds, _STARTING)
    while True:
        mining: dict[str, Any] = place.client.get("/v1/mining")
        is_alive, mode = mining["worker"]["alive"], mining["worker"]["mode"]
        if is_over() or time.monotonic() >= end or (mode if is_alive else not is_coming):
            return mining
        time.sleep(_LOOK_SECONDS)


def why_no_block(place: Place, peers: int, seconds: float, is_over: Callable[[], bool]) -> str | None:
    """A sentence where the node's own worker will not mine by itself; None where it will, or that cannot be known.

    `peers`: how many other nodes are connected, whose workers may mine. `seconds`, `is_over`: see `mining_of`.
    """
    from ..system.advice import typed
    from .folders import where
    from .place import how_to_mine

    try:
        mining = mining_of(place, seconds, is_over)
        is_alive, mode = bool(mining["worker"]["alive"]), mining["worker"]["mode"]
        if is_over():
            return None
    except (ClientError, KeyError, TypeError):
        return None
    at = where(place.folder) if place.folder is not None else f" --node {typed(place.url)}"
    others = "unless another node does, nobody" if peers else "nobody"
    if not is_alive:
        start = how_to_mine(place.folder)
        return f"{others} mines: no worker runs for this node. `{start}` in another terminal starts one"
    if mode == _WHEN_ASKED:
        return f"{others} mines until asked (mode demand): type `moneyer mine{at}` in another terminal"
    return None
