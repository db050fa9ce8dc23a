"""An atomic swap between two coins: one that goes to its end, and one whose partner stops.

Two networks, each with a coin of its own and one real node. Their blocks have virtual times, one a minute, so that the
hours until a refund need not be waited for; the terms, policies and times are those of `moneyer swap`.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from .....contracts.moment import utc_text
from .....contracts.swaps.swap_terms import NO_KEY, Half, Swap, Terms, check_answer, check_offer, propose
from .....core import ledger, policy
from .....core.policy import Hash, decode_witness
from .....core.types import Spend
from ....live.launcher import EASY_LIMIT
from ...pictures.curve_picture import Panel, Series, curve_picture
from ..notebook import Experiment, Notebook
from ..past_chain import PastChain, hand_all, past_coin
from .contract_ground import Contract, refusal, xonly

if TYPE_CHECKING:
    from .....core.coin import Coin
    from ....live.net_node import NodeHandle

BLOCK_TIME: Final = 60
AGE: Final = 86_400
"""Seconds that both coins are old: all virtual times lie in the past."""
TOLERANCE: Final = 60
"""Seconds that a block's time may be ahead of the clock."""
PATIENCE: Final = 600
WARM_UP: Final = 12
"""Blocks before the first swap: a median is taken over eleven."""
LAG: Final = 6 * BLOCK_TIME
"""Seconds after which median_time_past has come to a time: half of eleven blocks."""
SHORE, MOON = "SHORE", "MOON"
RECEIVER, HASH, PAYER, AFTER = range(4)
"""The leaves of a swap's policy: `(receiver and hash …) or (payer and after …)`."""
AMOUNTS: Final = {SHORE: 30, MOON: 50}


