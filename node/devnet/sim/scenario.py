"""What is simulated: every number of it, checked, before anything is built.

A scenario is flat and made of plain values, so that it travels to other processes and machines as it is, stands in the
answer's JSON, and can be swept over field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Final, Literal, get_type_hints

from ...core.coin import Coin
from ...core.coinfile import coin_from_json
from ...core.errors import quoted
from ...core.types import MAX_MONEY
from ..graph.graph import MOST_NODES
from ..net.capacity import free_memory
from .chances import BadScenario, latency_of, number_of, weights_of

POW_LIMIT: Final = 0x1F00FFFF
"""65,536 hashes a block, as of the development coin. Nothing is hashed here: only ratios count."""
HEADROOM: Final = 64
"""With the retarget: how many times harder than the limit a block is, so that the hash rate may fall as well."""
GENESIS: Final = 1_700_000_000
"""Unix seconds at which the virtual clock begins."""

BYTES_A_NODE: Final = 900
BYTES_A_LINK: Final = 240
"""Measured (docs/simulation.md): memory of a node and of each direction of a link."""
BYTES_A_BLOCK: Final = 1_500
BYTES_A_BLOCK_AT_A_NODE: Final = 9
"""The same of a block, and of what is kept about it for each node: it is most for those that do not reach all."""

Strategy = Literal["double-spend", "selfish"]


@dataclass(frozen=True)
class Scenario:
    """One simulation. Two equal scenarios have the same outcome, on every machine."""

    nodes: int = 100
    graph: str = "random:8"
    """`random:DEGREE`, `smallworld:DEGREE`, `ring`, `line`, `star`, `complete`, `tree`, `grid`, or a file."""
    block_time: int = 5
    """Seconds wanted between two blocks."""
    latency: str = "lognormal:80ms"
    """One way, drawn once for each link that has none of its own in the file."""
    blocks: int = 1000
    """Blocks that are found in all, after the warm-up of the retarget."""
    seed: int = 1
    block_bytes: int = 1000
    rate: int = 0
    """Bytes a second that a link carries in each direction; 0 for no limit."""
    loss: float = 0.0
    """Share of the messages that are lost and sent again, as TCP does it; of links that have none of their own."""
    parallel: bool = False
    """Whether a link carries any number of blocks at once. A node's sends the next one when the last is answered."""
    validation_ms: float = 0.0
    """Until a node that has received a block passes it on."""
    hashrate: str = "equal"
    """Who has which share: `equal`, `pareto`, `pareto:1.5`, or weights of the first nodes such as `4,2,1`."""
    retarget: bool = False
    difficulty_window: int = 45
    swing: str = ""
    """The network's hash rate from some block on: `2x@500`, or `2x@500,0.5x@1000`, always times the rate at first."""
    attacker: float = 0.0
    """The share of the hash rate that one node has which breaks the habits of the others; 0 for no such node."""
    strategy: Strategy = "double-spend"
    confirmations: int = 6
    """Blocks that the merchant waits for, the one with the payment included."""
    premined: int = 1
    """Blocks that the attacker has in hand when it pays: 1 as in the closed formula, or 0."""

    def __post_init__(self) -> None:
        """Raises BadScenario."""
        for name, (low, high, unit) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # NaN is in no range
                raise BadScenario(f"{name} must be {unit} from {low:g} to {high:,g}, not {value}", field=name)
        latency_of(self.latency)
        weights_of(self.hashrate)
        if self.strategy not in ("double-spend", "selfish"):
            raise BadScenario(f"strategy must be double-spend or selfish, not {quoted(str(self.strategy))}")
        if self.is_retargeting and self.block_time < 2:
            raise BadScenario("with the retarget block_time must be at least 2: a timestamp is whole seconds")
        if self.attacker and self.nodes < 2:
            raise BadScenario("an attacker needs somebody to attack: nodes must be at least 2")
        self.swings  # noqa: B018 - read now, so that a wrong one is refused

    @property
    def is_retargeting(self) -> bool:
        return self.retarget or bool(self.swing)

    @property
    def warm_up(self) -> int:
        """Blocks before the simulated ones, which bring the retarget to the hash rate; nothing of them is counted."""
        return 8 * self.difficulty_window if self.is_retargeting else 0

    @property
    def hash_rate(self) -> float:
        """Hashes a second of the whole network, so that blocks come every `block_time` seconds."""
        return _HASHES * (HEADROOM if self.is_retargeting else 1) / self.block_time

    @cached_property
    def swings(self) -> tuple[tuple[int, float], ...]:
        """(block, times the first hash rate) in order. Raises BadScenario."""
        found: list[tuple[int, float]] = []
        for part in self.swing.split(",") if self.swing else ():
            factor, at, block = part.partition("@")
            if not at or not factor.endswith("x") or not block.isdecimal() or len(block) > 9:
                raise BadScenario(f"swing must be such as 2x@500 or 2x@500,0.5x@1000, not {quoted(self.swing)}")
            found.append((int(block), number_of(factor[:-1], f"the factor in swing {quoted(part)}", 0.001, 1000.0)))
        return tuple(sorted(found))

    @cached_property
    def coin(self) -> Coin:
        """The coin that these nodes keep."""
        coin = Coin(
            name="Simulation",
            symbol="SIM",
            hrp="sim",
            decimals=0,
            timestamp=GENESIS,
            block_time=self.block_time,
            pow_limit=POW_LIMIT,
            reward=1,
            retarget=self.is_retargeting,
            difficulty_window=self.difficulty_window,
            clock_tolerance=min(60, 6 * self.block_time),
            max_supply=MAX_MONEY,
        )
        return coin_from_json(coin.as_json())

    def check_memory(self, degree: float, nodes: int | None = None) -> None:
        """Refuse what this machine's memory does not hold. `degree`: links of a node; `nodes`: if known better."""
        a_node = BYTES_A_NODE + degree * BYTES_A_LINK + self.blocks * BYTES_A_BLOCK_AT_A_NODE
        count = self.nodes if nodes is None else nodes
        need, there = count * a_node + self.blocks * BYTES_A_BLOCK, free_memory()
        if there is not None and need > there:
            holds = min(MOST_NODES, max(0, int((there - self.blocks * BYTES_A_BLOCK) / a_node)))
            raise BadScenario(
                f"{count:,} nodes with {degree:,.0f} links each and {self.blocks:,} blocks take some "
                f"{need / 1e9:,.1f} GB of memory, and {there / 1e9:,.1f} GB are free here: "
                + (f"that holds some {holds:,} nodes" if holds else "that holds no node with so many blocks"),
                expected=there,
                found=round(need),
            )

    def with_texts(self, changes: Mapping[str, str]) -> Scenario:
        """The same with some fields changed, as they are typed. Raises BadScenario."""
        return replace(self, **{name: value_of(name, text) for name, text in changes.items()})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


