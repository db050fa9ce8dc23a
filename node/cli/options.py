"""Options that several commands have, spelled once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from ..config import DATABASE_VARIABLE, NO_FOLDER
from ..core.errors import MoneyerError

T = TypeVar("T")

option = partial(click.option, show_envvar=True)
"""Every option of moneyer: its environment variable stands in the help."""


class IntRange(click.IntRange):
    """A whole number within bounds, which stand in words in the help and where a number is outside of them."""

    name = "number"

    def _describe_range(self) -> str:
        return _bounds(self.min, self.max)


class FloatRange(click.FloatRange):
    """A number within bounds; see IntRange."""

    name = "number"

    def _describe_range(self) -> str:
        return _bounds(self.min, self.max)


def _bounds(least: float | None, most: float | None) -> str:
    """click's own are `1<=x<=65535`."""
    if most is None:
        return f"{bound(least or 0)} or more"
    return f"{bound(most)} at most" if least is None else f"{bound(least)} to {bound(most)}"


def bound(value: float) -> str:
    """As a person would write it: 65535, 0.1, 2^-32, 10^15."""
    if isinstance(value, int):
        return str(value)
    for base in (10, 2):
        exponent = round(math.log(value, base))
        if abs(exponent) > 12 and value == float(base) ** exponent:
            return f"{base}^{exponent}"
    return f"{value:g}"


FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
PORT = IntRange(1, 65535)

data_folder = option(
    "--data",
    type=FOLDER,
    envvar="MONEYER_DATA",
    metavar="DIR",
    help="The node's data folder.  [default: this folder, else that of your network that runs]",
)


def server_url(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """For options that take a URL of a server's database: what is none is refused before anything begins."""
    from ..store.opening.server_url import check_url, need_psycopg

    if given is None:
        return None
    need_psycopg()
    return usage(check_url, given)


database = option(
    "--database",
    envvar=DATABASE_VARIABLE,
    metavar="URL",
    callback=server_url,
    help="The chain is in this PostgreSQL database, and not in a data folder: postgresql://USER@HOST/NAME.",
)
unsafe_database = option(
    "--unsafe-database",
    is_flag=True,
    envvar="MONEYER_NODE_UNSAFE_DATABASE",
    help="Take a server that may lose what it has acknowledged (fsync or synchronous_commit off).",
)
wallet_folder = option(
    "--data",
    type=FOLDER,
    envvar="MONEYER_DATA",
    metavar="DIR",
    help="The data folder: its wallet and its node.  [default: this folder, else that of your network that runs]",
)
node_url = option(
    "--node",
    metavar="URL",
    envvar="MONEYER_NODE",
    help="The node to ask.  [default: the data folder's, else http://127.0.0.1:5001]",
)
passphrase_file = option(
    "--passphrase-file",
    type=FILE,
    envvar="MONEYER_PASSPHRASE_FILE",
    metavar="FILE",
    help="Its first line is the wallet's passphrase.  [default: MONEYER_PASSPHRASE, else it is asked]",
)
log_level = option(
    "--log-level",
    type=click.Choice(("debug", "info", "warning", "error")),
    envvar="MONEYER_LOG_LEVEL",
    default="info",
    show_default=True,
    help="What is worth a line of the log.",
)
no_discovery = option(
    "--no-discovery",
    is_flag=True,
    envvar="MONEYER_NO_DISCOVERY",
    help="Neither look for nodes on the local network (mDNS) nor be found there.",
)
log_json = option("--log-json", is_flag=True, envvar="MONEYER_LOG_JSON", help="Each line of the log a JSON object.")
as_json = option("--json", is_flag=True, help="Print JSON, in the API's shape.")


def folder_or_none(data: Path | None, database_url: str | None) -> Path:
    """The data folder of a worker or a Stratum server: with a server's database it needs none, and gets NO_FOLDER."""
    from .folders import folder_to_be

    if database_url is not None and data is None:
        return NO_FOLDER
    return folder_to_be(data)


def refuse_database(command: str) -> None:
    """Raises UsageError where a server's database is set, for a command whose nodes have a file each."""
    if os.environ.get(DATABASE_VARIABLE):
        raise click.UsageError(
            f"{command} runs nodes with a file each, and {DATABASE_VARIABLE} names one database for all: unset it"
        )


def usage(parse: Callable[[str], T], text: str) -> T:
    """What `parse` makes of an option's or argument's text. Raises UsageError in its words."""
    try:
        return parse(text)
    except MoneyerError as error:
        raise click.UsageError(error.message) from None
