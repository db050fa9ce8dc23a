"""Two coins of two real nodes each, two people with a wallet on either, and a miner that mines when it is told.

Alice has the first node of both coins, bob the second: `shore.alice`, `moon.bob`. What one hands to a node reaches the
other by gossip. Blocks are made here, so that a test says when, and by whose clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moneyer.node.core import codec
from moneyer.node.core.types import Spend
from tests.kit.chains import key
from tests.kit.commands import asked, moneyer
from tests.kit.net.gossip import pool_of, wait_for_peers
from tests.kit.running import RunningNode, own_coin, own_node
from tests.kit.waiting import every, wait_until


@dataclass
class Shared:
    """One coin: alice's node, bob's, and the miner of both."""

    alice: RunningNode
    bob: RunningNode
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def nodes(self) -> tuple[RunningNode, RunningNode]:
        return self.alice, self.bob

    def mine(self, count: int = 1, timestamp: int | None = None) -> None:
        """Blocks with all that either node has waiting, and both nodes have them at the end."""
        with self.lock:
            for _ in range(count):
                self._mine(timestamp)

    def _mine(self, timestamp: int | None) -> None:
        chain = self.alice.chain
        wait_until(lambda: pool_of(self.alice) == pool_of(self.bob), 20, "both nodes to have the same mempool")
        chain.add(self._waiting(), timestamp=max(timestamp or int(time.time()), chain.median_time_past + 1))
        raw = codec.encode_block(chain.tip)
        for node in self.nodes:
            outcome = node.take_block(raw)
            assert outcome in ("extended", "already_known"), (outcome, node.log)

    def _waiting(self) -> list[Spend]:
        rows = self.alice.get("/v1/mempool?limit=1000").json["transactions"]
        raws = [self.alice.get(f"/v1/transactions/{each['txid']}/raw").body for each in rows]
        spends = [codec.decode_spend(raw) for raw in raws]
        return sorted(spends, key=lambda spend: (spend.sender, spend.sequence))

    def wait_for(self, txid: str) -> None:
        """Until both nodes have a transaction."""
        wait_until(lambda: all(node.get(f"/v1/transactions/{txid}").status == 200 for node in self.nodes), 20, txid)

    def balance(self, who: str) -> int:
        """Confirmed, of alice or bob."""
        address = key(who).address(self.alice.coin)
        return int(self.alice.get(f"/v1/accounts/{address}").json["balance"])

    def mining(self, seconds: float) -> AbstractContextManager[None]:
        """A block about every so many seconds, meanwhile."""
        return every(seconds, self.mine)


@dataclass
class TwoCoins:
    """Alice gives shore coins, bob gives moon coins."""

    shore: Shared
    moon: Shared

    def folders(self, who: str) -> list[str | Path]:
        """The options of a command: what is given, what is got."""
        gives, gets = (self.shore, self.moon) if who == "alice" else (self.moon, self.shore)
        return ["--data", getattr(gives, who).config.data, "--other", getattr(gets, who).config.data]

    def ask(self, who: str, *words: str | Path) -> Any:
        """The JSON of one of their `moneyer swap …`."""
        return asked("swap", *words, *self.folders(who))

    def tell(self, who: str, *words: str | Path) -> str:
        """What one of their commands prints; 0 and 3 (not confirmed yet) are fine."""
        done = moneyer("swap", *words, *self.folders(who))
        assert done.returncode in (0, 3), (done.stdout, done.stderr)
        return done.stdout + done.stderr

    def step(self, who: str, swap_id: str) -> str:
        """The kind of the next step, by `status`."""
        return str(self.ask(who, "status", swap_id)["step"]["kind"])

    def go(self, who: str, swap_id: str) -> dict[str, Any]:
        """`run --once`, with what it sent at both nodes."""
        told: dict[str, Any] = self.ask(who, "run", swap_id, "--once")
        if "sent" in told:
            txid = told["sent"]["txid"]
            coin = next(
                each
                for each in (self.shore, self.moon)
                if getattr(each, who).get(f"/v1/transactions/{txid}").status == 200
            )
            coin.wait_for(txid)
        return told

    def offered(self, give: str, want: str, *, patience: int) -> dict[str, Any]:
        """Alice's offer."""
        options = ("--confirmations", "1", "--patience", str(patience))
        told: dict[str, Any] = self.ask("alice", "offer", "alice", give, want, *options)
        return told

    def taken(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Bob's answer."""
        told: dict[str, Any] = self.ask("bob", "take", offer["line"], "bob", "--yes", "--confirmations", "1")
        return told

    def mine(self, count: int = 1) -> None:
        """On both chains."""
        self.shore.mine(count)
        self.moon.mine(count)


@contextmanager
def two_coins(folder: Path, **changes: Any) -> Iterator[TwoCoins]:
    """Both coins, whose chains are at the clock. Blocks are due each second, and clocks are within three."""
    usual = {"rules": 2, "block_time": 1, "clock_tolerance": 3, **changes}
    with ExitStack() as stack:
        coins = []
        for name in ("shore", "moon"):
            coin = own_coin(name=f"{name.title()} Coin", symbol=name.upper(), hrp=name, **usual)
            alice = stack.enter_context(own_node(folder / f"{name}-alice", coin, manual=False, outbound=0))
            bob = stack.enter_context(
                own_node(folder / f"{name}-bob", coin, manual=False, peers=(alice.url,), outbound=1)
            )
            wait_for_peers(alice, 1)
            wait_for_peers(bob, 1)
            shared = Shared(alice, bob)
            for back in range(12, 0, -1):
                shared.mine(timestamp=int(time.time()) - back)
            coins.append(shared)
        yield TwoCoins(*coins)
