"""All that the lab can run, by name: `moneyer lab list`, `show` and `run` are made of this list.

An experiment joins it with one `Entry` in `_experiments`; an attack with its class in `attacks.ATTACKS`.
"""

from __future__ import annotations

from ...core.errors import MoneyerError
from ...system.words import nearest, quoted
from .attacking import run_attacks
from .attacks import ATTACKS, Attack
from .lab_entry import Entry, Kind


class NoSuchEntry(MoneyerError):
    """The lab has nothing of that name."""

    code = "no_such_entry"


def entries() -> list[Entry]:
    """All of them, experiments first."""
    return [*_experiments(), *map(_of_attack, ATTACKS)]


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


def _experiments() -> list[Entry]:
    return []


def _of_attack(attack: Attack) -> Entry:
    return Entry(
        name=attack.name,
        kind=Kind.ATTACK,
        title=attack.title,
        about=attack.story,
        shows=f"{attack.code}: {attack.sentence}",
        run=lambda run: run_attacks([attack], run),
    )
