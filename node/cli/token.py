"""`moneyer token`: what programs show to a node to spend from its wallet, mine, or change its peers."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import as_json, option, wallet_folder


@click.command()
@wallet_folder
@option("--renew", is_flag=True, help="Make a new one: the old one is refused from now on.")
@as_json
def token(data: Path | None, renew: bool, json: bool) -> None:
    """Show or renew the token of a node.

    Whoever has it can spend from the node's wallet, mine, and change its peers. It stands in DATA/api.token.

    \b
    moneyer token --data beach-coin
    moneyer token --data beach-coin --renew
    curl -H "Authorization: Bearer $(moneyer token)" localhost:5001/mine_block
    """
    from node.api.guard import ensure_token, read_token, renew_token
    from node.cli.exits import outcome
    from node.cli.output import print_json
    from node.cli.place import find_place

    folder = find_place(data, None).wallet_path().parent
    if not (folder / "coin.toml").is_file():
        raise click.ClickException(f"{folder} is no data folder of a node: there is no coin.toml in it")
    path = folder / "api.token"
    if renew:
        held = renew_token(path)
        outcome().done("The token was renewed: `moneyer token` shows it")
        click.echo(f"the old token of {folder} is refused from now on", err=True)
    else:
        held = read_token(path) or ensure_token(path)
    if json:
        print_json({"token": held, "file": str(path)})
    else:
        click.echo(held)
