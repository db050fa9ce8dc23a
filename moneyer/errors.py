"""What calls raise: each a `MoneyerError` with `.code`, `.message` and `.details`. `docs/client.md` says when."""

from .node.client.errors import BadArgument, ClientError, NoAnswer, NotConfirmed, OutOfFunds, Refused, Unanswered
from .node.core.errors import BadAddress, BadAmount, BadCoin, BadMemo, MoneyerError, RuleError
from .node.wallet.errors import WalletError, WalletLocked, WalletMissing

__all__ = [
    "BadAddress",
    "BadAmount",
    "BadArgument",
    "BadCoin",
    "BadMemo",
    "ClientError",
    "MoneyerError",
    "NoAnswer",
    "NotConfirmed",
    "OutOfFunds",
    "Refused",
    "RuleError",
    "Unanswered",
    "WalletError",
    "WalletLocked",
    "WalletMissing",
]
