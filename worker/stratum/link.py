"""The link to the node: follows its chain, makes a template at each change, and puts found blocks before the chain.

The node may end and come back: its database is closed meanwhile, and miners wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from ...node.chain.accept import Chain
from ...node.chain.next_block import Template
from ...node.chain.outcomes import Extended, Reorganized
from ...node.config import Config
from ...node.core.coin import Coin
from ...node.core.errors import BadCoin, MoneyerError, NoTimestamp, RuleError
from ...node.store import blocks
from ...node.store.engine import Store, load_coin
from ...node.store.errors import StoreRefused, StoreUnavailable
from ...node.system.locks import is_held, wait_released
from ..reports import Summary, Trouble
from ..startup import NODE_SECONDS, SERVER_POLL, ServerWait, is_checked
from .jobs import EXTRA_SIZE

log = logging.getLogger("moneyer.stratum")

REFRESH = 5.0
"""Seconds that a template is kept before new transfers replace it: each new one interrupts every miner."""
AGE = 30.0
"""Seconds after which a template is replaced by one with the present time."""
_POLL = 0.2
"""Seconds between two looks for the node."""
_RETRY = 0.5
"""Seconds before the database is tried again."""
OFFER_SECONDS = 60.0
"""Seconds for which a found block is kept while the database is busy or the node is away."""
_NOBODY = bytes(33)
"""A payload for the template: each job pays its own receiver."""


class NodeLink:
    """Follows the node in a thread of its own (`run`); found blocks are offered in another one."""

    def __init__(
        self,
        config: Config,
        on_template: Callable[[Template | None], None],
        *,
        once: bool,
        offer_seconds: float = OFFER_SECONDS,
    ) -> None:
        """`on_template`: called in the thread of `run`; None: there is nothing to mine now.

        `once`: end with the node, and don't wait for it to come back. `offer_seconds`: for so long a found block is
        kept while the database is busy or the node is away.
        """
        self._config = config
        self._is_on_server = config.database_url is not None
        self._on_template = on_template
        self._once = once
        self._offer_seconds = offer_seconds
        self._chain: Chain | None = None
        self._stopped = threading.Event()
        self._gone = threading.Event()
        self._offers = ThreadPoolExecutor(1, "offers")
        self._trouble = Trouble()
        self._summary = Summary(log, "miners found")

    def run(self, on_end: Callable[[], None]) -> None:
        """Follow the node until `stop`; then, or where the node cannot be followed, call `on_end`."""
        try:
            while not self._stopped.is_set():
                if self.is_up(unknown=False):
                    self._with_node()
                    if self._once:
                        log.info("the node has ended, and so does its stratum server")
                        return
                    if not self._stopped.is_set():
                        log.info("the node has ended: miners wait for it to come back")
                self._stopped.wait(_POLL)
        except Exception as error:
            log.error("%s", error.message if isinstance(error, MoneyerError) else f"{type(error).__name__}: {error}")
        finally:
            on_end()

    def stop(self) -> None:
        """Make `run` return soon. From any thread."""
        self._stopped.set()
        if (chain := self._chain) is not None:
            chain.store.wake()
        self._offers.shutdown(wait=False, cancel_futures=True)

    def offer(self, raw: bytes, height: int, done: Callable[[bool], None]) -> None:
        """Put a block before the chain; `done(taken)` is called in the offers' thread once the chain has answered."""
        self._offers.submit(self._offer, raw, height, done)

    def _with_node(self) -> None:
        self._gone.clear()
        store = self._open()
        if store is None:
            return
        if not self._is_on_server:
            threading.Thread(target=self._watch, args=(store,), name="watch-node", daemon=True).start()
        self._chain = Chain(store)
        try:
            self._follow(store, self._chain)
        finally:
            self._chain = None
            self._on_template(None)
            try:
                self._offers.submit(store.close)  # behind what uses it
            except RuntimeError:  # this process is ending
                store.close()

    def _open(self) -> Store | None:
        """The node's database; None while the node that was to make it, or to check it, is gone.

        Raises StoreRefused, BadCoin.
        """
        if self._is_on_server:
            return self._open_server()
        while not is_checked(self._config):
            if self._stopped.wait(_POLL) or not self.is_up(unknown=True):
                return None
        until = monotonic() + NODE_SECONDS
        while True:
            try:
                return Store.open(self._config, load_coin(self._config), check_file=False)
            except (StoreRefused, BadCoin):
                if monotonic() > until:
                    raise
                time.sleep(_POLL)
            if not self.is_up(unknown=True):
                return None

    def _open_server(self) -> Store | None:
        """A server's database, once it can be opened; None at the end."""
        wait = ServerWait(log)
        while not self._stopped.is_set():
            try:
                return Store.open(self._config, load_coin(self._config), check_file=False)
            except StoreRefused as error:
                wait.failed(error)
            self._stopped.wait(SERVER_POLL)
        return None

    def _watch(self, store: Store) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    wait_released(self._config.node_lock)
                    return
                except FileNotFoundError:  # a lock file that is gone is as good as a free one
                    return
                except OSError as error:
                    self._trouble.say(f"cannot watch the node ({error.strerror}); trying again")
                    self._stopped.wait(_RETRY)
        finally:
            self._gone.set()
            store.wake()

    @property
    def is_linked(self) -> bool:
        """Whether it has the node's chain open, and blocks can be offered."""
        return self._chain is not None

    def is_up(self, *, unknown: bool) -> bool:
        """Whether the node runs; `unknown` where the system refuses to tell now. On a server no node has to."""
        if self._is_on_server:
            return True
        try:
            return is_held(self._config.node_lock)
        except OSError as error:
            self._trouble.say(f"cannot look for the node ({error.strerror}); trying again")
            return unknown

    def _follow(self, store: Store, chain: Chain) -> None:
        tip, built, built_version, version = b"", 0.0, -1, -1
        while not (self._stopped.is_set() or self._gone.is_set()):
            try:
                version = store.data_version()
                with store.read() as conn:
                    now_tip = blocks.tip(conn).block_hash
                age = monotonic() - built
                changed = version != built_version
                if now_tip != tip or age >= AGE or (changed and age >= REFRESH):
                    template = chain.template(_NOBODY, int(time.time()), bytes(EXTRA_SIZE))
                    tip, built, built_version = template.parent.block_hash, monotonic(), version
                    self._hand_out(template, store.coin)
                    continue
                wait = min(AGE, REFRESH if changed else AGE) - age
                store.wait_for_change(version, max(0.01, min(wait, 1.0)))
                self._summary.flush()
                self._trouble.over()
            except StoreUnavailable as error:
                self._trouble.say(f"{error.message}; trying again")
                self._stopped.wait(_RETRY)
            except NoTimestamp as error:
                self._on_template(None)
                self._trouble.say(f"miners wait: {error.message}")
                self._stopped.wait(_RETRY)

    def _hand_out(self, template: Template, coin: Coin) -> None:
        ahead = template.block.header.timestamp - int(time.time()) - coin.clock_tolerance
        if ahead > 0:
            self._trouble.say(f"the chain is {ahead} s ahead of what this clock allows; miners wait")
        self._on_template(None if ahead > 0 else template)

    def _offer(self, raw: bytes, height: int, done: Callable[[bool], None]) -> None:
        taken = False
        try:
            taken = self._put(raw, height)
        except Exception:
            log.exception("a miner's block at height %d is lost: a fault of this server", height)
        finally:  # until it is called, no other block on the same parent is offered
            done(taken)

    def _put(self, raw: bytes, height: int) -> bool:
        """Whether the chain took the block as its new tip. Waits while the node is busy or away."""
        until = monotonic() + self._offer_seconds
        while not self._stopped.is_set():
            chain = self._chain
            try:
                if chain is not None:
                    outcome = chain.accept_block(raw, int(time.time()))
                    if isinstance(outcome, Extended | Reorganized):
                        self._summary.block(height, outcome.block_hash)
                        return True
                    self._summary.late()
                    return False
            except RuleError as error:
                log.error("the chain refused a miner's block at height %d: %s (%s)", height, error.message, error.code)
                return False
            except StoreUnavailable as error:
                log.warning("a found block waits: %s", error.message)
            if monotonic() > until:
                log.warning(
                    "a miner's block at height %d is given up: for %.0f s its node was busy or away",
                    height,
                    self._offer_seconds,
                )
                return False
            self._stopped.wait(_RETRY)
        return False
