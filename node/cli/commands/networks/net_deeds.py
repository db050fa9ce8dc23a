"""`net mine`, `net send`, `net hashrate`: what the nodes of a network are asked to do."""

from __future__ import annotations

from pathlib import Path

import click

from ....core.errors import MoneyerError
from ....system.words import quoted
from ...options import IntRange, as_json, option
from .net_cuts import measured
from .net_open import open_network
from .net_place import complete_nodes, net_folder

_MOST_BLOCKS = 10_000
_MOST_HASHES = 10**12
_RATES = {"": 1, "h/s": 1, "kh/s": 10**3, "mh/s": 10**6, "gh/s": 10**9}
_A_RATE = "hashes a second, such as 5000 or 2kH/s, up to 1000GH/s"


@click.command()
@click.argument("node", metavar="NODE", shell_complete=complete_nodes)
@click.argument("blocks", type=IntRange(1, _MOST_BLOCKS), default=1, metavar="[N]")
@option("--to", metavar="WHO", help="Who gets the rewards: a name of its wallet, or an address.  [default: its miner]")
@option("--timeout", type=IntRange(1, 86_400), default=120, show_default=True, help="Seconds to wait.")
@net_folder
@as_json
def mine(node: str, blocks: int, to: str | None, timeout: int, data: Path | None, json: bool) -> None:
    """Mine blocks on a node of a network, at once.

    \b
    moneyer net mine 1
    moneyer net mine 1 3 --to alice
    """
    from ....devnet.live.errors import NotInTime, NotMined
    from ...exits import UNCONFIRMED, Ended, effect
    from ...output import print_json

    handle = open_network(data)[node]
    goes_on = f"Node {handle.name} keeps the job, and goes on with it: `moneyer net status` shows its height"
    effect().done(goes_on)
    try:
        found = handle.mine(blocks, to=to, timeout=timeout)
    except NotInTime as error:
        raise Ended(f"{error.message}. {goes_on}", UNCONFIRMED) from None
    except NotMined as error:
        if error.details["mined"]:
            raise Ended(error.message, UNCONFIRMED) from None
        effect().nothing()
        raise
    except MoneyerError:
        effect().nothing()
        raise
    effect().done(f"{len(found)} blocks were mined: `moneyer net status` shows the height")
    height = handle.height
    if json:
        print_json({"node": handle.name, "height": height, "blocks": found})
        return
    for block_hash in found:
        click.echo(f"mined {block_hash[:16]}…")
    click.echo(f"node {handle.name} is at height {height}")


@click.command()
@click.argument("sender", metavar="FROM")
@click.argument("receiver", metavar="TO")
@click.argument("amount")
@option("--at", metavar="NODE", shell_complete=complete_nodes, help="Which node gets it.  [default: the first]")
@option("--fee", metavar="COINS", help="What the miner gets.  [default: what gets it into the next block]")
@option("--memo", default="", metavar="TEXT", help="A line for all to read, at most 140 bytes.")
@net_folder
@as_json
def send(
    sender: str,
    receiver: str,
    amount: str,
    at: str | None,
    fee: str | None,
    memo: str,
    data: Path | None,
    json: bool,
) -> None:
    """Send coins by a node of a network.

    FROM is a name of that node's wallet (alice, bob, carol, dave, erin, faucet, miner), TO a name or an address.

    \b
    moneyer net send alice bob 2.5
    moneyer net send alice bob 2.5 --at 4
    """
    from ....client.errors import Unanswered
    from ...exits import UNKNOWN, Ended, effect
    from ...output import print_json

    net = open_network(data)
    handle = net.chosen(at)
    try:
        sent = handle.send(sender, receiver, amount, fee=fee, memo=memo)
    except Unanswered as error:
        raise Ended(error.message, UNKNOWN) from None
    effect().done(f"Transfer {sent.txid} was accepted by node {handle.name}")
    if json:
        print_json({"node": handle.name, "txid": sent.txid, "status": sent.status})
    else:
        click.echo(f"node {handle.name} took {sent.txid[:16]}… ({sent.status})")


@click.command()
@click.argument("node", metavar="NODE", shell_complete=complete_nodes)
@click.argument("hashes", metavar="HASHES")
@net_folder
@as_json
def hashrate(node: str, hashes: str, data: Path | None, json: bool) -> None:
    """Set how many hashes a second a node of a network spends.

    HASHES a second: 5000, 2kH/s, 1MH/s. 0 ends its mining. The network's worker follows within a second or two.

    \b
    moneyer net hashrate 1 5000
    moneyer net hashrate 1 2kH/s
    """
    from ...exits import effect
    from ...output import print_json

    rate = measured(hashes, _RATES, _A_RATE)
    if rate > _MOST_HASHES:
        raise click.UsageError(f"{quoted(hashes)} is too much: give {_A_RATE}")
    net = open_network(data)
    before = net.hashrate(node, rate)
    effect().done("The hash rate was set: `moneyer net status` shows what the worker measures")
    if json:
        print_json({"node": node, "before": before, "hashes": rate})
        return
    click.echo(f"node {node}: {before:,.0f} → {rate:,.0f} hashes a second")
