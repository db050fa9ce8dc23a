"""The errors that calls of the client raise. Each has a sentence to act on."""

from __future__ import annotations

from typing import Any

from ..core.errors import MoneyerError


class ClientError(MoneyerError):
    """Root of what `Client` raises, beside errors of the rules."""

    code = "client_error"


class BadArgument(ClientError):
    """A call was given an argument that it cannot take; nothing was sent."""

    code = "bad_argument"


class NoAnswer(ClientError):
    """Nothing listens there, or it did not answer in time, or what came is no answer of a node."""

    code = "no_answer"


class Unanswered(NoAnswer):
    """The connection broke, or time was up, after a request that changes something: it may have been carried out."""

    code = "unanswered"

    def __init__(self, message: str, *, reason: str = "", **details: Any) -> None:
        """`reason`: why nobody knows it: `message` without its words of doubt, for who has better ones."""
        super().__init__(message, **details)
        self.reason = reason or message


class Refused(ClientError):
    """The node said no. `status`: of HTTP; `node_code` and `details`: the node's own."""

    code = "refused"

    def __init__(self, message: str, status: int, node_code: str, details: dict[str, Any]) -> None:
        super().__init__(message, **details)
        self.status = status
        self.node_code = node_code


class OutOfFunds(ClientError):
    """The sender has less than amount and fee. `details`: free, needed, missing, waiting (base units)."""

    code = "insufficient_funds"


class NotConfirmed(ClientError):
    """The transfer has not the confirmations that were waited for."""

    code = "not_confirmed"
