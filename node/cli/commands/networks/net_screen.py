"""What `moneyer net up` shows when the network is up: its page, its nodes, what to try next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ....system.advice import as_typed, typed
from ....system.text import shown
from ...output import counted, fitted, padded, style, width

if TYPE_CHECKING:
    from ....network_file import NetPlan, PlannedNode

_MOST_ROWS = 40
"""Nodes that are named."""
_MOST_BESIDE = 8
"""Neighbours of a node that are named."""


def net_screen(plan: NetPlan, not_up: Mapping[str, str], *, ends: str) -> str:
    """The text, with a line break at its end. `not_up`: what is wrong with a node, by its name; `ends`: a sentence that
    says how the network is ended."""
    from ....devnet.coinfiles import read_coin

    coin = read_coin(plan.coin_file)
    size = f"{counted(len(plan.nodes), 'node')}, {counted(len(plan.edges), 'connection')}"
    mined = f"a block every {coin.block_time} s" if plan.is_mining else "nothing is mined until asked"
    lines = [
        "",
        f"The page:  {style(f'{plan.nodes[0].url}/', fg='cyan', bold=True)}",
        "",
        fitted(f"{style(shown(plan.graph), bold=True)} is up: {size}, {mined} ({shown(coin.name)})."),
        "",
    ]
    names = max(width(name) for name in plan.names)
    lines += [_row(plan, node, names, not_up.get(node.name)) for node in plan.nodes[:_MOST_ROWS]]
    if len(plan.nodes) > _MOST_ROWS:
        lines.append(f"  … and {len(plan.nodes) - _MOST_ROWS} more")
    lines += ["", f"  Data    {plan.data}", "", "  Try, in another terminal", *(f"  {line}" for line in _to_try(plan))]
    lines += ["", fitted(f"  {ends}"), ""]
    return as_typed("\n".join(lines)) + "\n"


def _row(plan: NetPlan, node: PlannedNode, names: int, wrong: str | None) -> str:
    near = plan.neighbours(node.name)
    more = f" and {len(near) - _MOST_BESIDE} more" if len(near) > _MOST_BESIDE else ""
    beside = f"beside {', '.join(near[:_MOST_BESIDE])}{more}" if near else "alone"
    state = "" if node.miner else " · does not mine"
    if wrong is not None:
        state = f" · {style(shown(wrong, 200), fg='red')}"
    return f"  {padded(node.name, names)}   {style(node.url, fg='cyan')}   {beside}{state}"


def _to_try(plan: NetPlan) -> list[str]:
    at, first, half = where_net(plan.data), typed(plan.nodes[0].name), len(plan.nodes) // 2
    lines = [f"moneyer net status --watch{at}"]
    if 1 <= half <= _MOST_BESIDE // 2:
        one, other = (typed(",".join(names)) for names in (plan.names[:half], plan.names[half:]))
        lines.append(f"moneyer net split {one} / {other}{at}")
    elif plan.edges:
        edge = typed(f"{plan.edges[0].a}-{plan.edges[0].b}")
        lines.append(f"moneyer net cut {edge}{at}")
    if plan.edges:
        lines.append(f"moneyer net heal{at}")
    return [*lines, f"moneyer net kill {first}{at}", f"moneyer net start {first}{at}"]


def where_net(data: Path) -> str:
    """` --data DIR` as it is to be typed, or nothing where `net` commands find the network by themselves: it is the
    only one that runs."""
    from ....devnet.running import is_held_by_supervisor, running_networks

    others = [folder for folder in running_networks() if is_held_by_supervisor(folder)]
    return "" if others == [data] else f" --data {typed(data)}"
