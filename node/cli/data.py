"""Commands on a data folder, with or without its node running: `verify` and `db`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.exits import outcome
from node.cli.folders import existing_folder
from node.cli.options import FILE, as_json, data_folder

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.config import Config


@click.command()
@data_folder
@as_json
def verify(data: Path | None, json: bool) -> None:
    """Check every block of a data folder, from genesis on.

    Proof of work, signatures and every balance. The node may be running.

    \b
    moneyer verify --data data/node1
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from node.cli.output import print_json
    from node.store.engine import Store, load_coin
    from node.verify import verify_chain

    config = _up_to_date(data)
    store = Store.open(config, load_coin(config), check_file=False)
    try:
        columns = (
            TextColumn("verifying"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("blocks, {task.fields[rate]:,.0f}/s,"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        # On stderr, and only on a terminal: stdout has the result alone.
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("verifying", total=None, rate=0)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, rate=bar.tasks[0].speed or 0)

            result = verify_chain(store, progress)
    finally:
        store.close()
    if json:
        print_json({"valid": True, "height": result.height, "transfers": result.transfers})
    else:
        click.echo(f"every block is right, from genesis to height {result.height}")


@click.group()
def db() -> None:
    """The database of a data folder: upgrade, check, back up."""


@db.command()
@data_folder
@as_json
def upgrade(data: Path | None, json: bool) -> None:
    """Bring the database to this program's schema.

    Behind a backup. A node does so itself when it starts.

    \b
    moneyer db upgrade --data data/node1
    """
    from node.store import schema

    config = _config(data)
    with _alone(config):
        before = _revision(config)
        schema.prepare(config.database)
        after = _revision(config)
        if before != after:
            outcome().done(f"{config.database} was upgraded: `moneyer db upgrade` again says so")
    _print(
        f"{config.database} is at schema {after}{'' if before == after else f', upgraded from {before}'}",
        {"database": str(config.database), "schema": after, "before": before} if json else None,
    )


@db.command()
@data_folder
@as_json
def check(data: Path | None, json: bool) -> None:
    """Check the database file.

    Pages, indexes, references; `moneyer verify` checks what stands in it. The node may be running.

    \b
    moneyer db check --data data/node1
    """
    config = _up_to_date(data)
    with _reading(config) as conn:
        wrong = [str(row[0]) for row in conn.exec_driver_sql("PRAGMA integrity_check(20)") if row[0] != "ok"]
        wrong += [f"a row of {row[0]} refers to none" for row in conn.exec_driver_sql("PRAGMA foreign_key_check")]
    if wrong:
        from node.cli.output import counted

        raise click.ClickException(_damaged(config, f"{wrong[0]}; {counted(len(wrong), 'finding')}"))
    _print(f"{config.database} is whole", {"database": str(config.database), "whole": True} if json else None)


@db.command()
@data_folder
@click.argument("file", type=FILE)
@as_json
def backup(data: Path | None, file: Path, json: bool) -> None:
    """Copy the database to FILE, also while its node runs. FILE must not exist.

    \b
    moneyer db backup --data data/node1 chain-monday.db
    """
    from node.store import schema

    config = _with_database(data)
    schema.backup(config.database, file)
    outcome().done(f"The copy {file} was made")
    from node.cli.output import counted

    size = file.stat().st_size
    _print(
        f"{config.database} was copied to {file} ({counted(size, 'byte')})",
        {"database": str(config.database), "backup": str(file), "bytes": size} if json else None,
    )


def _print(sentence: str, report: dict[str, Any] | None) -> None:
    """The sentence, or the report where JSON is wanted."""
    from node.cli.output import print_json

    if report is None:
        click.echo(sentence)
    else:
        print_json(report)


def _config(data: Path | None) -> Config:
    from node.config import Config

    return Config(data=existing_folder(data))


def _with_database(data: Path | None) -> Config:
    config = _config(data)
    if not config.database.is_file():
        raise click.ClickException(f"{data} has no chain yet: start its node once")
    return config


def _up_to_date(data: Path | None) -> Config:
    """Looking must not change a file: an older schema is left to `db upgrade`."""
    from node.store.tables import SCHEMA_REVISION

    config = _with_database(data)
    if (found := _revision(config)) != SCHEMA_REVISION:
        raise click.ClickException(
            f"{config.database} has schema {found}, and this program's is {SCHEMA_REVISION}: "
            f"`moneyer db upgrade --data {data}` first"
        )
    return config


def _revision(config: Config) -> str | None:
    from node.store.schema import revision_of

    if not config.database.is_file():
        return None
    with _reading(config) as conn:
        return revision_of(conn)


@contextmanager
def _reading(config: Config) -> Iterator[Connection]:
    """A connection to a file that may be damaged. Raises StoreRefused for what it cannot read."""
    from sqlalchemy.exc import DBAPIError

    from node.store.connect import open_engine
    from node.store.errors import StoreRefused, is_busy, is_of_the_disk, refused

    engine = open_engine(config.database, write=False)
    try:
        with engine.connect() as conn:
            yield conn
    except DBAPIError as error:
        words = str(error.orig)
        if is_busy(words) or is_of_the_disk(words):
            raise refused(config.database, words) from None
        raise StoreRefused(_damaged(config, words)) from None
    finally:
        engine.dispose()


def _damaged(config: Config, how: str) -> str:
    return (
        f"{config.database} is damaged or no database ({how}). Nothing was changed: move it away and start the node "
        "again (the chain comes back from peers), or put a backup in its place"
    )


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    from node.locks import Held, hold

    try:
        lock = hold(config.node_lock)
    except Held:
        raise click.ClickException(f"the node of {config.data} is running: stop it first") from None
    try:
        yield
    finally:
        lock.release()
