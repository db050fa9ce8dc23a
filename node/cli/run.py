"""`moneyer node` and `moneyer worker`: the two processes of a node. honcho and systemd start these too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.options import FILE, FOLDER, PORT, data_folder, option

if TYPE_CHECKING:
    from node.config import Config


@click.command()
@option("--data", type=FOLDER, required=True, metavar="DIR", help="The data folder; made where there is none.")
@option("--coin", type=FILE, metavar="FILE", help="The coin of a new data folder.")
@option("--port", type=PORT, default=5001, show_default=True)
@option("--host", default="127.0.0.1", show_default=True, metavar="H", help="The address to listen on.")
@option("--peer", multiple=True, metavar="URL", help="A node to know; may be given more than once.")
@option("--manual", is_flag=True, help="Neither push nor pull blocks unless told (/replace_chain).")
@option("--dev", is_flag=True, help="A development network: wallet and mining open, loopback only.")
@option("--allow-host", multiple=True, metavar="H", help="A host name that the node answers to; may be repeated.")
def node(
    data: Path,
    coin: Path | None,
    port: int,
    host: str,
    peer: tuple[str, ...],
    manual: bool,
    dev: bool,
    allow_host: tuple[str, ...],
) -> None:
    """Run one node.

    \b
    moneyer node --data ~/beach --coin beach.toml
    moneyer node --data ~/beach --peer http://192.168.1.20:5001
    moneyer node --data data/node1 --dev          a development coin, made once
    """
    from node.config import Config
    from node.net.devcoin import prepare_folder
    from node.net.launcher import watch_launcher

    watch_launcher()
    config = Config(
        data=data,
        host=host,
        port=port,
        peers=peer,
        manual=manual,
        development=dev,
        allow_hosts=allow_host,
        min_fee=0 if dev else 1,
    )
    _check_reach(config)
    prepare_folder(data, coin, development=dev)
    if not config.coin_file.exists():
        raise click.ClickException(
            f"{data} has no coin yet: name one with --coin FILE, or take the development coin with --dev"
        )
    from node.api.server import serve

    serve(config)


def _check_reach(config: Config) -> None:
    """Whoever reaches a development node can spend its money: that may be this machine only."""
    if config.development and config.host not in ("127.0.0.1", "::1", "localhost"):
        raise click.UsageError(
            f"--dev opens the wallet to whoever reaches the node: it cannot go with --host {config.host}"
        )


@click.command()
@data_folder
@option("--engine", metavar="E", default="auto", show_default=True, help="What hashes.")
@option("--processes", type=click.IntRange(1, 1024), default=1, show_default=True, help="Hashing processes.")
@option("--address", metavar="A", help="Who gets the rewards.  [default: the node's own miner account]")
@option(
    "--mode",
    metavar="M",
    default="demand",
    show_default=True,
    help="demand: mines what is asked for; instant: as soon as a transfer is ready; interval:SECONDS; continuous.",
)
def worker(data: Path, engine: str, processes: int, address: str | None, mode: str) -> int:
    """Run the mining worker of a node on this machine.

    \b
    moneyer worker --data ~/beach --mode continuous
    moneyer worker --data ~/beach --mode interval:5
    """
    from node.net.launcher import watch_launcher

    watch_launcher()
    from worker.config import WorkerConfig
    from worker.supervisor import run

    return run(WorkerConfig(data=data, engine=engine, processes=processes, address=address, mode=mode))
