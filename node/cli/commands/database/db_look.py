"""`moneyer db check` and `moneyer db upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...exits import effect
from ...options import as_json, data_folder, database, option, unsafe_database
from .db_place import alone, config_of, damaged_words, reading, server_config, server_of, tell, up_to_date

if TYPE_CHECKING:
    from ....config import Config


@click.command()
@data_folder
@database
@unsafe_database
@option("--backup-done", is_flag=True, help="Of a server: there is a backup, and nothing else uses the database.")
@as_json
def upgrade(data: Path | None, database: str | None, unsafe_database: bool, backup_done: bool, json: bool) -> None:
    """Bring the database to this program's schema.

    A file: behind a backup; a node does so itself when it starts. A server's database: in one transaction, once you
    have made a backup and stopped all that use it; a node refuses to start on an older one.

    \b
    moneyer db upgrade --data data/node1
    moneyer db upgrade --database postgresql://db.example/beach --backup-done
    """
    before: str | None
    after: str | None
    if database:
        shown, before, after = _upgrade_server(server_config(database, unsafe=unsafe_database), backup_done)
    else:
        config = config_of(data)
        shown = str(config.database)
        before, after = _upgrade_file(config)
    tell(
        f"{shown} is at schema {after}{'' if before == after else f', upgraded from {before}'}",
        {"database": shown, "schema": after, "before": before} if json else None,
    )


def _upgrade_file(config: Config) -> tuple[str | None, str | None]:
    """The schema before and after."""
    from ....store.opening import made, schema

    made.check_not_lost(config)
    with alone(config):
        before = _revision(config)
        schema.prepare(config.database)
        after = _revision(config)
        if before != after:
            effect().done(f"{config.database} was upgraded: `moneyer db upgrade` again says so")
    return before, after


def _upgrade_server(config: Config, backup_done: bool) -> tuple[str, str, str]:
    """How it is shown; the schema before and after. Raises StoreRefused."""
    from ....store.errors import StoreRefused
    from ....store.opening import schema
    from ....store.opening.server_database import ServerDatabase
    from ....store.tables import SCHEMA_REVISION
    from ....system.advice import typed

    server = ServerDatabase(config)
    try:
        with server.refusing():
            before = server.revision()
            schema.refuse_unknown(server.shown, before)
            if before is None:
                raise StoreRefused(f"{server.shown} is empty: there is nothing to upgrade")
            if before != SCHEMA_REVISION:
                if not backup_done:
                    raise StoreRefused(
                        f"{server.shown} has schema {before}, and is upgraded to {SCHEMA_REVISION} without a backup of "
                        "its own: make one with pg_dump, stop all that use the database, then "
                        f"`moneyer db upgrade --database {typed(server.shown)} --backup-done`"
                    )
                server.check_alone()
                server.prepare(may_upgrade=True)
                effect().done(f"{server.shown} was upgraded: `moneyer db upgrade` again says so")
    finally:
        server.close()
    return server.shown, before, SCHEMA_REVISION


@click.command()
@data_folder
@database
@as_json
def check(data: Path | None, database: str | None, json: bool) -> None:
    """Check the database.

    Pages, indexes, references, and what a node looks at when it starts; `moneyer verify` proves all that stands in it,
    too. The node may be running. Of a server's database, pages and indexes are looked at where its extension amcheck is
    there, and may be used; else the sentence says what a superuser does for that.

    \b
    moneyer db check --data data/node1
    moneyer db check --database postgresql://db.example/beach
    """
    server = server_of(database)
    if server is not None:
        missing = server.check()
        without = (
            f" (its pages were not looked at: for that, a superuser says in this database: {'; '.join(missing)})"
            if missing
            else ""
        )
        report = {"database": server.shown, "whole": True, "amcheck": not missing}
        tell(f"{server.shown} is whole{without}", report if json else None)
        return
    _check_file(up_to_date(data), json)


def _check_file(config: Config, json: bool) -> None:
    from ....store.engine import load_coin
    from ....store.opening.check import Look, damage, look

    with reading(config) as conn:
        wrong = damage(conn)
    if wrong:
        raise click.ClickException(damaged_words(config, wrong))
    look(config.database, load_coin(config), Look.WHOLE)  # what a node looks at when it starts
    tell(f"{config.database} is whole", {"database": str(config.database), "whole": True} if json else None)


def _revision(config: Config) -> str | None:
    from ....store.opening.schema import revision_of

    if not config.database.is_file():
        return None
    with reading(config) as conn:
        return revision_of(conn)
