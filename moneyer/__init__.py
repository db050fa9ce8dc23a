"""What Moneyer offers to Python programs: `from moneyer import Client, Network`. `docs/client.md` and
`docs/networks.md` show them at work.

The program itself lies beside this file in `node`, `worker` and `migrations` (in a checkout these are links to the
folders of the repository, so that they are installed as parts of `moneyer` and take no top-level name that a script of
yours may want). Only the names in `__all__` are meant for others; each is loaded when it is first asked for.
"""

import sys
from importlib import import_module
from os.path import isdir, join, samefile
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# `python -m moneyer` looks for modules in the current folder first, and somebody else's `json.py` may lie there. That
# folder stays only where this package lies in it. What Python's own `-m` imports before this (`contextlib` and what
# that needs) only `python -P -m` keeps away, or the script `moneyer`. A module of somebody else's that is run by `-m`
# keeps its folder: Python puts "-m" in the place of the module's name in `sys.argv` while it looks for it.
if (
    sys.argv[:1] == ["-m"]
    and sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] == "moneyer"
    and isdir(sys.path[0])  # noqa: PTH112
    and samefile(sys.path[0], ".")  # noqa: PTH121
    and __file__ != join(sys.path[0], "moneyer", "__init__.py")  # noqa: PTH118
):
    del sys.path[0]

if TYPE_CHECKING:
    from . import errors
    from .node.client.client import Client, Sent
    from .node.client.events import Events
    from .node.client.sse import Event
    from .node.core.coin import format_amount, parse_amount
    from .node.devnet.live.live_network import Network
    from .node.devnet.live.net_node import NodeHandle
    from .node.wallet.keystore import open_wallet

__all__ = [
    "Client",
    "Event",
    "Events",
    "Network",
    "NodeHandle",
    "Sent",
    "errors",
    "format_amount",
    "open_wallet",
    "parse_amount",
]

_FOUND_IN = {
    "Client": "node.client.client",
    "Event": "node.client.sse",
    "Events": "node.client.events",
    "Network": "node.devnet.live.live_network",
    "NodeHandle": "node.devnet.live.net_node",
    "Sent": "node.client.client",
    "format_amount": "node.core.coin",
    "open_wallet": "node.wallet.keystore",
    "parse_amount": "node.core.coin",
}


def __getattr__(name: str) -> Any:
    """PEP 562: loads a name of `__all__`, so that importing `moneyer` alone costs nothing."""
    if name == "errors":
        return import_module(".errors", __name__)
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FOUND_IN[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
