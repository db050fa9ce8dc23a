"""`moneyer stratum`: anyone's miners, on any machine, mine for a node."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import PORT, FloatRange, IntRange, data_folder, log_json, log_level, option


@click.command()
@data_folder
@option("--port", type=PORT, default=3333, show_default=True)
@option("--host", default="127.0.0.1", show_default=True, metavar="H", help="The address to listen on.")
@option(
    "--difficulty",
    type=FloatRange(2.0**-32, 1e15),
    default=0.01,
    show_default=True,
    help="Of a miner's first shares; it fits itself to each miner then.",
)
@option("--max-connections", type=IntRange(1, 50_000), default=1_000, show_default=True)
@option("--with-node", is_flag=True, help="End when the node ends, instead of waiting for it to come back.")
@log_level
@log_json
def stratum(
    data: Path | None,
    port: int,
    host: str,
    difficulty: float,
    max_connections: int,
    with_node: bool,
    log_level: str,
    log_json: bool,
) -> int:
    """Let SHA-256d miners mine for a node (Stratum v1).

    A miner's user name is who gets the coins: an address or a name of the node's wallet, with .NAME behind it or not.

    \b
    moneyer stratum --data ~/beach
    moneyer stratum --data ~/beach --host 0.0.0.0     for other machines, too
    """
    from node.net.launcher import watch_launcher

    watch_launcher()
    from node.cli.folders import folder_to_be
    from worker.stratum.run import run
    from worker.stratum.server import StratumConfig

    return run(
        StratumConfig(folder_to_be(data), host, port, difficulty, max_connections, with_node, log_level, log_json)
    )
