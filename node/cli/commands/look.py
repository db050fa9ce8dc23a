"""Commands that look at a running node: `status`, `peers`, `mempool`, `block`, `tx`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...system.words import quoted
from ..options import IntRange, as_json, node_url, option, wallet_folder

if TYPE_CHECKING:
    from ..place import Place

_BEGINNING = re.compile(r"([0-9a-f]{4,63})(?:…|\.\.\.)?")
_WHOLE = re.compile(r"[0-9a-f]{64}")
_DEPTH = 1_000
"""The newest transactions of each name, in which a txid is looked for by its first digits."""


@click.command()
@wallet_folder
@node_url
@as_json
def status(data: Path | None, node: str | None, json: bool) -> None:
    """Show how a node stands.

    \b
    moneyer status
    moneyer status --node http://127.0.0.1:5002 --json
    """
    from ..output import print_json, print_pairs

    place = _place(data, node)
    answer = place.client.status()
    if json:
        print_json(answer)
    else:
        print_pairs(_status_rows(place.url, answer))


def _status_rows(url: str, answer: dict[str, Any]) -> list[tuple[str, object]]:
    from ..output import coins, counted, number

    coin, pool, worker = (_part(answer, name) for name in ("coin", "mempool", "worker"))
    symbol, decimals, issued = coin.get("symbol"), coin.get("decimals"), answer.get("issued")
    supply = coins(issued, decimals) if isinstance(issued, int) and isinstance(decimals, int) else "?"
    role = answer.get("role", "all")
    return [
        ("node", url),
        *([("role", role)] if role != "all" else []),
        ("coin", f"{coin.get('name')} ({symbol})"),
        ("chain", answer.get("chain_id")),
        ("height", answer.get("height")),
        ("tip", answer.get("tip")),
        ("difficulty", number(answer.get("difficulty"))),
        ("issued", f"{supply} {symbol}"),
        ("mempool", f"{counted(pool.get('count', 0), 'transfer')}, {counted(pool.get('bytes', 0), 'byte')}"),
        ("peers", _peers(answer)),
        ("worker", _worker(worker)),
        ("syncing", "yes" if answer.get("syncing") else "no"),
        ("version", answer.get("version")),
    ]


def _peers(answer: dict[str, Any]) -> str:
    known, connected = answer.get("peers"), answer.get("peers_connected")
    # A node of an earlier version does not tell how many are connected.
    told = f"{known} known" if connected is None or not known else f"{connected} of {known} connected"
    if answer.get("speaks_to_peers", True):
        return told
    if (speaker := answer.get("speaker")) is None:
        return f"{told}; no node on this database speaks to other nodes now"
    return f"{told}; the node at {speaker} speaks to other nodes, in place of this one"


def _worker(worker: dict[str, Any]) -> str:
    if not worker.get("alive"):
        return "none is running"
    from ....worker.reports import shown_rate
    from ..output import activity

    return f"{worker.get('engine')}, {activity(worker, shown_rate)}"


@click.command()
@option("--add", metavar="URL", help="Connect a node; it must run the same coin.")
@option("--remove", metavar="HOST:PORT", help="Forget a node.")
@wallet_folder
@node_url
@as_json
def peers(add: str | None, remove: str | None, data: Path | None, node: str | None, json: bool) -> None:
    """Show the nodes that a node knows.

    \b
    moneyer peers
    moneyer peers --add http://192.168.1.20:5001
    moneyer peers --remove 192.168.1.20:5001
    """
    from urllib.parse import quote

    from ..exits import effect
    from ..output import ago, print_json, print_table

    place = _place(data, node)
    client, ended, look = place.client, effect(), "`moneyer peers` shows those that the node knows"
    if add is not None:
        with ended.asking(f"{add} was connected", look):
            client.post("/v1/peers", {"url": add}, deadline=30)
    if remove is not None:
        with ended.asking(f"{remove} was forgotten", look):
            client.delete(f"/v1/peers/{quote(remove, safe=':')}")
    known = client.peers()
    if json:
        print_json({"peers": known})
        return
    if not known:
        click.echo("this node knows no other: `moneyer peers --add URL` connects one")
        return
    rows = [
        (
            each["url"],
            each["state"],
            each["height"],
            "" if each["latency_ms"] is None else f"{each['latency_ms']} ms",
            each["score"],
            "" if each["last_seen"] is None else ago(each["last_seen"]),
            each["agent"],
        )
        for each in known
    ]
    header = ("url", "state", "height", "latency", "score", "last seen", "agent")
    print_table(
        header,
        rows,
        right=("height", "latency", "score"),
        cut=("agent",),
        drop=("agent", "score", "latency", "last seen"),
    )


@click.command()
@option("--limit", type=IntRange(1, 1000), default=20, show_default=True, help="Transfers at most.")
@wallet_folder
@node_url
@as_json
def mempool(limit: int, data: Path | None, node: str | None, json: bool) -> None:
    """Show what waits for a block.

    By fee per byte, highest first: the order in which blocks take it.

    \b
    moneyer mempool
    moneyer mempool --limit 1000 --json
    """
    from ..output import coins, print_json, print_table, short
    from ..spending.asset_book import AssetBook, with_assets

    place = _place(data, node)
    pool = place.client.mempool(limit)
    if json:
        print_json(pool)
        return
    if not pool["count"]:
        click.echo("nothing waits for a block")
        return
    decimals = place.coin.decimals
    rows = [
        (
            short(place.name_of(each["sender"]), 20),
            _receiver(place, each),
            amount,
            coins(each["fee"], decimals),
            each["status"],
            short(each["memo"] or "", 40),
            short(each["txid"]),
        )
        for each, amount in AssetBook(place).columns(pool["transactions"])
    ]
    header = ("from", "to", place.coin.symbol, "fee", "status", "memo", "txid")
    right, cut = (place.coin.symbol, "fee"), ("from", "to", "memo", "txid")
    print_table(*with_assets(header, rows, 2), right=right, cut=cut, drop=("memo", "status", "fee"))
    if pool["count"] > len(rows):
        click.echo(f"… and {pool['count'] - len(rows)} more")


@click.command()
@click.argument("block_id", metavar="ID")
@wallet_folder
@node_url
@as_json
def block(block_id: str, data: Path | None, node: str | None, json: bool) -> None:
    """Show a block.

    ID is its height, its hash, or `tip`.

    \b
    moneyer block tip
    moneyer block 12 --json
    """
    from ..output import coins, confirmations, counted, moment, print_json, print_pairs, print_table, short
    from ..spending.asset_book import AssetBook, with_assets

    place = _place(data, node)
    found = place.client.block(place.client.status()["tip"] if block_id == "tip" else block_id)
    if json:
        print_json(found)
        return
    decimals, symbol = place.coin.decimals, place.coin.symbol
    where = "main chain" if found["main_chain"] else "side branch"
    print_pairs(
        [
            ("hash", found["hash"]),
            ("height", f"{found['height']} ({where}, {confirmations(found['confirmations'])})"),
            ("time", moment(found["timestamp"])),
            ("before it", found["prev_hash"]),
            ("mined by", place.name_of(found["miner"])),
            ("reward", f"{coins(found['reward'], decimals, symbol)}, of it fees {coins(found['fees'], decimals)}"),
            ("bits", f"{found['bits']}, nonce {found['nonce']}"),
            ("size", f"{counted(found['size'], 'byte')}, {counted(found['tx_count'], 'transaction')}"),
        ]
    )
    rows = [
        (
            "reward" if each["sender"] is None else short(place.name_of(each["sender"]), 20),
            _receiver(place, each),
            amount,
            coins(each["fee"], decimals),
            short(each["memo"] or "", 40),
            short(each["txid"]),
        )
        for each, amount in AssetBook(place).columns(found["transactions"])
    ]
    click.echo()
    header = ("from", "to", symbol, "fee", "memo", "txid")
    print_table(
        *with_assets(header, rows, 2), right=(symbol, "fee"), cut=("from", "to", "memo", "txid"), drop=("memo", "fee")
    )


@click.command()
@click.argument("txid")
@wallet_folder
@node_url
@as_json
def tx(txid: str, data: Path | None, node: str | None, json: bool) -> None:
    """Show a transaction.

    TXID: its first digits are enough for what waits, and for what a name of your wallet or a contact sent or got.

    \b
    moneyer tx 3a38be91f2
    """
    from ..output import coins, confirmations, moment, print_json, print_pairs
    from ..spending.asset_book import AssetBook, asset_of

    place = _place(data, node)
    found = place.client.transaction(_whole_txid(place, txid))
    if json:
        print_json(found)
        return
    decimals, symbol = place.coin.decimals, place.coin.symbol
    rows: list[tuple[str, object]] = [("txid", found["txid"])]
    if found["height"] is None:
        rows.append(("status", f"{found['status']}: in no block yet"))
    else:
        rows.append(("status", f"{found['status']}, {confirmations(found['confirmations'])}"))
        rows.append(("block", f"{found['height']}, {moment(found.get('timestamp'))}"))
        rows.append(("block hash", found["block_hash"]))
    rows.append(("from", "block reward" if found["sender"] is None else place.name_of(found["sender"])))
    rows.append(("to", "nobody: burned" if found["kind"] == "burn" else place.name_of(found["receiver"])))
    rows.append(("amount", AssetBook(place).moved(found, symbol=True)))
    if (asset := asset_of(found)) is not None:
        rows.append(("asset", asset))
    if found["kind"] == "issue":
        rows += _terms(found)
    if found["kind"] != "coinbase":
        rows.append(("fee", coins(found["fee"], decimals, symbol)))
        rows.append(("sequence", found["sequence"]))
        rows.append(("memo", found["memo"] or ""))
    print_pairs(rows)


def _receiver(place: Place, each: dict[str, Any]) -> str:
    """Who gets what a transaction moves, in a table."""
    from ..output import short

    return "burned" if each["kind"] == "burn" else short(place.name_of(each["receiver"]), 20)


def _terms(issue: dict[str, Any]) -> list[tuple[str, object]]:
    """The terms of an asset, of the transaction that issued it."""
    from ..output import coins

    content = str(issue["content"])
    return [
        ("symbol", f"{issue['symbol']} (others may have the same: the id tells)"),
        ("name", issue["name"]),
        ("at most", coins(int(issue["max_supply"]), int(issue["decimals"]), str(issue["symbol"]))),
        ("content", content if content.strip("0") else "none"),
    ]


def _whole_txid(place: Place, text: str) -> str:
    """Expands an abbreviated txid, by the mempool and the transactions of the wallet's names and contacts.

    A whole txid is returned as it is. Raises ClickException where none or several begin with `text`, UsageError where
    no txid can.
    """
    match = _BEGINNING.fullmatch(text.lower())
    if match is None:
        if not _WHOLE.fullmatch(text.lower()):
            raise click.UsageError(
                f"{quoted(text)} is no txid: one has 64 digits of 0-9 and a-f, of which the first 4 may do"
            )
        return text
    found = sorted({txid for txid in _known(place) if txid.startswith(match[1])})
    if not found:
        raise click.ClickException(
            f"nothing that waits, and nothing that your names sent or got lately, begins with {match[1]}: give all 64 "
            "digits of the txid"
        )
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} begin with {match[1]}: give more digits. One is {found[0]}")
    return found[0]


def _known(place: Place) -> Iterator[str]:
    client, coin = place.client, place.coin
    yield from (each["txid"] for each in client.mempool()["transactions"])
    names = place.wallet.names.values() if place.wallet is not None else ()
    for address in (*map(coin.address, names), *place.contacts.values()):
        yield from (each["txid"] for each in islice(client.history(address, _DEPTH), _DEPTH))


def _place(data: Path | None, node: str | None) -> Place:
    from ..place import find_place

    return find_place(data, node)


def _part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
