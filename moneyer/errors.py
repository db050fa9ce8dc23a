"""What calls raise: a `MoneyerError` with `.code`, `.message` and `.details` (`docs/client.md`, `docs/networks.md`)."""

from .node.client.errors import BadArgument, ClientError, NoAnswer, NotConfirmed, OutOfFunds, Refused, Unanswered
from .node.core.errors import BadAddress, BadAmount, BadCoin, BadMemo, MoneyerError, RuleError
from .node.devnet.graph.graph import BadGraph
from .node.devnet.live.errors import BadCut, BadSnapshot, NodeDown, NotInTime, NotMined, UnknownNode
from .node.devnet.net.begin import NotStarted
from .node.devnet.net.control import ControlRefused, NotRunning
from .node.wallet.errors import WalletError, WalletLocked, WalletMissing

__all__ = [
    "BadAddress",
    "BadAmount",
    "BadArgument",
    "BadCoin",
    "BadCut",
    "BadGraph",
    "BadMemo",
    "BadSnapshot",
    "ClientError",
    "ControlRefused",
    "MoneyerError",
    "NoAnswer",
    "NodeDown",
    "NotConfirmed",
    "NotInTime",
    "NotMined",
    "NotRunning",
    "NotStarted",
    "OutOfFunds",
    "Refused",
    "RuleError",
    "Unanswered",
    "UnknownNode",
    "WalletError",
    "WalletLocked",
    "WalletMissing",
]
