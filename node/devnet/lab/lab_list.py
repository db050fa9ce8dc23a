"""All that the lab can run, by name: `moneyer lab list`, `show` and `run` are made of this list.

An experiment joins it with its line in `EXPERIMENTS`, an attack with its class in `attacks.ATTACKS`.
"""

from __future__ import annotations

from typing import Any, Final

from ...core.errors import MoneyerError
from ...system.words import nearest, quoted
from .attack_ground import NoGround
from .attacking import run_attacks
from .attacks import ATTACKS, Attack
from .experiments import (
    away,
    double_spend,
    eclipse,
    fork_and_heal,
    hash_swing,
    majority,
    selfish,
    slow_link,
)
from .experiments.contracts import escrow, two_coins
from .experiments.notebook import Experiment, Notebook
from .lab_entry import Entry, Kind, LabRun

EXPERIMENTS: Final = (
    fork_and_heal.EXPERIMENT,
    double_spend.EXPERIMENT,
    majority.EXPERIMENT,
    selfish.EXPERIMENT,
    slow_link.EXPERIMENT,
    away.EXPERIMENT,
    eclipse.EXPERIMENT,
    hash_swing.EXPERIMENT,
    escrow.EXPERIMENT,
    two_coins.EXPERIMENT,
)


class NoSuchEntry(MoneyerError):
    """The lab has nothing of that name."""

    code = "no_such_entry"


def entries() -> list[Entry]:
    """All of them, experiments first."""
    return [*map(_of_experiment, EXPERIMENTS), *map(_of_attack, ATTACKS)]


def entry(name: str) -> Entry:
    """The entry of that name. Raises NoSuchEntry."""
    held = {each.name: each for each in entries()}
    if name in held:
        return held[name]
    near = nearest(name, list(held))
    meant = f": did you mean {near}?" if near else ""
    raise NoSuchEntry(
        f"the lab has nothing called {quoted(name)}{meant or '; `moneyer lab list` names all that it has'}",
        found=name[:40],
    )


def attack_of(name: str) -> Attack:
    """The attack of that name. Raises NoSuchEntry."""
    entry(name)
    for attack in ATTACKS:
        if attack.name == name:
            return attack
    raise NoSuchEntry(f"{name} is no attack: run it with `moneyer lab run {name}`", found=name)


def run_experiment(experiment: Experiment, run: LabRun) -> dict[str, Any]:
    """Run it on a network of its own. The result: `name`, and what `Notebook.as_json` says. Raises MoneyerError."""
    if run.node is not None:
        raise NoGround(f"{experiment.name} runs on a network that it starts itself: leave --node out")
    book = Notebook(run.say, folder=run.folder, seed=run.seed, is_quick=run.is_quick)
    experiment.act(book)
    return {"name": experiment.name, **book.as_json()}


def _of_experiment(experiment: Experiment) -> Entry:
    return Entry(
        name=experiment.name,
        kind=Kind.EXPERIMENT,
        title=experiment.title,
        about=experiment.about,
        shows=experiment.shows,
        run=lambda run: run_experiment(experiment, run),
    )


def _of_attack(attack: Attack) -> Entry:
    return Entry(
        name=attack.name,
        kind=Kind.ATTACK,
        title=attack.title,
        about=attack.story,
        shows=f"{attack.code}: {attack.sentence}",
        run=lambda run: run_attacks([attack], run),
    )
