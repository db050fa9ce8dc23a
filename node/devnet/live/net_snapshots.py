"""Snapshots of a network: all nodes' databases as of one instant, its edges and hash rates; and the way back.

    DATA/snapshots/NAME/NODE.db       each node's database (`node.store.snapshots`)
    DATA/snapshots/NAME/edges.json    the plan's edges and hash rates at that time

A node takes its own database back (`POST /v1/restore`), while every edge of the network is cut: else a node that is
back already would hear of the newer blocks of one that is not.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...client.errors import NoAnswer
from ...core.errors import MoneyerError
from ...network_file import EdgeRow, Hashes
from ...system.decoding import prepare
from ...system.threads import in_threads
from ...system.words import nearest, quoted
from ..net.control import Control
from ..net.plan import NetPlan, write_plan
from . import edges
from .errors import BadSnapshot
from .live_edges import AT_ONCE, changing, tell_nodes

if TYPE_CHECKING:
    from .net_node import NodeHandle

FOLDER: Final = "snapshots"
EDGES_FILE: Final = "edges.json"
_MAX_EDGES_FILE: Final = 16_000_000
_CHAIN: Final = "chain.db"
_RESTORE_SECONDS: Final = 60.0
"""For one node: a chain of a million transfers takes some ten."""


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """`edges.json`, within the bounds of a plan. `hashes`: a second, by node."""

    edges: list[EdgeRow]
    hashes: dict[str, Hashes]


prepare(_Kept)


def take(data: Path, nodes: Sequence[NodeHandle], name: str) -> dict[str, Any]:
    """Keep a network as it is under a name; what `listed` says of it. Raises BadSnapshot, StoreRefused.

    A snapshot of that name is replaced when the new one is whole.
    """
    from ...store.snapshots import take as copies

    copies.check_name(name)
    with changing(data) as plan:
        kept = _Kept(
            [EdgeRow(each.a, each.b, each.latency_ms, each.loss, each.rate, each.is_cut) for each in plan.edges],
            {node.name: node.hashes for node in plan.nodes},
        )
        databases = {node.name: node.folder / _CHAIN for node in nodes}
        copies.take(databases, data / FOLDER / name, {EDGES_FILE: msgspec.json.encode(kept)})
    return _described(data / FOLDER / name)


def restore(data: Path, nodes: Sequence[NodeHandle], name: str) -> None:
    """Make nodes and edges what they were. Raises BadSnapshot before anything is changed, NodeDown, Refused."""
    folder = _found(data, name)
    missing = [node.name for node in nodes if not (folder / f"{node.name}.db").is_file()]
    if missing:
        raise BadSnapshot(f"{name} has nothing of {edges.listed(missing)}: it is a snapshot of another network")
    kept = _read(folder)
    with changing(data) as plan, _all_running(data, nodes):
        after = _as_kept(plan, kept)
        try:
            tell_nodes(nodes, edges.with_edges(plan, plan.edges, is_cut=True))
            in_threads(lambda node: _restore_one(node, name), nodes, AT_ONCE)
            write_plan(after)
        except BaseException:
            with suppress(MoneyerError, OSError):  # what it failed with says more
                tell_nodes(nodes, plan)  # those that have died too: they would start with every edge cut
            raise
        tell_nodes(nodes, after)


def _restore_one(node: NodeHandle, name: str) -> None:
    try:
        node.client.post("/v1/restore", {"snapshot": name}, deadline=_RESTORE_SECONDS)
    except NoAnswer as error:
        raise NoAnswer(
            f"node {node.name} ({node.url}) has not answered: `moneyer net status` shows whether it runs"
        ) from error


def _as_kept(plan: NetPlan, kept: _Kept) -> NetPlan:
    """The plan with the edges' conditions and the hash rates of a snapshot."""
    known = {frozenset((edge.a, edge.b)): edge for edge in kept.edges}
    changed = []
    for edge in plan.edges:
        was = known.get(frozenset((edge.a, edge.b)))
        changed.append(
            edge
            if was is None
            else replace(edge, latency_ms=was.latency_ms, loss=was.loss, rate=was.rate, is_cut=was.cut)
        )
    nodes = tuple(replace(node, hashes=kept.hashes.get(node.name, node.hashes)) for node in plan.nodes)
    return replace(plan, edges=tuple(changed), nodes=nodes)


@contextmanager
def _all_running(data: Path, nodes: Sequence[NodeHandle]) -> Iterator[None]:
    """Nodes that do not run are started, and stopped again afterwards: only a node itself puts its chain back."""
    resting = [node.name for node in nodes if not node.is_running]
    if not resting:
        yield
        return
    control = Control.find(data)
    in_threads(control.start, resting, AT_ONCE)
    try:
        yield
    finally:
        in_threads(control.stop, resting, AT_ONCE)


def listed(data: Path) -> list[dict[str, Any]]:
    """`name`, `created`, `nodes` (each with `height` and `tip`) and `height` of each snapshot, oldest first."""
    try:
        names = [path.name for path in (data / FOLDER).iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    found = [_described(data / FOLDER / name) for name in sorted(names) if (data / FOLDER / name).is_dir()]
    return sorted(found, key=lambda each: (each["created"], each["name"]))


def remove(data: Path, name: str) -> None:
    """Delete a snapshot. Raises BadSnapshot where there is none."""
    folder = _found(data, name)
    with changing(data):
        going = folder.with_name(f".{name}.tmp")  # should this be killed, the next snapshot removes it
        shutil.rmtree(going, ignore_errors=True)
        folder.rename(going)
        shutil.rmtree(going)


def _described(folder: Path) -> dict[str, Any]:
    from ...store.snapshots.take import tip_in

    tips = {path.stem: tip_in(path) for path in sorted(folder.glob("*.db"))}
    return {
        "name": folder.name,
        "created": int(folder.stat().st_mtime),
        "height": max((height for height, _ in tips.values()), default=None),
        "nodes": {name: {"height": height, "tip": tip} for name, (height, tip) in tips.items()},
    }


def _found(data: Path, name: str) -> Path:
    """The folder of a snapshot. Raises BadSnapshot, with the nearest name."""
    folder = data / FOLDER / name
    try:
        names = [path.name for path in (data / FOLDER).iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        names = []
    if name in names and folder.is_dir():
        return folder
    near = nearest(name, names)
    has = f"there are {edges.listed(sorted(names))}" if names else "there is none yet"
    raise BadSnapshot(f"there is no snapshot {quoted(name)}: {f'did you mean {near}?' if near else has}", nearest=near)


def _read(folder: Path) -> _Kept:
    """Raises BadSnapshot with the file's name."""
    path = folder / EDGES_FILE
    try:
        if not path.is_file():  # opening a pipe would wait
            raise FileNotFoundError(errno.ENOENT, "no such file")
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_EDGES_FILE), type=_Kept)
    except (OSError, ValueError, RecursionError) as error:
        raise BadSnapshot(f"{path} cannot be read ({error}): take the snapshot anew") from None
