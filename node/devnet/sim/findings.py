"""What a simulation found: counted from the tree and the network once it is over, beside the published formulas."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from ...core import pow
from . import closed_forms
from .attackers import Attacker, DoubleSpender, SelfishMiner
from .block_tree import BlockTree
from .chances import MICROS
from .scenario import Scenario
from .topology import Topology
from .virtual_network import LEVELS, VirtualNetwork

_GROUPS: Final = 5
"""Miners are put together by size, so that each group has about a fifth of the hash rate."""
_SLICES: Final = 20
"""Rows in which the retarget is shown."""


@dataclass(frozen=True, slots=True)
class Level:
    """Seconds until a block had reached this share of the nodes."""

    share: float
    blocks: int
    """That got so far. A block of a losing branch is not passed on by those who have a better tip."""
    median: float | None
    slowest_tenth: float | None
    """The 90th percentile."""


@dataclass(frozen=True, slots=True)
class MinerGroup:
    """Miners of about one size."""

    miners: int
    links: float
    """Of one of them, on average."""
    smallest: float
    largest: float
    """Shares of the hash rate of one miner."""
    share: float
    """Of the hash rate, together."""
    found: int
    on_main_chain: int
    main_share: float
    error: float
    """Standard error of `main_share`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some blocks in a row of the main chain, under the retarget."""

    first: int
    """Number of the slice's first block, from the first simulated one on."""
    interval: float
    """Mean seconds between its blocks."""
    difficulty: float
    """Mean, by the one that the first hash rate asks for."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What the attacker got."""

    strategy: str
    share: float
    main_share: float
    """The attacker's share of the blocks of the main chain."""
    error: float
    """Standard error of `rate`, or of `main_share` where it mined selfishly."""
    attempts: int = 0
    successes: int = 0
    rate: float = 0.0
    expected: float = 0.0
    """By the closed formula without any delay, for the attack as it was run."""
    nakamoto: float = 0.0
    races: int = 0
    followers: float | None = None
    """Gamma: in how many of the races that an honest miner decided it mined on the attacker's branch."""


@dataclass(frozen=True)
class Findings:
    """All of one simulation. Seconds, shares from 0 to 1, counts."""

    scenario: Scenario
    version: str
    nodes: int
    degree: float
    blocks: int
    main_chain: int
    """Blocks of the main chain; the others are stale."""
    stale_rate: float
    stale_error: float
    expected_stale_rate: float
    fork_rate: float
    """Share of the heights that have more than one block."""
    expected_fork_rate: float
    interval: float
    """Mean seconds between two blocks that were found."""
    main_interval: float
    delay: float
    """Mean seconds until a share of the hash rate has a block."""
    levels: list[Level]
    reorgs: dict[int, int]
    pushes_a_block: float
    groups: list[MinerGroup]
    slices: list[Slice] = field(default_factory=list)
    attack: Attack | None = None
    left_out: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def count_up(
    scenario: Scenario, topology: Topology, network: VirtualNetwork, attacker: Attacker | None, version: str
) -> Findings:
    """The findings of a network that has run."""
    tree, first = network.tree, network.first
    main = tree.line(_best_tip(network, attacker))[tree.heights[first - 1] + 1 :]
    found = len(tree) - first
    stale = (found - len(main)) / found
    interval = (tree.found_at[-1] - tree.found_at[first - 1]) / MICROS / found
    reached, shares = network.delay_shares
    delay = reached / shares if shares else 0.0
    rivals = Counter(tree.heights[first:])
    return Findings(
        scenario=scenario,
        version=version,
        nodes=len(topology.links),
        degree=topology.degree,
        blocks=found,
        main_chain=len(main),
        stale_rate=stale,
        stale_error=_error(stale, found),
        expected_stale_rate=closed_forms.stale_rate(delay, interval),
        fork_rate=sum(count > 1 for count in rivals.values()) / len(rivals),
        expected_fork_rate=closed_forms.fork_rate(delay, interval),
        interval=interval,
        main_interval=(tree.found_at[main[-1]] - tree.found_at[first - 1]) / MICROS / len(main),
        delay=delay,
        levels=[_level(share, times) for share, times in zip(LEVELS, network.times, strict=True)],
        reorgs=dict(sorted(network.reorgs.items())),
        pushes_a_block=network.pushes / found,
        groups=_groups(topology, tree, first, main),
        slices=_slices(scenario, tree, main) if scenario.is_retargeting else [],
        attack=_attack(scenario, attacker, tree, main),
        left_out=left_out(scenario),
    )


def _best_tip(network: VirtualNetwork, attacker: Attacker | None) -> int:
    """The tip with the most work; of equals that of the most nodes, then the first. A secret one does not count."""
    held = Counter(network.tips)
    if attacker is not None:
        held[network.tips[attacker.node]] -= 1
        held[attacker.public] += 1
    works = network.tree.works
    return max((tip for tip, count in held.items() if count), key=lambda tip: (works[tip], held[tip], -tip))


