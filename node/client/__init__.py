"""A node's HTTP API for programs: what the command line uses, too. It imports nothing of the node but its core.

    from moneyer import Client

    print(Client("http://127.0.0.1:5001").status()["height"])

`docs/client.md` shows it at work.
"""

from .client import Client, Sent
from .errors import BadArgument, ClientError, NoAnswer, NotConfirmed, OutOfFunds, Refused, Unanswered
from .events import Events
from .sse import Event

__all__ = [
    "BadArgument",
    "Client",
    "ClientError",
    "Event",
    "Events",
    "NoAnswer",
    "NotConfirmed",
    "OutOfFunds",
    "Refused",
    "Sent",
    "Unanswered",
]
