"""The places that a node's HTTP server has for its callers: one `Shares` for each bound of `HTTP_BOUNDS`."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Final

from node.shares import HTTP_BOUNDS, Bound, Shares

BUSY_SECONDS: Final = 10.0
"""For so long after a caller was refused, the places that it wanted are called busy."""


class Places:
    """Who holds which places of one node."""

    def __init__(self) -> None:
        self._shares = {bound.name: Shares(bound) for bound in HTTP_BOUNDS}

    def of(self, bound: Bound) -> Shares:
        return self._shares[bound.name]

    def __iter__(self) -> Iterator[Shares]:
        return iter(self._shares.values())

    def busy(self) -> tuple[str, ...]:
        """Names of the bounds by which somebody was refused lately."""
        since = monotonic() - BUSY_SECONDS
        return tuple(shares.bound.name for shares in self._shares.values() if shares.refused_at > since)
