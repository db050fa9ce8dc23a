"""`moneyer db`: the group of the commands on a database."""

from __future__ import annotations

import click

from .db_copy import copy
from .db_keep import anew, backup, restore
from .db_look import check, upgrade


@click.group()
def db() -> None:
    """The database of a node: check, back up, upgrade, copy."""


for _command in (check, backup, restore, anew, upgrade, copy):
    db.add_command(_command)
