"""`python -P -m worker --data DIR`: the mining worker without the rest of the command line.

Without -P it runs too, and imports nothing of its own from the current folder (`worker/__init__.py`), but Python does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ..node.core.errors import MoneyerError
from ..node.system.lifecycle import import_nothing_from_here
from ..node.system.logs import LEVELS
from .config import MAX_PROCESSES, MODES, ON_BATTERY, WorkerConfig, parse_limit


@click.command(context_settings={"auto_envvar_prefix": "MONEYER"})
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the node.")
@click.option("--engine", default="auto", show_default=True, help="What hashes.")
@click.option("--processes", type=click.IntRange(1, MAX_PROCESSES), default=1, show_default=True)
@click.option("--address", help="Who gets the rewards.  [default: the node's own miner account]")
@click.option("--mode", help=f"One of {MODES}.  [default: as it was set last, else demand]")
@click.option("--nice", type=click.IntRange(0, 19), default=0, show_default=True, help="Of the hashing processes.")
@click.option("--limit", default="100%", show_default=True, help="Hash for this share of the time only.")
@click.option("--on-battery", type=click.Choice(ON_BATTERY), default="half", show_default=True)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option("--log-json", is_flag=True, help="Each line of the log a JSON object.")
def main(limit: str, **options: Any) -> None:
    """Run the mining worker of a node on this machine."""
    from .supervisor import run

    import_nothing_from_here()
    try:
        sys.exit(run(WorkerConfig(limit=parse_limit(limit), **options)))
    except MoneyerError as error:
        raise click.ClickException(error.message) from None


if __name__ == "__main__":
    main()
