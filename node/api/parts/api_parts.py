"""What the calls of one node share: one frozen object, made once, its parts named fields."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ...service import Node
from ...store.blocks import BlockRow
from ...system.threads import OneAtATime
from ..feed.feed import Feed
from ..http.doorkeeper import Doorkeeper
from ..http.forwarded import Callers
from ..http.inflight import Flights
from .answers import KeptAnswers
from .chain_cache import ChainChecks, MerkleTrees, branch_tips
from .metrics import Metrics
from .sessions import Sessions
from .status import StatusPage
from .templates import Templates


@dataclass(frozen=True, slots=True, eq=False)
class ApiParts:
    """The parts of a node's HTTP interface that outlive a request. Each may be used by several threads."""

    callers: Callers
    """Who calls, through whichever proxies."""
    flights: Flights
    """Requests under way, and the places that their callers hold."""
    doorkeeper: Doorkeeper
    feed: Feed
    """Events, for `/v1/events`."""
    metrics: Metrics
    answers: KeptAnswers
    status: StatusPage
    templates: Templates
    branch_tips: OneAtATime[list[tuple[BlockRow, int]]]
    chain_checks: ChainChecks
    sessions: Sessions
    """Browsers that signed in."""
    merkle_trees: MerkleTrees = field(default_factory=MerkleTrees)
    sending: threading.Lock = field(default_factory=threading.Lock)
    """Held from the choice of a sequence to the transfer's acceptance: two sends at once take two sequences."""
    first_coins: threading.Lock = field(default_factory=threading.Lock)
    """Held while a development network's faucet pays one account."""

    @classmethod
    def of(cls, node: Node) -> ApiParts:
        """The parts for one node. Raises StoreUnavailable."""
        flights, feed = Flights(node.config.port, of_server=node.config.database_url is not None), Feed(node)
        callers = Callers(node.config.trusted_proxies)
        return cls(
            callers=callers,
            flights=flights,
            doorkeeper=Doorkeeper(node.config.port, is_proxy=callers.is_proxy),
            feed=feed,
            metrics=Metrics(node, flights, feed),
            answers=KeptAnswers(node.store),
            status=StatusPage(node, flights.places),
            templates=Templates(node.store, node.chain),
            branch_tips=branch_tips(node.store),
            chain_checks=ChainChecks(node.store),
            sessions=Sessions(node.token, f"moneyer-{node.config.port}-{node.node_id[:8]}"),
        )

    def start(self) -> None:
        """Follow the node's commits, and the connections of its callers. Bodies are watched from the first one on."""
        self.feed.start()
        self.doorkeeper.start()

    def stop(self) -> None:
        """End every stream; other requests are answered on."""
        self.feed.close()
