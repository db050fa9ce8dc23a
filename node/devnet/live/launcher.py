"""Starts a network as a child of this process, for as long as this process wants it; on a folder that is given or made.

A folder that is made lies among the system's temporary ones and is locked while its maker lives: whatever is left of a
process that was killed is removed by the next one.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...config import has_plan
from ...core.coinfile import coin_from_json
from ...system import locks
from ..coinfiles import COIN_FILE, make_once
from ..devcoin import BLOCK_TIME, development_coin
from ..net.begin import Begun, NotStarted, begin
from ..net.building import NetworkUp, PortsTaken, Wishes, build, hold_folder
from ..net.capacity import check_capacity
from ..net.control import ControlRefused, NotRunning

if TYPE_CHECKING:
    from ...core.coin import Coin
    from ..graph.graph import NetworkGraph

USUAL_GRAPH: Final = "line:3"
PREFIX: Final = "moneyer-network-"
"""Of the folders that are made."""
EASY_LIMIT: Final = 0x2000FFFF
"""256 hashes a block."""
_UNKNOWN: Final = {"MONEYER_STATE": os.devnull}
"""No register (`devnet.running`): what commands a person types should not find a network of a program's own."""
_OWNER: Final = "owner.lock"
_NET: Final = "net"
"""The network's folder within the one that is made."""
_PORTS: Final = (10_000, 30_000)
"""Where ports are looked for if none are named: below those that Linux gives to outgoing connections (32,768)."""
_TRIES: Final = 4
"""Another program may take a port between a look and its use."""
_END_SECONDS: Final = 15.0
_YOUNG_SECONDS: Final = 60.0
"""A folder that is younger may be just being made, or its network just ending."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A network that this process has started."""

    data: Path
    """Its folder."""
    begun: Begun
    owner: locks.LockFile | None
    """Of the folder above `data`, if it was made."""
    launcher: int = field(default_factory=os.getpid)
    """The process that started it: one that is forked from that does not end it."""

    def end(self) -> None:
        """End its processes, and remove its folder if it was made for it; a second time there is nothing to do."""
        process = self.begun.process
        if self.launcher != os.getpid() or process.returncode is not None:
            return
        with suppress(NotRunning, ControlRefused):
            self.begun.control.down()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self.owner is not None:
            _remove(self.data.parent, self.owner)


def launch(
    graph: Any,
    *,
    data: Path | None,
    port: int | None,
    seed: int | None,
    allow_parts: bool,
    **wishes: Any,
) -> Launched:
    """Make or find a network and start it; its nodes answer when this returns.

    `wishes`: fields of `building.Wishes`. Raises BadGraph, TooManyNodes, NotStarted, PortsTaken, NetworkUp, BadNetwork,
    OSError.
    """
    if graph is None and not (data is not None and has_plan(data)):
        graph = USUAL_GRAPH
    found = _read(graph, allow_parts, seed)
    if found is not None:
        check_capacity(len(found.nodes))
    owner = None
    if data is None:
        data, owner = _made()
    wanted = Wishes(found, any_port=port is None, **wishes)
    try:
        return Launched(data, _begun(data, wanted, port, is_made=owner is not None), owner)
    except BaseException:
        if owner is not None:
            _remove(data.parent, owner)
        raise


def _read(graph: Any, allow_parts: bool, seed: int | None) -> NetworkGraph | None:
    from ..graph.graph_reading import graph_of, read_graph

    if isinstance(graph, str | Path):
        return read_graph(str(graph), allow_parts=allow_parts, seed=seed)
    return None if graph is None else graph_of(graph, allow_parts=allow_parts)


def _begun(data: Path, wanted: Wishes, port: int | None, *, is_made: bool) -> Begun:
    for last in (False,) * (_TRIES - 1) + (True,):
        first = port or random.randrange(*_PORTS)  # noqa: S311 - any will do
        lock = hold_folder(data)
        try:
            if wanted.coin_file is None and not wanted.is_mining:
                make_once(data / COIN_FILE, lambda: _easy_coin(wanted.block_time))
            build(data, replace(wanted, first_port=first))
        finally:
            lock.release()
        try:
            begun = begin(["--data", str(data)], environment=_UNKNOWN if is_made else {})
        except (NotStarted, PortsTaken):
            if last or port is not None:
                raise
            continue
        if not begun.not_up:
            return begun
        _stop(begun)
        if last or port is not None:
            name, said = next(iter(begun.not_up.items()))
            raise NotStarted(f"node {name} did not come up: {said}", not_up=begun.not_up)
    raise AssertionError  # the last try returns or raises


def _easy_coin(block_time: int | None) -> Coin:
    """The development coin at a limit at which a block is mined in a millisecond: nobody waits for the next one."""
    coin = development_coin(int(time.time()), block_time or BLOCK_TIME)
    return coin_from_json(replace(coin, pow_limit=EASY_LIMIT).as_json())


def _stop(begun: Begun) -> None:
    Launched(Path(), begun, None).end()


def _made() -> tuple[Path, locks.LockFile]:
    """A folder within a new one that this process holds."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    return folder / _NET, locks.hold(folder / _OWNER)


def _sweep() -> None:
    """Remove what processes of this user have left behind that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, locks.Held, NetworkUp):
            known = folder.stat()
            is_old = known.st_uid == os.getuid() and known.st_mtime < time.time() - _YOUNG_SECONDS
            if is_old and (folder / _OWNER).is_file():
                owner = locks.hold(folder / _OWNER, tries=1)
                try:
                    hold_folder(folder / _NET).release()  # takes the socket of a supervisor away that was killed too
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    owner.release()


def _remove(folder: Path, owner: locks.LockFile) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    owner.release()
