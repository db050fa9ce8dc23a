"""`moneyer open`: the node's page in a browser, signed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..options import as_json, node_url, option, wallet_folder


@click.command("open")
@option("--print", is_flag=True, help="Print the address, and open nothing.")
@wallet_folder
@node_url
@as_json
def open_(data: Path | None, node: str | None, json: bool, **given: Any) -> None:
    """Open the node's page in a browser, signed in.

    The address holds a code behind its #, for 60 seconds and one use: with it the browser sees the wallet, sends and
    mines. On a development network everybody on this machine may, and no code is needed.

    \b
    moneyer open
    moneyer open --data beach-coin
    moneyer open --print          for a browser of your choice
    """
    from ..browser import open_browser, page_address
    from ..output import print_json
    from ..place import find_place

    address = page_address(find_place(data, node).client)
    if json:
        print_json({"url": address.url, "expires_in": address.expires_in})
        return
    click.echo(address.url)
    if not given["print"] and not open_browser(address.url):
        click.echo("no browser was found here: open this address yourself", err=True)
    elif given["print"] and address.expires_in is not None:
        click.echo(f"it holds for {address.expires_in} seconds, and for one use", err=True)
