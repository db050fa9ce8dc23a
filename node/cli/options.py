"""Options that several commands have, spelled once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

option = partial(click.option, show_envvar=True)
"""Every option of moneyer: its environment variable stands in the help."""

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
PORT = click.IntRange(1, 65535)

data_folder = option("--data", type=FOLDER, required=True, metavar="DIR", help="The node's data folder.")
node_url = option("--node", metavar="URL", default="http://127.0.0.1:5001", show_default=True, help="The node to ask.")
as_json = option("--json", is_flag=True, help="Print JSON, in the API's shape.")


def existing(data: Path) -> Path:
    """The data folder, or a sentence for one that holds no node."""
    if not (data / "coin.toml").is_file():
        raise click.ClickException(f"{data} is no data folder of a node: there is no coin.toml in it")
    return data
