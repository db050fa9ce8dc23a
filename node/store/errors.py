"""What can go wrong between a node and its database."""

from __future__ import annotations

from node.core.errors import MoneyerError


class StoreRefused(MoneyerError):
    """The data folder cannot be used as it is; the message says what to do. Nothing was changed."""

    code = "store_refused"


class StoreUnavailable(MoneyerError):
    """Not now: the request failed, nothing was half written. HTTP 503."""

    code = "unavailable"


class StoreBusy(StoreUnavailable):
    code = "busy"


class StoreFailed(StoreUnavailable):
    """The disk is full, read-only or failing."""

    code = "storage_failed"