_HASHES = 65_536.0
"""Hashes that a block at POW_LIMIT stands for."""

_RANGES: dict[str, tuple[float, float, str]] = {
    "nodes": (1, 10**9, "a whole number"),
    "block_time": (1, 86_400, "whole seconds"),
    "blocks": (1, 10**8, "a whole number"),
    "seed": (0, 2**63, "a whole number"),
    "block_bytes": (81, 10**9, "bytes"),
    "rate": (0, 10**12, "bytes a second"),
    "loss": (0.0, 0.99, "a share"),
    "validation_ms": (0.0, 86_400_000.0, "milliseconds"),
    "difficulty_window": (3, 1000, "a whole number"),
    "attacker": (0.0, 0.99, "a share"),
    "confirmations": (1, 1000, "a whole number"),
    "premined": (0, 1, "a whole number"),
}

FIELDS: Final = tuple(field.name for field in fields(Scenario))


def value_of(name: str, text: str) -> Any:
    """A field's value as it is typed in a sweep. Raises BadScenario."""
    if name not in FIELDS:
        raise BadScenario(f"{quoted(name)} is nothing that a simulation has; there are {', '.join(FIELDS)}", field=name)
    kind = _KINDS[name]
    if kind is int:
        if not text.isascii() or not text.isdecimal() or len(text) > 20:
            raise BadScenario(f"{name} must be a whole number, not {quoted(text)}", field=name)
        return int(text)
    if kind is float:
        return number_of(text, name, *_RANGES[name][:2])
    if kind is bool:
        if text not in ("true", "false"):
            raise BadScenario(f"{name} must be true or false, not {quoted(text)}", field=name)
        return text == "true"
    return text


_KINDS = get_type_hints(Scenario)
