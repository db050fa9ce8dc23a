"""Commands that stand alone: `moneyer token`, `moneyer bench` and `moneyer completion`."""

from __future__ import annotations

from pathlib import Path

import click

from ....worker.config import MAX_PROCESSES
from ..options import FloatRange, IntRange, as_json, option, wallet_folder

SHELLS = ("bash", "zsh", "fish")


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
    from ...system.api_token import ensure_token, read_token, renew_token
    from ..exits import effect
    from ..output import print_json
    from ..place import find_place

    folder = find_place(data, None).wallet_path().parent
    if not (folder / "coin.toml").is_file():
        raise click.ClickException(f"{folder} is no data folder of a node: there is no coin.toml in it")
    path = folder / "api.token"
    if renew:
        held = renew_token(path)
        effect().done("The token was renewed: `moneyer token` shows it")
        click.echo(f"the old token of {folder} is refused from now on", err=True)
    else:
        held = read_token(path) or ensure_token(path)
    if json:
        print_json({"token": held, "file": str(path)})
    else:
        click.echo(held)


@click.group()
def bench() -> None:
    """Measure what this machine can do."""


@bench.command()
@option("--seconds", type=FloatRange(0.1, 60), default=2.0, show_default=True, help="Of each measurement.")
@option("--processes", type=IntRange(1, MAX_PROCESSES), help="Hashing processes.  [default: one a core]")
@as_json
def mine(seconds: float, processes: int | None, json: bool) -> None:
    """Hash rates of the engines: of one core, and of all.

    \b
    moneyer bench mine
    moneyer bench mine --seconds 10 --processes 4
    """
    from dataclasses import asdict

    from ....worker.bench import bench_engines
    from ....worker.engines.code_cache import of_this_user
    from ....worker.reports import shown_rate
    from ..output import print_json, print_table

    rows = bench_engines(seconds, of_this_user(), processes, lambda said: click.echo(f"{said} …", err=True))
    if json:
        print_json({"engines": [asdict(row) for row in rows]})
        return
    count = max((row.processes for row in rows), default=0)
    table = [
        (
            row.engine,
            row.self_test,
            "" if row.one_core is None else shown_rate(row.one_core),
            "" if row.all_cores is None else shown_rate(row.all_cores),
            f"{row.all_cores / row.one_core:.2f} ×" if row.one_core and row.all_cores else "",
        )
        for row in rows
    ]
    header = ("engine", "self-test", "one process", "1 process" if count == 1 else f"{count} processes", "ratio")
    print_table(header, table, right=header[2:], drop=("ratio",))
    for note in filter(None, (row.note for row in rows)):
        click.echo(f"\n{note}.")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes commands in your shell.

    \b
    moneyer completion bash > ~/.local/share/bash-completion/completions/moneyer
    moneyer completion zsh > "${fpath[1]}/_moneyer"
    moneyer completion fish > ~/.config/fish/completions/moneyer.fish
    """
    from click.shell_completion import get_completion_class

    from ..main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(cli, {}, "moneyer", "_MONEYER_COMPLETE").source())
