"""Simulates an attacker with a share of the hash rate, as the experiments hold it beside the closed formulas."""

from __future__ import annotations

from typing import Any

from ...sim.findings import Attack
from ...sim.scenario import Scenario
from ...sim.simulate import simulate


def attacked(share: float, blocks: int, seed: int, **how: Any) -> Attack:
    """What an attacker gets among honest nodes whose links take next to no time. `how`: further fields of a scenario.

    Raises BadScenario.
    """
    scenario = Scenario(
        nodes=4,
        graph="complete",
        block_time=600,
        latency="constant:1ms",
        blocks=blocks,
        seed=seed % 2**32,
        attacker=share,
        **how,
    )
    attack = simulate(scenario).attack
    assert attack is not None  # noqa: S101 - the scenario has an attacker
    return attack
