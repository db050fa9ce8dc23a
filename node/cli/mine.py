"""`moneyer mine`: blocks now, whatever the worker's mode."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.exits import REFUSED, UNCONFIRMED, Ended, outcome
from node.cli.options import IntRange, as_json, complete_names, node_url, option, wallet_folder
from node.client.errors import ClientError

if TYPE_CHECKING:
    from node.cli.place import Place

MAX_BLOCKS = 100_000
_LOOK_SECONDS = 0.2


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
    from node.advice import typed
    from node.cli.idle import mining_of
    from node.cli.output import counted
    from node.cli.place import find_place

    place = find_place(data, node)
    body: dict[str, Any] = {"blocks": blocks}
    if to is not None:
        body["address"] = place.coin.address(place.payload(to))
    if not mining_of(place, timeout)["worker"]["alive"]:
        raise click.ClickException(_no_worker(place))
    with outcome().asking("The node mines", f"`moneyer status --node {typed(place.url)}` shows the height"):
        job = place.client.post("/v1/mine", body)
    stands = f"The node keeps the job and goes on with it: {place.url}/v1/jobs/{job['job']} shows it"
    outcome().is_now(UNCONFIRMED, stands)
    trouble = ""
    try:
        _follow(place, job, time.monotonic() + timeout, quiet=json)
    except KeyboardInterrupt:
        trouble = "stopped"
    except ClientError as error:
        trouble = error.message.rstrip(".")
    if json and (job["state"] != "failed" or job["mined"]):
        from node.cli.output import print_json

        print_json(job)
    if job["state"] == "failed":
        # What was mined before stands: that is not "nothing happened".
        status = UNCONFIRMED if job["mined"] else REFUSED
        raise Ended(f"the job ended after {job['mined']} of {blocks} blocks: {job['message']}", status)
    if job["state"] != "done":
        mined = f"{job['mined']} of {counted(blocks, 'block')} mined"
        raise Ended(f"{trouble or f'after {timeout} s'}: {mined}. {stands}", UNCONFIRMED)


def _no_worker(place: Place) -> str:
    from node.cli.folders import where

    start = f"`moneyer worker{where(place.folder) if place.folder else ' --data DIR'}`"
    return f"no worker mines for the node at {place.url}: start one with {start} in another terminal"


def _follow(place: Place, job: dict[str, Any], end: float, *, quiet: bool) -> None:
    """Keep `job` up to date until it is over, or `end` (monotonic seconds) has come; a line for each block seen."""
    from node.cli.output import style

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