@dataclass
class Market:
    """Two coins, at the same virtual time."""

    nodes: dict[str, NodeHandle]
    """By the coin's symbol."""
    clock: int
    """Unix seconds, of the last blocks."""
    chains: dict[str, PastChain] = field(init=False)
    waiting: dict[str, list[Spend]] = field(init=False)
    """Handed to the nodes, for the next block."""

    def __post_init__(self) -> None:
        self.begin = self.clock
        self.chains = {symbol: PastChain(node.client.coin) for symbol, node in self.nodes.items()}
        self.waiting = {symbol: [] for symbol in self.nodes}
        self.looks: list[tuple[int, dict[str, int]]] = []
        """Virtual minutes, and the base units that the contracts of each coin hold."""

    def coin(self, symbol: str) -> Coin:
        return self.nodes[symbol].client.coin

    def hand(self, symbol: str, spend: Spend) -> str:
        """Hand a node a spend; its txid. Raises Refused."""
        txid = self.nodes[symbol].client.submit(spend).txid
        self.waiting[symbol].append(spend)
        return txid

    def pay(self, contract: Contract, payer: str, amount: int) -> None:
        """Pay base units into a contract."""
        sent = contract.node.send(payer, contract.address, amount)
        self.waiting[contract.node.client.coin.symbol].append(sent.transfer)

    def blocks(self, count: int = 1) -> None:
        """So many minutes pass: a block of each coin in each."""
        made: dict[str, list[bytes]] = {symbol: [] for symbol in self.nodes}
        for _ in range(count):
            self.clock += BLOCK_TIME
            for symbol, chain in self.chains.items():
                made[symbol].append(chain.add(self.clock, self.waiting[symbol]))
                self.waiting[symbol] = []
        for symbol, raw in made.items():
            hand_all(self.nodes[symbol], raw)

    def until(self, moment: int) -> None:
        """Until median_time_past has come to a time, on both chains."""
        self.blocks(max(0, -(-(moment + LAG - self.clock) // BLOCK_TIME)))

    def look(self, contracts: dict[str, Contract]) -> dict[str, int]:
        """Base units that each contract holds now. They are kept for the picture."""
        held = {symbol: contract.held for symbol, contract in contracts.items()}
        self.looks.append(((self.clock - self.begin) // 60, held))
        return held

    def balances(self, book: Notebook, contracts: dict[str, Contract]) -> None:
        """Who has what now, by each coin's node."""
        held = self.look(contracts)
        rows = [
            (symbol, *map(self.coin(symbol).in_coins, (held[symbol], node.balance("alice"), node.balance("bob"))))
            for symbol, node in self.nodes.items()
        ]
        book.table(("coin", "contract", "Alice", "Bob"), rows)


def swap(book: Notebook) -> None:
    begin = (int(time.time()) - AGE) // BLOCK_TIME * BLOCK_TIME
    with ExitStack() as stack:
        nodes = {symbol: stack.enter_context(network(stack, book, symbol, begin))["1"] for symbol in (SHORE, MOON)}
        market = Market(nodes, begin)
        market.blocks(WARM_UP)
        codes = [*to_the_end(book, market), *partner_stops(book, market)]
        book.fact(codes=codes, heights=[node.height for node in nodes.values()])
        book.picture("swap", curve(market))


def network(stack: ExitStack, book: Notebook, symbol: str, begin: int) -> Any:
    """A network of one node, for a coin of its own."""

    def change(coin: Coin) -> Coin:
        name = f"{symbol.capitalize()} Coin"
        return replace(coin, name=name, symbol=symbol, pow_limit=EASY_LIMIT, clock_tolerance=TOLERANCE)

    return book.network("line:1", coin=stack.enter_context(past_coin(begin, change, BLOCK_TIME, retarget=False)))


def agreed(book: Notebook, market: Market) -> tuple[bytes, Swap, dict[str, Contract]]:
    """Alice's secret, the terms that she and Bob agree on, and both contracts."""
    secret = book.chance.randbytes(32)
    shore, moon = market.coin(SHORE), market.coin(MOON)
    offered = Terms(
        sha256(secret).digest(),
        PATIENCE,
        Half(shore.chain_id, AMOUNTS[SHORE] * 10**shore.decimals, 1, 0, xonly("alice"), NO_KEY),
        Half(moon.chain_id, AMOUNTS[MOON] * 10**moon.decimals, 1, 0, NO_KEY, xonly("alice")),
    )
    terms = propose(shore, moon, offered, market.clock).answered(xonly("bob"), xonly("bob"))
    trade = Swap(terms, shore, moon)
    check_offer(trade, market.clock)
    check_answer(trade)
    halves = {SHORE: terms.first, MOON: terms.second}
    return secret, trade, {each: Contract(market.nodes[each], terms.policy(half)) for each, half in halves.items()}


def both_pay(book: Notebook, market: Market, trade: Swap, contracts: dict[str, Contract]) -> None:
    first, second = trade.terms.first, trade.terms.second
    book.table(
        ("paid by", "amount", "taken with the secret by", "back to the payer from"),
        [
            ("Alice", trade.first.in_coins(first.amount), "Bob", utc_text(first.refund_time)),
            ("Bob", trade.second.in_coins(second.amount), "Alice", utc_text(second.refund_time)),
        ],
    )
    market.look(contracts)
    market.pay(contracts[SHORE], "alice", first.amount)
    market.blocks()
    market.look(contracts)
    market.pay(contracts[MOON], "bob", second.amount)
    market.blocks()
    market.balances(book, contracts)


def to_the_end(book: Notebook, market: Market) -> list[str]:
    """A swap in which both do their part. The codes of what was refused."""
    secret, trade, contracts = agreed(book, market)
    shore, moon = contracts[SHORE], contracts[MOON]
    before = {symbol: node.balance("bob") for symbol, node in market.nodes.items()}
    book.step(
        "Two coins, SHORE and MOON, which know nothing of each other. Alice draws a secret and shows its hash. She "
        "pays first, then Bob, each into a contract with that hash."
    )
    both_pay(book, market, trade, contracts)
    book.note("Whoever made the secret pays first, and waits longer for the refund. Times are virtual.")

    book.step("Bob tries to take Alice's payment now, with 32 bytes that he made up.")
    code, said = refusal(shore.node, shore.spend("bob", {RECEIVER: "bob"}, [HASH], book.chance.randbytes(32)))
    book.note(f"The node says: {said}.")
    book.rule("A hash is met by 32 bytes of which it is the SHA-256.", "10", policy.check_preimages, code="bad_witness")
    book.claim("without the secret Bob can take nothing", code == "bad_witness")

    book.step("Alice takes the 50 MOON. For that she has to show the secret, and the whole chain can read it.")
    txid = market.hand(MOON, moon.spend("alice", {RECEIVER: "alice"}, [HASH], secret))
    market.blocks()
    market.balances(book, contracts)
    seen = shown_secret(moon.node, txid)
    book.claim("the secret stands in her spend, on the chain of MOON", seen == secret)

    book.step("Bob reads it there, and takes the 30 SHORE with it.")
    market.hand(SHORE, shore.spend("bob", {RECEIVER: "bob"}, [HASH], seen))
    market.blocks()
    market.balances(book, contracts)
    gained = {symbol: node.balance("bob") - before[symbol] for symbol, node in market.nodes.items()}
    unit = 10**trade.first.decimals
    book.claim("Bob has 30 SHORE more, and 50 MOON less", gained == {SHORE: 30 * unit, MOON: -50 * unit})
    book.claim("both contracts are empty", not shore.held and not moon.held)
    return [code]


def partner_stops(book: Notebook, market: Market) -> list[str]:
    """A swap in which Alice stops once both have paid. The codes of what was refused."""
    _, trade, contracts = agreed(book, market)
    shore, moon = contracts[SHORE], contracts[MOON]
    before = {(each, who): node.balance(who) for each, node in market.nodes.items() for who in ("alice", "bob")}
    book.step("A second swap, with a fresh secret. Both pay, and then Alice is not heard of any more.")
    both_pay(book, market, trade, contracts)
    early, said = refusal(moon.node, moon.spend("bob", {PAYER: "bob"}, [AFTER]))
    book.note(f"Bob wants his MOON back at once. The node says: {said}.")
    book.rule(
        "A named time has come once median_time_past has, the median of the last 11 blocks' times.",
        "10",
        ledger.check_locks,
        code="locked",
    )
    book.claim("before its time the refund is refused by that rule", early == "locked")

    market.until(trade.terms.second.refund_time)
    book.step(f"It is {utc_text(market.clock)}: the time of Bob's refund has come on the chain of MOON. He takes it.")
    market.hand(MOON, moon.spend("bob", {PAYER: "bob"}, [AFTER]))
    market.blocks()
    market.balances(book, contracts)
    late = refusal(shore.node, shore.spend("alice", {PAYER: "alice"}, [AFTER]))[0]
    book.claim("Alice's is still locked: hers opens later, so that Bob always has time to claim", late == "locked")

    market.until(trade.terms.first.refund_time)
    book.step(f"It is {utc_text(market.clock)}. Alice is back, and takes hers.")
    market.hand(SHORE, shore.spend("alice", {PAYER: "alice"}, [AFTER]))
    market.blocks()
    market.balances(book, contracts)
    after = {(each, who): node.balance(who) for each, node in market.nodes.items() for who in ("alice", "bob")}
    book.claim("both have what they had", after == before)
    book.note("From a refund's time on both ways stand open: whoever has the secret claims well before.")
    return [early, late]


def shown_secret(node: NodeHandle, txid: str) -> bytes:
    """What the chain shows of a spend: the bytes behind its hash."""
    _, shape, items = decode_witness(bytes.fromhex(node.client.transaction(txid)["witness"]))
    return next(item.data for item in items if isinstance(shape.leaves[item.index], Hash))


def curve(market: Market) -> str:
    """What the contracts of each coin hold, over time."""
    panels = []
    for symbol in market.nodes:
        unit = 10 ** market.coin(symbol).decimals
        points = [(float(minute), held[symbol] / unit) for minute, held in market.looks]
        panels.append(Panel(symbol, [Series(f"{symbol} in the contract", points, is_stepped=True)]))
    return curve_picture("Two swaps: one to its end, one taken back", "minutes, virtual", panels)


EXPERIMENT = Experiment(
    name="swap",
    title="An atomic swap of two coins",
    about=(
        "Alice has one coin and wants another, Bob the other way round, and nobody stands between them. Each pays into "
        "a contract under the same hash. Once they swap; once Alice stops, and both take back what they paid."
    ),
    shows="Taking one payment shows the secret that the other needs; who is left alone has a refund after its time.",
    act=swap,
)
