"""`moneyer net status` and `moneyer net draw`: how a network stands, as a table, a picture or a page."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...options import FILE, as_json, option
from .net_open import open_network
from .net_place import find_plan, net_folder

if TYPE_CHECKING:
    from ....network_file import NetPlan

_TIP = 10
"""Digits of a tip that are shown."""
_COLOURS = ("green", "yellow", "magenta", "cyan", "blue", "red", "bright_green", "bright_yellow", "bright_magenta")
"""Of tips: the one that most nodes have is green."""
_STATES = {"stopped": "yellow", "killed": "red", "died": "red", "silent": "red", "starting": "yellow"}
_EVERY_SECONDS = 1.0
_LISTED = 8
"""Edges that a line names at most."""


@click.command()
@option("--watch", is_flag=True, help="Show it anew each second, until Ctrl-C.")
@net_folder
@as_json
def status(watch: bool, data: Path | None, json: bool) -> None:
    """Show how a network's nodes and edges stand.

    One colour is one tip. `lag`: blocks that a node is behind the highest. A node is `silent` if it runs and does not
    answer, and `died` if it ended by itself: `moneyer net log NODE` shows why.

    \b
    moneyer net status
    moneyer net status --watch
    moneyer net status --json
    """
    net = open_network(data)
    if not watch:
        _print(net.status(), as_json=json)
        return
    try:
        _watch(net.status, as_json=json)
    except KeyboardInterrupt:
        click.echo()


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    from ...output import print_json

    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(_lines(found)))


def _watch(look: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    """On a terminal in place; else a new table (with `as_json` a line) whenever something has changed."""
    from ...output import terminal_width

    in_place = terminal_width() is not None and not as_json
    drawn: list[str] = []
    while True:
        found = look()
        lines = [json.dumps(found, ensure_ascii=False)] if as_json else _lines(found)
        if in_place:
            lines = on_screen(lines, shutil.get_terminal_size().lines - 1)
            back = f"\x1b[{len(drawn)}A" if drawn else ""
            click.echo(f"{back}\x1b[J" + "\n".join(lines))
        elif lines != drawn:
            click.echo("\n".join(lines if as_json or not drawn else ["", *lines]))
        drawn = lines
        time.sleep(_EVERY_SECONDS)


def on_screen(text: list[str], most: int) -> list[str]:
    """Lines as a terminal of so many shows them, to be drawn anew in place: where they are too many, nodes are left
    out, and what is said of the whole stays. Of `text` some may be several lines, folded to the terminal's width."""
    most, lines = max(3, most), "\n".join(text).split("\n")
    if len(lines) <= most:
        return lines
    end = lines[lines.index("") :][: most - 2]
    rows = most - len(end) - 1
    return [*lines[:rows], f"… and {len(lines) - len(end) - rows} lines more", *end]


def _lines(found: Mapping[str, Any]) -> list[str]:
    from ...output import style, table_lines

    rows = [tuple(_cells(row)) for row in found["nodes"]]
    header = ("node", "state", "height", "tip", "lag", "peers", "mempool", "hash rate", "url")
    lines = table_lines(
        header,
        rows,
        right=("height", "lag", "peers", "mempool", "hash rate"),
        cut=("node",),
        drop=("url", "hash rate", "mempool", "peers"),
    )
    colours = _colours_of(found["nodes"])
    coloured = [lines[0]]
    for line in lines[1:]:
        for text, colour in colours.items():
            line = line.replace(text, style(text, fg=colour))
        for state, colour in _STATES.items():
            line = re.sub(rf"  {state}(?= |$)", f"  {style(state, fg=colour)}", line, count=1)
        coloured.append(line)
    return [*coloured, "", *_summary(found)]


def _cells(row: Mapping[str, Any]) -> Iterator[object]:
    from .....worker.reports import shown_rate

    yield row["name"]
    yield row["state"]
    yield "" if row["height"] is None else row["height"]
    yield "" if row["tip"] is None else row["tip"][:_TIP]
    for key in ("lag", "peers", "mempool"):
        yield "" if row[key] is None else row[key]
    yield shown_rate(row["hashrate"]) if row["hashrate"] else ""
    yield row["url"]


