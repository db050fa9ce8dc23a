"""`moneyer net split · cut · heal · delay · loss · rate`: what becomes of a network's edges."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ....system.words import quoted
from ...options import as_json, usage
from .net_look import conditions_of
from .net_open import complete_edges, open_network
from .net_place import net_folder

if TYPE_CHECKING:
    from ....devnet.live.live_network import Network
    from ....network_file import NetPlan, PlannedEdge

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z%/]*)", re.ASCII)
_TIMES = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001}
_SHARES = {"": 1.0, "%": 0.01}
_SIZES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_MOST_DIGITS = 30
_NONE = ("none", "off")

_edges = click.argument("edges", metavar="A-B…", nargs=-1, required=True, shell_complete=complete_edges)


@click.command()
@click.argument("groups", metavar="A,B / C,D", nargs=-1, required=True)
@net_folder
@as_json
def split(groups: tuple[str, ...], data: Path | None, json: bool) -> None:
    """Cut every edge between groups of nodes.

    `rest` stands for all that no other group names; one group alone is split from the rest.

    \b
    moneyer net split 1,2,3 / 4,5,6
    moneyer net split 1,2
    moneyer net split paris,rome / oslo / rest
    """
    from ....devnet.live.edges import groups_named

    net = open_network(data)
    wanted = usage(groups_named, " ".join(groups))
    _change(net, lambda: net.split(*wanted), "cut", as_json=json)


@click.command()
@_edges
@net_folder
@as_json
def cut(edges: tuple[str, ...], data: Path | None, json: bool) -> None:
    """Cut edges of a network: nothing passes any more.

    \b
    moneyer net cut 1-2
    moneyer net cut 1-2 4-5
    """
    net = open_network(data)
    chosen = _named(net.plan, edges)
    _change(net, lambda: [net.cut(edge.a, edge.b) for edge in chosen], "cut", as_json=json)


@click.command()
@click.argument("edges", metavar="[A-B…]", nargs=-1, shell_complete=complete_edges)
@net_folder
@as_json
def heal(edges: tuple[str, ...], data: Path | None, json: bool) -> None:
    """Heal edges that were cut; without a name all of them.

    Their nodes link again at once. What makes an edge slow stays: `moneyer net delay A-B 0ms` ends that.

    \b
    moneyer net heal
    moneyer net heal 1-2
    """
    net = open_network(data)
    chosen = _named(net.plan, edges)
    heal_one: Callable[[], Sequence[PlannedEdge]] = lambda: [  # noqa: E731
        healed for edge in chosen for healed in net.heal(edge.a, edge.b)
    ]
    _change(net, heal_one if edges else net.heal, "healed", as_json=json)


@click.command()
@_edges
@click.argument("time", metavar="TIME")
@net_folder
@as_json
def delay(edges: tuple[str, ...], time: str, data: Path | None, json: bool) -> None:
    """Make every message over an edge take longer, one way.

    TIME in milliseconds, or with a unit: 300ms, 1.5s.

    \b
    moneyer net delay 1-2 300ms
    moneyer net delay 1-2 0ms
    """
    _condition(data, edges, lambda net, edge, value: net.delay(edge.a, edge.b, value), _time(time), as_json=json)


@click.command()
@_edges
@click.argument("share", metavar="SHARE")
@net_folder
@as_json
def loss(edges: tuple[str, ...], share: str, data: Path | None, json: bool) -> None:
    """Let a share of an edge's messages get lost, and be sent again.

    SHARE from 0 to 0.99, or in percent: 0.1, 10%.

    \b
    moneyer net loss 1-2 10%
    moneyer net loss 1-2 0
    """
    _condition(data, edges, lambda net, edge, value: net.loss(edge.a, edge.b, value), _share(share), as_json=json)


@click.command()
@_edges
@click.argument("size", metavar="BYTES")
@net_folder
@as_json
def rate(edges: tuple[str, ...], size: str, data: Path | None, json: bool) -> None:
    """Bound what passes over an edge in a second, each way.

    BYTES a second: 5000, 10kB, 2MB; `none` lifts the bound.

    \b
    moneyer net rate 1-2 10kB
    moneyer net rate 1-2 none
    """
    _condition(data, edges, lambda net, edge, value: net.rate(edge.a, edge.b, value), _size(size), as_json=json)


def _named(plan: NetPlan, texts: Sequence[str]) -> list[PlannedEdge]:
    from ....devnet.live.edges import edge_named

    return [edge_named(plan, text) for text in texts]


def _condition(
    data: Path | None,
    texts: Sequence[str],
    change: Callable[[Network, PlannedEdge, Any], PlannedEdge],
    value: Any,
    *,
    as_json: bool,
) -> None:
    net = open_network(data)
    chosen = _named(net.plan, texts)
    _change(net, lambda: [change(net, edge, value) for edge in chosen], "changed", as_json=as_json)


def _change(net: Network, change: Callable[[], Sequence[PlannedEdge]], done: str, *, as_json: bool) -> None:
    """Do it, and say which edges are what now, and in how many parts the network is."""
    from ....devnet.live.errors import BadCut, UnknownNode
    from ...exits import effect
    from ...output import print_json

    effect().done("Edges may have been changed: `moneyer net status` shows them")
    try:
        changed = change()
    except (BadCut, UnknownNode):  # before anything was changed
        effect().nothing()
        raise
    effect().done("Edges were changed: `moneyer net status` shows them")
    parts = net.parts
    if as_json:
        rows = [{("cut" if key == "is_cut" else key): value for key, value in asdict(edge).items()} for edge in changed]
        print_json({"edges": rows, "parts": parts})
        return
    names = ", ".join(f"{edge.a}-{edge.b}" for edge in changed) or "no edge"
    if done == "changed":
        for edge in changed:
            click.echo(f"{edge.a}-{edge.b}: {conditions_of(asdict(edge)) or 'like any other edge'}")
        return
    click.echo(f"{done}: {names}" if changed else f"{'every edge is whole' if done == 'healed' else names} already")
    whole = "the network is whole" if len(parts) == 1 else f"the network is in {len(parts)} parts"
    click.echo(whole + ("" if len(parts) == 1 else f": {' / '.join(','.join(part) for part in parts)}"))


def _time(text: str) -> float:
    """Milliseconds."""
    return measured(text, _TIMES, "a time, such as 300ms or 1.5s")


def _share(text: str) -> float:
    return measured(text, _SHARES, "a share, such as 0.1 or 10%")


def _size(text: str) -> int | None:
    """Bytes a second; None: without a bound."""
    if text.lower() in _NONE:
        return None
    return round(measured(text.removesuffix("/s"), _SIZES, "bytes a second, such as 5000, 10kB or none"))


def measured(text: str, units: Mapping[str, float], what: str) -> float:
    """A number with one of these units (in small letters) behind it. Raises click.UsageError, with `what` it may be."""
    found = _NUMBER.fullmatch(text[:_MOST_DIGITS])
    if found is None or found[2].lower() not in units or len(text) > _MOST_DIGITS:
        raise click.UsageError(f"{quoted(text)} is no such value: give {what}")
    return float(f"{float(found[1]) * units[found[2].lower()]:.9g}")
