"""`moneyer mining`: when the workers mine, and how fast everybody does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.options import as_json, node_url, option, usage, wallet_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.cli.place import Place


@click.command()
@click.argument("mode", required=False)
@option("--all", is_flag=True, help="All nodes of the network in the data folder.")
@wallet_folder
@node_url
@as_json
def mining(mode: str | None, all: bool, data: Path | None, node: str | None, json: bool) -> None:
    """Show or switch when a node's worker mines.

    MODE: demand (only what is asked for), instant (as soon as a transfer waits), interval:SECONDS, or continuous. It
    counts at once and after a restart, until a worker is started with a --mode of its own.

    \b
    moneyer mining
    moneyer mining continuous
    moneyer mining interval:5 --all
    """
    from node.cli.exits import outcome
    from node.cli.output import counted, print_json
    from worker.config import parse_mode

    if mode is not None:
        # Its words are kinder than those of the node, which takes one spelling.
        mode = str(usage(parse_mode, mode)).replace(" ", ":")
    if all and node is not None:
        raise click.UsageError("--all means every node of a data folder: leave out --node")
    answers = {}
    for place in _places(data, node, everyone=all):
        answers[place.url] = place.client.get("/v1/mining") if mode is None else _switch(place, mode)
    if all and mode is not None:
        look = "`moneyer mining --all` shows the modes that count"
        outcome().done(f"The mode of {counted(len(answers), 'node')} was switched: {look}")
    if json:
        print_json(answers if all else next(iter(answers.values())))
        return
    for number, (url, answer) in enumerate(answers.items()):
        if number:
            click.echo()
        _show(url, answer)


def _switch(place: Place, mode: str) -> Any:
    from node.advice import typed
    from node.cli.exits import outcome

    look = f"`moneyer mining --node {typed(place.url)}` shows the mode that counts"
    with outcome().asking(f"The mode of {place.url} was switched", look):
        return place.client.post("/v1/mining", {"mode": mode})


def _places(data: Path | None, node: str | None, *, everyone: bool) -> Iterator[Place]:
    from node.advice import start_node
    from node.cli.folders import nodes_of
    from node.cli.place import Place, find_place
    from node.net.running import network_of

    if not everyone:
        yield find_place(data, node)
        return
    folder = network_of(find_place(data, None).wallet_path().parent)
    found = False
    for each, url in nodes_of(folder):
        found = True
        yield Place(each, url)
    if not found:
        raise click.ClickException(f"no node of {folder} runs: `{start_node(folder)}` starts its network")


def _show(url: str, answer: dict[str, Any]) -> None:
    from node.cli.output import counted, moment, print_pairs, print_table

    worker, stratum = answer["worker"], answer["stratum"]
    rows = [("node", url), ("mode", answer["mode"].replace(" ", ":")), ("worker", _worker(worker))]
    if worker["alive"]:
        rows.append(("found", f"{counted(worker['blocks'], 'block')}, {worker['stale']} came too late"))
    if stratum is not None:
        rows.append(
            (
                "stratum",
                f"port {stratum['port']}: {counted(stratum['connections'], 'miner')}, {_rate(stratum['hashrate'])}, "
                f"{counted(stratum['accepted'], 'share')}, {counted(stratum['blocks'], 'block')}",
            )
        )
    print_pairs(rows)
    if stratum is not None and stratum["miners"]:
        click.echo()
        print_table(
            ("miner", "hash rate", "shares", "stale", "refused", "blocks", "last share"),
            [
                (
                    each["name"],
                    _rate(each["hashrate"]),
                    each["accepted"],
                    each["stale"],
                    each["duplicate"] + each["low_difficulty"],
                    each["blocks"],
                    moment(each["last_share"]),
                )
                for each in stratum["miners"]
            ],
            right=("hash rate", "shares", "stale", "refused", "blocks"),
            cut=("miner",),
            drop=("last share", "refused", "stale"),
        )


def _worker(worker: dict[str, Any]) -> str:
    if not worker["alive"]:
        return "none is running"
    from node.cli.output import activity

    share = "" if worker["share"] == 1 else f", {worker['share']:.0%} of the time"
    return f"{worker['engine']}, hashing processes: {worker['processes']}, {activity(worker, _rate)}{share}"


def _rate(hashes: float) -> str:
    from worker.log import shown_rate

    return shown_rate(hashes)