def _error(share: float, count: int) -> float:
    """Standard error of a share of `count` independent trials; of none or all as if one had been otherwise."""
    inside = min(max(share, 1 / (count + 1)), count / (count + 1))
    return math.sqrt(inside * (1 - inside) / count)


def _level(share: float, times: Sequence[int]) -> Level:
    ordered = sorted(times)
    if not ordered:
        return Level(share, 0, None, None)
    slow = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return Level(share, len(ordered), median(ordered) / MICROS, slow / MICROS)


def _groups(topology: Topology, tree: BlockTree, first: int, main: Sequence[int]) -> list[MinerGroup]:
    found, kept = Counter(tree.miners[first:]), Counter(tree.miners[block] for block in main)
    miners = [node for node, share in enumerate(topology.shares) if share and node != topology.attacker]
    miners.sort(key=lambda node: (topology.shares[node], len(topology.links[node]), node))
    groups: list[list[int]] = [[]]
    wanted, together = sum(topology.shares[node] for node in miners) / _GROUPS, 0.0
    for node in miners:
        share = topology.shares[node]
        if groups[-1] and (together >= wanted - 1e-9 or together + share > 1.5 * wanted):
            groups.append([])
            together = 0.0
        groups[-1].append(node)
        together += share
    return [
        MinerGroup(
            miners=len(group),
            links=sum(len(topology.links[node]) for node in group) / len(group),
            smallest=topology.shares[group[0]],
            largest=topology.shares[group[-1]],
            share=sum(topology.shares[node] for node in group),
            found=sum(found[node] for node in group),
            on_main_chain=(on_main := sum(kept[node] for node in group)),
            main_share=on_main / len(main),
            error=_error(on_main / len(main), len(main)),
        )
        for group in groups
    ]


def _slices(scenario: Scenario, tree: BlockTree, main: Sequence[int]) -> list[Slice]:
    wanted = scenario.hash_rate * scenario.block_time
    works = [pow.block_work(pow.decode_bits(tree.headers[block].bits)) for block in main]
    size = max(1, -(-len(main) // _SLICES))
    before = tree.parents[main[0]]
    found: list[Slice] = []
    for start in range(0, len(main), size):
        blocks = main[start : start + size]
        took = (tree.found_at[blocks[-1]] - tree.found_at[before]) / MICROS
        harder = sum(works[start : start + size]) / len(blocks) / wanted
        found.append(Slice(start, took / len(blocks), harder))
        before = blocks[-1]
    return found


def _attack(scenario: Scenario, attacker: Attacker | None, tree: BlockTree, main: Sequence[int]) -> Attack | None:
    if attacker is None:
        return None
    share, mine = scenario.attacker, sum(tree.miners[block] == attacker.node for block in main) / len(main)
    if isinstance(attacker, DoubleSpender):
        rate = attacker.successes / attacker.attempts if attacker.attempts else 0.0
        return Attack(
            strategy=scenario.strategy,
            share=share,
            main_share=mine,
            error=_error(rate, attacker.attempts) if attacker.attempts else 1.0,
            attempts=attacker.attempts,
            successes=attacker.successes,
            rate=rate,
            expected=closed_forms.double_spend(share, scenario.confirmations, scenario.premined),
            nakamoto=closed_forms.nakamoto(share, scenario.confirmations),
        )
    followers = _followers(attacker, tree) if isinstance(attacker, SelfishMiner) else None
    return Attack(
        strategy=scenario.strategy,
        share=share,
        main_share=mine,
        error=_error(mine, len(main)),
        expected=closed_forms.selfish_revenue(share, followers or 0.0),
        races=len(attacker.races) if isinstance(attacker, SelfishMiner) else 0,
        followers=followers,
    )


def _followers(attacker: SelfishMiner, tree: BlockTree) -> float | None:
    """Gamma, measured. A race is decided by the first block above its height."""
    races = {height: block for block, height in attacker.races}
    decided: dict[int, int] = {}
    for block, height in enumerate(tree.heights):
        if height - 1 in races:
            decided.setdefault(height - 1, block)
    honest = [(races[height], block) for height, block in decided.items() if tree.miners[block] != attacker.node]
    if not honest:
        return None
    return sum(tree.parents[block] == own for own, block in honest) / len(honest)


def left_out(scenario: Scenario) -> list[str]:
    """What a real network has and this one has not."""
    told = [
        "Proof of work is not searched for: blocks come at random at the rate of the hash rate (a Poisson process).",
        "Blocks have headers and no bodies: no transfers, no mempool, no signatures, no blocks that break a rule.",
        "All nodes have one exact clock, and none starts, stops, loses a link or is banned.",
        "Each link has its delay and its rate for itself: a node's line and processor are not shared between links.",
        "A push and its answer are one message each: headers, connecting and TCP's slow start take no time.",
    ]
    if scenario.attacker:
        told.append("The attacker is one node of this graph, with the links that it has there, and pays no fees.")
    return told
