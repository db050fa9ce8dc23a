"""What calls on a network raise, each with a sentence to act on. (`control` and `begin` have theirs.)"""

from __future__ import annotations

from ...core.errors import MoneyerError


class UnknownNode(MoneyerError):
    """The network has no node of that name, or a node's wallet no account. `details`: nearest, known."""

    code = "unknown_node"


class BadCut(MoneyerError):
    """An edge, a group or a condition of an edge that cannot be."""

    code = "bad_cut"


class NodeDown(MoneyerError):
    """A node that is needed does not run, or does not answer. `details`: node."""

    code = "node_down"


class NotMined(MoneyerError):
    """A node did not mine what it was asked for."""

    code = "not_mined"


class NotInTime(MoneyerError):
    """What was waited for has not come. `details`: timeout, in seconds."""

    code = "not_in_time"


class BadSnapshot(MoneyerError):
    """There is no snapshot of that name, or it cannot be one, or it is of other nodes."""

    code = "bad_snapshot"
