"""One simulation, from a scenario to its findings: what a process, or a machine of a cluster, is asked to do."""

from __future__ import annotations

from .... import __version__
from .attackers import Attacker, DoubleSpender, SelfishMiner
from .block_tree import BlockTree
from .chances import MICROS, Chance, Chances
from .findings import Findings, count_up
from .scenario import Scenario
from .topology import build_topology
from .virtual_network import VirtualNetwork


def simulate(scenario: Scenario) -> Findings:
    """Run it, in this thread. Raises BadScenario, BadGraph."""
    topology = build_topology(scenario)
    scenario.check_memory(topology.degree, len(topology.links))
    tree, chances = BlockTree(scenario.coin), Chances(scenario.seed)
    warm_up(tree, chances.blocks, scenario)
    attacker = _attacker(scenario, tree)
    network = VirtualNetwork(tree, topology, chances, scenario.hash_rate, attacker)
    network.run(scenario.blocks, scenario.swings)
    return count_up(scenario, topology, network, attacker, __version__)


def warm_up(tree: BlockTree, chance: Chance, scenario: Scenario) -> None:
    """Blocks that all nodes have from the start: their difficulty follows the hash rate up from the coin's limit."""
    now = 0
    for _ in range(scenario.warm_up):
        tip = len(tree) - 1
        header = None
        while header is None:
            now += round(tree.child_works[tip] / scenario.hash_rate * MICROS * chance.exponential())
            header = tree.template(tip, now)
        tree.add(header, tip, 0, now)


def _attacker(scenario: Scenario, tree: BlockTree) -> Attacker | None:
    if not scenario.attacker:
        return None
    if scenario.strategy == "selfish":
        return SelfishMiner(tree, 0)
    return DoubleSpender(tree, 0, scenario.attacker, scenario.confirmations, scenario.premined)
