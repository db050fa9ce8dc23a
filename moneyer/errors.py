"""The errors that `Client` and `open_wallet` raise: each a `MoneyerError` with `.code`, `.message` and `.details`."""

from .node.client.errors import BadArgument, ClientError, NoAnswer, NotConfirmed, OutOfFunds, Refused, Unanswered
from .node.core.errors import MoneyerError, RuleError
from .node.wallet.errors import WalletError

__all__ = [
    "BadArgument",
    "ClientError",
    "MoneyerError",
    "NoAnswer",
    "NotConfirmed",
    "OutOfFunds",
    "Refused",
    "RuleError",
    "Unanswered",
    "WalletError",
]
