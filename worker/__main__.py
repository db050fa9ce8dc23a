"""`python -m worker --data DIR`: the mining worker without the rest of the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from node.logs import LEVELS
from worker.config import MAX_PROCESSES, MODES, WorkerConfig


@click.command(context_settings={"auto_envvar_prefix": "MONEYER"})
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the node.")
@click.option("--engine", default="auto", show_default=True, help="What hashes.")
@click.option("--processes", type=click.IntRange(1, MAX_PROCESSES), default=1, show_default=True)
@click.option("--address", help="Who gets the rewards.  [default: the node's own miner account]")
@click.option("--mode", default="demand", show_default=True, help=f"One of {MODES}.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option("--log-json", is_flag=True, help="Each line of the log a JSON object.")
def main(
    data: Path, engine: str, processes: int, address: str | None, mode: str, log_level: str, log_json: bool
) -> None:
    """Run the mining worker of a node on this machine."""
    from worker.supervisor import run

    sys.exit(run(WorkerConfig(data, engine, processes, address, mode, log_level, log_json)))


if __name__ == "__main__":
    main()
