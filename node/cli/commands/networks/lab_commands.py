"""`moneyer lab`: experiments and attacks, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...exits import REFUSED
from ...options import FOLDER, as_json, option

if TYPE_CHECKING:
    from ....devnet.lab.lab_entry import Entry, LabRun

ALL = "all"

_node = option(
    "--node",
    metavar="URL",
    help="A development node that runs.  [default: what it needs is started, on a temporary folder]",
)
_pictures = option("--pictures", type=FOLDER, metavar="DIR", help="Write pictures into this folder.")
_quick = option("--quick", is_flag=True, help="Take few samples: figures are rougher, and it takes seconds.")
_seed = option("--seed", type=int, metavar="N", help="Make what is left to chance the same in each run.")


@click.group()
def lab() -> None:
    """Experiments on networks, and attacks on a node.

    Each shows what happens step by step, and which rule decided.
    """


@lab.command("list")
@as_json
def list_(json: bool) -> None:
    """Show what the lab can run.

    \b
    moneyer lab list
    """
    from ....devnet.lab.lab_list import entries
    from ...output import print_json, print_table

    held = entries()
    if json:
        print_json({"entries": [_described(each) for each in held]})
        return
    print_table(("name", "kind", "title"), [(each.name, each.kind.value, each.title) for each in held], cut=("title",))


@lab.command()
@click.argument("name")
@as_json
def show(name: str, json: bool) -> None:
    """Show what something in the lab does, without running it.

    \b
    moneyer lab show mutated-body
    """
    from ....devnet.lab.lab_list import entry
    from ...output import print_json, print_pairs

    held = entry(name)
    if json:
        print_json(_described(held))
    else:
        print_pairs([("name", held.name), ("title", held.title), ("does", held.about), ("shows", held.shows)])


@lab.command()
@click.argument("name")
@_node
@_pictures
@_seed
@_quick
@as_json
def run(name: str, node: str | None, pictures: Path | None, seed: int | None, quick: bool, json: bool) -> int:
    """Run an experiment or an attack.

    Ends with 1 where it did not show what it should.

    \b
    moneyer lab run tamper
    moneyer lab run fork-and-heal --pictures here
    """
    from ....devnet.lab.lab_entry import LabRun
    from ....devnet.lab.lab_list import entry

    held = entry(name)
    told = LabRun(_sayer(is_silent=json), node=node, folder=pictures, seed=seed, is_quick=quick)
    return _ended(held.run(told), json=json)


@lab.command()
@click.argument("name", default=ALL)
@_node
@as_json
def attack(name: str, node: str | None, json: bool) -> int:
    """Attack a node: all attacks, or one of them.

    Shows the bytes that are sent, what in them was changed, the rule that stops it, and that nothing has changed.

    \b
    moneyer lab attack
    moneyer lab attack mutated-body
    moneyer lab attack all --node http://127.0.0.1:5001 --json
    """
    from ....devnet.lab.attacking import run_attacks
    from ....devnet.lab.attacks import ATTACKS
    from ....devnet.lab.lab_entry import LabRun
    from ....devnet.lab.lab_list import attack_of

    chosen = ATTACKS if name == ALL else [attack_of(name)]
    told: LabRun = LabRun(_sayer(is_silent=json), node=node)
    return _ended(run_attacks(chosen, told), json=json)


def _sayer(*, is_silent: bool) -> Any:
    from ...output import fitted

    def say(line: str) -> None:
        if not is_silent:
            click.echo(line if line.startswith("  ") else fitted(line))

    return say


def _ended(result: dict[str, Any], *, json: bool) -> int:
    from ...output import print_json

    if json:
        print_json(result)
    return 0 if result["held"] else REFUSED


def _described(held: Entry) -> dict[str, str]:
    return {
        "name": held.name,
        "kind": held.kind.value,
        "title": held.title,
        "about": held.about,
        "shows": held.shows,
    }
