"""`moneyer verify`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...options import as_json, data_folder, database
from .db_bars import bar
from .db_place import server_of, up_to_date

if TYPE_CHECKING:
    from ....chain.verify import Verified
    from ....store.copying.copy_chain import Progress
    from ....store.copying.copy_ends import End


@click.command()
@data_folder
@database
@as_json
def verify(data: Path | None, database: str | None, json: bool) -> None:
    """Check every block of a data folder, from genesis on.

    Proof of work, signatures and every balance. The node may be running.

    \b
    moneyer verify --data data/node1
    moneyer verify --database postgresql://db.example/beach
    """
    from ...output import print_json

    server = server_of(database)
    with bar("blocks ") as progress:
        result = _of_file(data, progress) if server is None else _of_server(server, progress)
    if json:
        print_json({"valid": True, "height": result.height, "transfers": result.transfers})
    else:
        click.echo(f"every block is right, from genesis to height {result.height}")


def _of_file(data: Path | None, progress: Progress) -> Verified:
    from ....chain.verify import verify_chain
    from ....store.engine import Store, load_coin

    config = up_to_date(data)
    store = Store.open(config, load_coin(config), check_file=False)
    try:
        return verify_chain(store, partial(progress, "verifying"))
    finally:
        store.close()


def _of_server(server: End, progress: Progress) -> Verified:
    from ....chain.verify import verify_rows
    from ....store.copying.copy_chain import coin_in

    with server.reading() as read:
        return verify_rows(read.conn, coin_in(read.conn, server), partial(progress, "verifying"))
