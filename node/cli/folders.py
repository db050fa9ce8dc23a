"""The one rule by which every command finds the data folder that is meant, and the node in it.

1. `--data DIR` (or `MONEYER_DATA`).
2. The current folder, where it holds a `coin.toml`.
3. A network of yours that runs: the one in `./data` (`make run`), else the one at the URL of `--node`, else the only
   one. Where several run, the command asks which.
4. One that does not run: `./data`, else the folder of `moneyer up`.

A network's folder stands for one of its nodes: the one at the URL of `--node`, else the first that runs, else node 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ..config import has_plan
from ..devnet.holder import holder_of
from ..devnet.running import running_networks
from ..system.advice import typed

DEFAULT_FOLDER = "~/Library/Application Support/moneyer/up" if sys.platform == "darwin" else "~/.local/share/moneyer/up"
"""The folder of a person's development network, whatever folder they are in: the next `moneyer up` finds it."""
COIN_FILE = "coin.toml"
_HERE = "data"
"""The folder of `make run`, in the current one."""
_MAX_NODES = 50
"""Nodes of one network, as `moneyer up` has them."""


def find_folder(data: Path | None, url: str | None = None) -> Path | None:
    """The data folder of the node that `--data` and `--node` mean; None where there is no folder to be found.

    Raises ClickException for a folder that is not there, and where several networks run.
    """
    folder = _meant(data, url)
    return None if folder is None else _node_in(folder, url)


def existing_folder(data: Path | None) -> Path:
    """As `find_folder`, for a command that works on a folder. Raises ClickException where none holds a node."""
    folder = find_folder(data)
    if folder is None:
        raise click.ClickException(
            "there is no data folder here: name one with --data DIR, or begin with `moneyer up` or `moneyer new NAME`"
        )
    if not (folder / COIN_FILE).is_file():
        raise click.ClickException(f"{folder} is no data folder of a node: there is no {COIN_FILE} in it")
    return folder


def folder_to_be(data: Path | None) -> Path:
    """As `existing_folder`, for a process that may start before its node has made the folder that `--data` names."""
    return existing_folder(None) if data is None else _node_in(data, None)


def _meant(data: Path | None, url: str | None) -> Path | None:
    if data is not None:
        if not data.is_dir():
            raise click.ClickException(
                f"there is no data folder {data}: `moneyer new NAME --data {typed(data)}` or "
                f"`moneyer join URL --data {typed(data)}` makes one"
            )
        return data.absolute()
    here = Path.cwd()
    if (here / COIN_FILE).is_file():
        return here
    return _running(here / _HERE, url) or _resting(here / _HERE)


def _running(ours: Path, url: str | None) -> Path | None:
    """The network that runs and is meant. Raises ClickException where several could be."""
    networks = running_networks()
    if ours.resolve() in {network.resolve() for network in networks}:
        return ours
    if url is not None:
        return next((network for network in networks if any(each == url for _, each in nodes_of(network))), None)
    if len(networks) > 1:
        which = " or ".join(f"--data {typed(network)}" for network in networks[:8])
        raise click.ClickException(f"{len(networks)} networks run on this machine: say which one is meant by {which}")
    return networks[0] if networks else None


def _resting(ours: Path) -> Path | None:
    usual = Path(DEFAULT_FOLDER).expanduser()
    return next((folder for folder in (ours, usual) if (folder / COIN_FILE).is_file()), None)


def _node_in(folder: Path, url: str | None) -> Path:
    """The data folder of the node that is meant, where `folder` is a network's; else `folder`."""
    first = _first_node(folder)
    if (folder / "wallet.json").exists() or first is None:
        if url is None:
            return folder
        return next((each for each, at in nodes_of(folder) if at == url), folder)
    running = list(nodes_of(folder))
    if url is not None:
        running = [each for each in running if each[1] == url]
    return running[0][0] if running else first


def _first_node(folder: Path) -> Path | None:
    """The data folder of a network's first node; None where `folder` is no network's."""
    if has_plan(folder):
        return _planned(folder)[0]
    return folder / "node1" if (folder / "node1").is_dir() else None


def _planned(folder: Path) -> list[Path]:
    """The data folders of a network from a graph. Raises BadNetwork, OSError."""
    from ..network_file import read_plan

    return [node.folder for node in read_plan(folder).nodes]


def nodes_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """(data folder, URL) of each node of a network that runs now, by number or in the order of its graph."""
    numbered = (folder / f"node{number}" for number in range(1, _MAX_NODES + 1))
    for each in _planned(folder) if has_plan(folder) else (folder, *numbered):
        url = running_url(each)
        if url is not None:
            yield each, url


def running_url(folder: Path) -> str | None:
    """The URL of the node that runs on a data folder; None where none does."""
    holder = holder_of(folder)
    url = None if holder is None else holder.get("url")
    return url if isinstance(url, str) and url.startswith("http://") else None


def where(folder: Path) -> str:
    """` --data DIR` as it is to be typed for a folder's network, or nothing where commands find it by themselves."""
    from ..devnet.running import network_of

    if network_of(folder) in (Path(DEFAULT_FOLDER).expanduser(), Path.cwd() / _HERE, Path.cwd()):
        return ""
    try:
        shown = folder.relative_to(Path.cwd())
    except ValueError:
        shown = folder
    return f" --data {typed(shown)}"