def _colours_of(nodes: list[dict[str, Any]]) -> dict[str, str]:
    """Tip, as it is shown -> its colour: the one that most nodes have first."""
    tips = [row["tip"][:_TIP] for row in nodes if row["tip"] is not None]
    by_count = sorted(set(tips), key=lambda tip: (-tips.count(tip), tips.index(tip)))
    return {tip: _COLOURS[number % len(_COLOURS)] for number, tip in enumerate(by_count)}


def _summary(found: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on the whole: tips, parts, edges that are not as others."""
    from ...output import counted, fitted

    running = sum(row["tip"] is not None for row in found["nodes"])
    if found["tips"] == 1:
        yield fitted(f"one tip at height {found['height']}, on {counted(running, 'node')}")
    elif found["tips"]:
        yield fitted(f"{found['tips']} tips; the highest is at height {found['height']}")
    if len(found["parts"]) > 1:
        yield fitted(f"{len(found['parts'])} parts: {' / '.join(','.join(part) for part in found['parts'])}")
    if found["worker"] == "died":
        yield fitted("nothing mines: the worker has ended; `moneyer net start worker` starts it")
    edges = found["edges"]
    for state, words in (("cut", "cut"), ("waiting", "not linked yet"), ("down", "with an end that does not run")):
        names = [f"{edge['a']}-{edge['b']}" for edge in edges if edge["state"] == state]
        if names:
            yield fitted(f"{len(names)} of {counted(len(edges), 'edge')} {words}: {_some(names)}")
    slow = [f"{edge['a']}-{edge['b']} ({conditions_of(edge)})" for edge in edges if conditions_of(edge)]
    if slow:
        yield fitted(f"slow: {_some(slow)}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def conditions_of(edge: Mapping[str, Any]) -> str:
    """`300 ms, loses 10 %, 1,000 bytes/s`; empty for an edge like any other."""
    told = []
    if edge["latency_ms"]:
        told.append(f"{edge['latency_ms']:g} ms")
    if edge["loss"]:
        told.append(f"loses {100 * edge['loss']:g} %")
    if edge["rate"] is not None:
        told.append(f"{edge['rate']:,} bytes/s")
    return ", ".join(told)


@click.command()
@click.argument("file", metavar="[FILE]", type=FILE, required=False)
@option("--live", is_flag=True, help="Open the page that shows it in a browser, and keeps it true.")
@net_folder
@as_json
def draw(file: Path | None, live: bool, data: Path | None, json: bool) -> None:
    """Draw a network as it stands: a .svg or .png.

    One colour is one tip; cut connections are dashed and red, delays stand beside theirs, and nodes that do not run are
    hollow. PNG is drawn by matplotlib: pip install 'moneyer[plots]'.

    \b
    moneyer net draw ring.svg
    moneyer net draw --live
    """
    if (file is None) != live:
        raise click.UsageError("name a file that ends with .svg or .png, or say --live")
    plan = find_plan(data)
    if file is None:
        _open_page(plan, as_json=json)
        return
    _draw(file, plan, as_json=json)


def _draw(file: Path, plan: NetPlan, *, as_json: bool) -> None:
    from ....devnet.graph.drawing import picture_of_plan, png, svg
    from ....devnet.net.control import NotRunning
    from ....system.files import write_whole
    from ....system.text import shown
    from ...exits import effect
    from ...output import print_json

    kind = file.suffix.lower()
    if kind not in (".svg", ".png"):
        raise click.UsageError(f"{file} must end with .svg or .png")
    try:
        nodes = open_network(plan.data).status()["nodes"]
    except NotRunning:
        nodes = []  # each is drawn as stopped
    picture = picture_of_plan(plan, nodes)
    write_whole(file, svg(picture).encode() if kind == ".svg" else png(picture), mode=0o644)
    effect().done(f"the picture is in {file}")
    if as_json:
        print_json({"file": str(file)})
    else:
        click.echo(f"{shown(plan.graph)} is drawn in {shown(file)}")


def _open_page(plan: NetPlan, *, as_json: bool) -> None:
    from ...browser import open_browser
    from ...output import print_json

    # A node that is stopped or silent has no page; the first that runs shows all of them.
    running = [row["url"] for row in open_network(plan.data).status()["nodes"] if row["state"] == "up"]
    if not running:
        raise click.ClickException("no node of the network answers: `moneyer net start NODE` starts one again")
    url = f"{running[0]}/network"
    if as_json:
        print_json({"url": url})
        return
    click.echo(url)
    if not open_browser(url):
        click.echo("no browser was found here: open this address yourself", err=True)
