"""The errors of asking a peer. A message never repeats what the peer said: it may be anything."""

from __future__ import annotations

from typing import Any

from ...core.errors import MoneyerError


class PeerError(MoneyerError):
    """A peer could not be asked, or its answer is not what the protocol says.

    `code` is a class attribute, one word for each cause: bad_url, unreachable, link_cut, timeout, bad_answer,
    too_large, refused, bad_chain, not_delivered, other_coin, other_rules, self, newer_protocol, banned, not_admitted,
    table_full, duplicate.
    """

    code = "peer_error"
    penalty = 1
    """Points of score that it costs the peer: 1 for being away, more for what no honest node does."""
    is_lasting = False
    """Whether asking again soon would give the same."""


class PeerUnreachable(PeerError):
    """Nothing answers at its address, or the connection broke."""

    code = "unreachable"


class LinkCut(PeerUnreachable):
    """The link with the peer is cut, at this end or at the other one: an experiment wants it so."""

    code = "link_cut"
    penalty = 0

    def __init__(self) -> None:
        super().__init__("the link between these two nodes is cut: `moneyer net heal` mends it")


class PeerTimeout(PeerError):
    """The total deadline of one request passed."""

    code = "timeout"
    penalty = 5


class BadAnswer(PeerError):
    """Not what the protocol says: HTML, broken JSON, a redirect, a compressed body, headers that don't link."""

    code = "bad_answer"
    penalty = 20


class TooLarge(PeerError):
    """An answer of more bytes than that call may bring."""

    code = "too_large"
    penalty = 20


class Refused(PeerError):
    """An HTTP error status. `status`: the number; `rule`: the rule's code where the peer names one that we know."""

    code = "refused"

    def __init__(self, message: str, *, status: int, rule: str | None = None, **details: Any) -> None:
        super().__init__(message, status=status, rule=rule, **details)
        self.status = status
        self.rule = rule


class BadChain(PeerError):
    """Headers or blocks against the rules, or less work than was claimed."""

    code = "bad_chain"
    penalty = 50


class NotDelivered(PeerError):
    """A block of the chain that the peer claims to have did not come, or another came in its place."""

    code = "not_delivered"
    penalty = 20


class PeerRefused(PeerError):
    """This node does not take the peer."""

    penalty = 0
    is_lasting = True


class BadUrl(PeerRefused):
    """No URL of a peer, or one whose address can't be a peer's."""

    code = "bad_url"


class OtherCoin(PeerRefused):
    """Its chain has another genesis block."""

    code = "other_coin"


class OtherRules(PeerRefused):
    """It judges blocks by another version of the rules."""

    code = "other_rules"


class IsSelf(PeerRefused):
    """The URL leads to this node itself."""

    code = "self"


class NewerProtocol(PeerRefused):
    """It speaks a version of the protocol between nodes that this node doesn't know."""

    code = "newer_protocol"


class Banned(PeerRefused):
    """It broke the rules before, and its ban has not ended; `PeerTable.add` by this node's owner lifts it."""

    code = "banned"


class NotAdmitted(PeerRefused):
    """This node links with the peers that its owner names, and with no other."""

    code = "not_admitted"

    def __init__(self) -> None:
        super().__init__("this node links with the peers that its owner named (--only-peers), and that is none of them")


class TableFull(PeerRefused):
    """The table of peers is full; there is room as soon as one leaves."""

    code = "table_full"
    is_lasting = False


class Duplicate(PeerRefused):
    """Another URL of a peer that is connected."""

    code = "duplicate"
