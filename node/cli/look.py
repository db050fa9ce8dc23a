"""Commands that look at a running node: `status`."""

from __future__ import annotations

from json import dumps
from typing import Any

import click

from node.cli.options import as_json, node_url


@click.command()
@node_url
@as_json
def status(node: str, json: bool) -> None:
    """Show how a node stands.

    \b
    moneyer status
    moneyer status --node http://127.0.0.1:5002 --json
    """
    from node.client import Client

    answer = Client(node).status()
    if json:
        click.echo(dumps(answer, indent=2, ensure_ascii=False))
    else:
        _table(node, answer)


def _table(url: str, answer: dict[str, Any]) -> None:
    from node.core.money import format_amount

    coin, pool, worker = (_part(answer, name) for name in ("coin", "mempool", "worker"))
    symbol, decimals, issued = coin.get("symbol"), coin.get("decimals"), answer.get("issued")
    supply = format_amount(issued, decimals) if isinstance(issued, int) and isinstance(decimals, int) else "?"
    rows = {
        "node": url,
        "coin": f"{coin.get('name')} ({symbol})",
        "height": answer.get("height"),
        "tip": answer.get("tip"),
        "difficulty": answer.get("difficulty"),
        "issued": f"{supply} {symbol}",
        "mempool": f"{pool.get('count')} transfers, {pool.get('bytes')} bytes",
        "peers": answer.get("peers"),
        "worker": _worker(worker),
        "syncing": "yes" if answer.get("syncing") else "no",
        "version": answer.get("version"),
    }
    for name, value in rows.items():
        click.echo(f"{name:<12}{value}")


def _worker(worker: dict[str, Any]) -> str:
    if not worker.get("alive"):
        return "none is running"
    rate = worker.get("hashrate")
    return f"{worker.get('engine')}, {f'{rate:,.0f} hashes/s' if rate else 'waiting for work'}"


def _part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
