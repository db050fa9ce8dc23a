"""`moneyer mine` asks a worker for blocks now; `moneyer mining` shows or switches when it mines by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...client.errors import ClientError
from ..exits import REFUSED, UNCONFIRMED, Ended, effect
from ..options import IntRange, as_json, node_url, option, usage, wallet_folder
from ..place import complete_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..place import Place

MAX_BLOCKS = 100_000
"""Blocks of one job, as the API has it."""
_LOOK_SECONDS = 0.2
"""Seconds between two looks at the job."""


@click.command()
@click.argument("blocks", type=IntRange(1, MAX_BLOCKS), default=1, metavar="[N]")
@option("--to", metavar="WHO", shell_complete=complete_names, help="Who gets the rewards.  [default: the worker's own]")
@option("--timeout", type=IntRange(1, 86_400), default=600, show_default=True, help="Seconds to wait.")
@wallet_folder
@node_url
@as_json
def mine(blocks: int, to: str | None, timeout: int, data: Path | None, node: str | None, json: bool) -> None:
    """Mine blocks now.

    N blocks, one without a number, by the worker of the node, in whatever mode it is. The node keeps the job: it goes
    on when this command ends, and after a restart.

    \b
    moneyer mine
    moneyer mine 3 --to alice
    """
    from ...system.advice import typed
    from ..output import counted
    from ..place import find_place
    from ..waiting import mining_of

    place = find_place(data, node)
    body: dict[str, Any] = {"blocks": blocks}
    if to is not None:
        body["address"] = place.coin.address(place.payload(to))
    if not mining_of(place, timeout)["worker"]["alive"]:
        raise click.ClickException(_no_worker(place))
    with effect().asking("The node mines", f"`moneyer status --node {typed(place.url)}` shows the height"):
        job = place.client.post("/v1/mine", body)
    stands = f"The node keeps the job and goes on with it: {place.url}/v1/jobs/{job['job']} shows it"
    effect().is_now(UNCONFIRMED, stands)
    trouble = ""
    try:
        _follow(place, job, time.monotonic() + timeout, quiet=json)
    except KeyboardInterrupt:
        trouble = "stopped"
    except ClientError as error:
        trouble = error.message.rstrip(".")
    if json and (job["state"] != "failed" or job["mined"]):
        from ..output import print_json

        print_json(job)
    if job["state"] == "failed":
        # What was mined before stands: that is not "nothing happened".
        status = UNCONFIRMED if job["mined"] else REFUSED
        raise Ended(f"the job ended after {job['mined']} of {blocks} blocks: {job['message']}", status)
    if job["state"] != "done":
        mined = f"{job['mined']} of {counted(blocks, 'block')} mined"
        raise Ended(f"{trouble or f'after {timeout} s'}: {mined}. {stands}", UNCONFIRMED)


def _no_worker(place: Place) -> str:
    from ..place import how_to_mine

    start = how_to_mine(place.folder)
    return f"no worker mines for the node at {place.url}: start one with `{start}` in another terminal"


def _follow(place: Place, job: dict[str, Any], end: float, *, quiet: bool) -> None:
    """Keep `job` up to date until it is over, or `end` (monotonic seconds) has come; a line for each block seen."""
    from ..output import style

    told = 0
    while True:
        mined = int(job["mined"])
        if mined > told and not quiet:
            block = place.client.block(str(job["last_hash"]))
            which = style(f"block {block['height']}", fg="green")
            count = "" if job["wanted"] == 1 else f", {mined} of {job['wanted']}"
            click.echo(f"mined {which} ({str(block['hash'])[:16]}…){count}")
        told = mined
        if job["state"] != "open" or time.monotonic() >= end:
            return
        time.sleep(_LOOK_SECONDS)
        job.update(place.client.get(f"/v1/jobs/{job['job']}"))


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
    from ...store.mining import parse_mode
    from ..exits import effect
    from ..output import counted, print_json

    if mode is not None:
        # Here for its sentences: the node takes one spelling only.
        mode = str(usage(parse_mode, mode)).replace(" ", ":")
    if all and node is not None:
        raise click.UsageError("--all means every node of a data folder: leave out --node")
    answers = {}
    for place in _places(data, node, everyone=all):
        answers[place.url] = place.client.get("/v1/mining") if mode is None else _switch(place, mode)
    if all and mode is not None:
        look = "`moneyer mining --all` shows the modes that count"
        effect().done(f"The mode of {counted(len(answers), 'node')} was switched: {look}")
    if json:
        print_json(answers if all else next(iter(answers.values())))
        return
    for number, (url, answer) in enumerate(answers.items()):
        if number:
            click.echo()
        _show(url, answer)


def _switch(place: Place, mode: str) -> Any:
    from ...system.advice import typed
    from ..exits import effect

    look = f"`moneyer mining --node {typed(place.url)}` shows the mode that counts"
    with effect().asking(f"The mode of {place.url} was switched", look):
        return place.client.post("/v1/mining", {"mode": mode})


def _places(data: Path | None, node: str | None, *, everyone: bool) -> Iterator[Place]:
    """The node that is meant, or every node of its network that runs. Raises ClickException where none does."""
    from ...devnet.running import network_of
    from ..folders import nodes_of
    from ..place import Place, find_place, how_to_start

    if not everyone:
        yield find_place(data, node)
        return
    folder = network_of(find_place(data, None).wallet_path().parent)
    found = False
    for each, url in nodes_of(folder):
        found = True
        yield Place(each, url)
    if not found:
        raise click.ClickException(f"no node of {folder} runs: `{how_to_start(folder)}` starts its network")


def _show(url: str, answer: dict[str, Any]) -> None:
    from ..output import counted, moment, print_pairs, print_table

    worker, stratum = answer["worker"], answer["stratum"]
    rows = [("node", url), ("mode", answer["mode"].replace(" ", ":")), ("worker", _worker(worker))]
    if worker["count"] > 1:
        rows.insert(2, ("workers", f"{worker['count']}, on the node's database; what follows is the sum"))
    if worker["alive"]:
        rows.append(("found", f"{counted(worker['blocks'], 'block')}, {worker['stale']} came too late"))
    if stratum is not None:
        rows.append(
            (
                "stratum",
                f"{_servers(stratum)}: {counted(stratum['connections'], 'miner')}, {_rate(stratum['hashrate'])}, "
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


def _servers(stratum: dict[str, Any]) -> str:
    return f"{stratum['servers']} servers" if stratum["servers"] > 1 else f"port {stratum['port']}"


def _worker(worker: dict[str, Any]) -> str:
    if not worker["alive"]:
        return "none is running"
    from ..output import activity

    share = "" if worker["share"] == 1 else f", {worker['share']:.0%} of the time"
    return f"{worker['engine']}, hashing processes: {worker['processes']}, {activity(worker, _rate)}{share}"


def _rate(hashes: float) -> str:
    from ....worker.reports import shown_rate

    return shown_rate(hashes)
