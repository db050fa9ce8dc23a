"""Commands on a data folder, with or without its node running: `verify` and `db`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..exits import effect
from ..folders import existing_folder
from ..options import FILE, as_json, data_folder

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ...config import Config


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

    from ...chain.verify import verify_chain
    from ...store.engine import Store, load_coin
    from ..output import print_json

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
    from ...store.opening import made, schema

    config = _config(data)
    made.check_not_lost(config)
    with _alone(config):
        before = _revision(config)
        schema.prepare(config.database)
        after = _revision(config)
        if before != after:
            effect().done(f"{config.database} was upgraded: `moneyer db upgrade` again says so")
    _print(
        f"{config.database} is at schema {after}{'' if before == after else f', upgraded from {before}'}",
        {"database": str(config.database), "schema": after, "before": before} if json else None,
    )


@db.command()
@data_folder
@as_json
def check(data: Path | None, json: bool) -> None:
    """Check the database file.

    Pages, indexes, references, and what a node looks at when it starts; `moneyer verify` proves all that stands in it,
    too. The node may be running.

    \b
    moneyer db check --data data/node1
    """
    from ...store.engine import load_coin
    from ...store.opening.check import Look, damage, look

    config = _up_to_date(data)
    with _reading(config) as conn:
        wrong = damage(conn)
    if wrong:
        raise click.ClickException(_damaged(config, wrong))
    look(config.database, load_coin(config), Look.WHOLE)  # what a node looks at when it starts
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
    from ...store.backends.sqlite.driver import fold_log
    from ...store.opening import schema

    config = _with_database(data)
    schema.backup(config.database, file)
    fold_log(config.database)  # a node that ended meanwhile left that to the last reader
    effect().done(f"The copy {file} was made")
    from ..output import counted

    size = file.stat().st_size
    _print(
        f"{config.database} was copied to {file} ({counted(size, 'byte')})",
        {"database": str(config.database), "backup": str(file), "bytes": size} if json else None,
    )


@db.command()
@data_folder
@click.argument("file", type=FILE)
@as_json
def restore(data: Path | None, file: Path, json: bool) -> None:
    """Put a backup in the place of the database.

    FILE is checked first, and copied. A database that is there is moved away. The node must not be running.

    \b
    moneyer db restore chain-monday.db --data data/node1
    """
    from ...store.engine import load_coin
    from ...store.errors import StoreRefused
    from ...store.opening import check, schema

    config = _config(data)
    with _alone(config):
        coin = load_coin(config)
        copy = config.database.with_name("chain.restored")
        _remove(copy)  # of a command that was killed
        try:
            schema.backup(file, copy)
            schema.prepare(copy)
            if check.look(copy, coin, check.Look.WHOLE):
                raise StoreRefused(f"{file} has no chain in it")
            away = _move_away(config)
            copy.rename(config.database)
        except StoreRefused as error:
            why = error.message.replace(str(copy), str(file))
            raise click.ClickException(f"nothing was put in the place of {config.database}: {why}") from None
        finally:
            _remove(copy)
    _print(
        f"{config.database} is {file} now{_and_where(away)}",
        {"database": str(config.database), "backup": str(file), "moved_to": _text(away)} if json else None,
    )


@db.command()
@data_folder
@as_json
def anew(data: Path | None, json: bool) -> None:
    """Let a data folder begin anew, at its coin's first block.

    The database is moved away, if there is one. Wallet, coin and token stay; the chain comes from peers once the node
    runs, and without peers it starts from nothing. The node must not be running.

    \b
    moneyer db anew --data data/node1
    """
    import shutil

    config = _config(data)
    with _alone(config):
        away = _move_away(config)
        shutil.rmtree(config.bells, ignore_errors=True)
        config.chain_marker.unlink(missing_ok=True)
    _print(
        f"{config.data} begins anew when its node starts{_and_where(away)}",
        {"data": str(config.data), "moved_to": _text(away)} if json else None,
    )


def _move_away(config: Config) -> Path | None:
    """Rename the database and its log; the new path, None where there was nothing to keep."""
    import time

    from ...store.backends.sqlite.driver import fold_log

    database = config.database
    is_kept = database.exists() and database.stat().st_size > 0
    if is_kept:
        fold_log(database)
    away = database.with_name(f"{database.name}.{time.strftime('%Y%m%d-%H%M%S')}.away")
    # The log first: if this is killed midway, what is left in place is still a database.
    for suffix in ("-wal", "-journal", "-shm", ""):
        part = database.with_name(f"{database.name}{suffix}")
        if part.exists():
            part.rename(away.with_name(f"{away.name}{suffix}"))
    return away if is_kept else None


def _remove(copy: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        copy.with_name(f"{copy.name}{suffix}").unlink(missing_ok=True)


def _and_where(away: Path | None) -> str:
    return "" if away is None else f"; the one before is {away}"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _print(sentence: str, report: dict[str, Any] | None) -> None:
    """The sentence, or the report where JSON is wanted."""
    from ..output import print_json

    if report is None:
        click.echo(sentence)
    else:
        print_json(report)


def _config(data: Path | None) -> Config:
    from ...config import Config

    return Config(data=existing_folder(data))


def _with_database(data: Path | None) -> Config:
    """The config of a folder that has a database. Raises ClickException where there is none."""
    from ...store.opening import made
    from ...system.advice import start_node

    config = _config(data)
    made.check_not_lost(config)
    if not config.database.is_file():
        raise click.ClickException(
            f"{config.data} has no chain yet: start its node once, with `{start_node(config.data)}`"
        )
    return config


def _up_to_date(data: Path | None) -> Config:
    """The config of a folder whose database has this program's schema. Raises ClickException for an older one.

    Commands that only look must not change the file, so they leave that to `db upgrade`.
    """
    from ...store.errors import damaged
    from ...store.opening.schema import revision_in
    from ...store.tables import SCHEMA_REVISION
    from ...system.advice import typed

    config = _with_database(data)
    found = revision_in(config.database)
    if found is None:
        raise damaged(config.database, "it has no tables")
    if found != SCHEMA_REVISION:
        raise click.ClickException(
            f"{config.database} has schema {found}, and this program's is {SCHEMA_REVISION}: "
            f"`moneyer db upgrade --data {typed(config.data)}` first"
        )
    return config


def _revision(config: Config) -> str | None:
    from ...store.opening.schema import revision_of

    if not config.database.is_file():
        return None
    with _reading(config) as conn:
        return revision_of(conn)


@contextmanager
def _reading(config: Config) -> Iterator[Connection]:
    """A connection to a database that may be damaged. Raises StoreRefused where it cannot be read."""
    from sqlalchemy.exc import DBAPIError

    from ...store.backends.sqlite.driver import fold_log
    from ...store.backends.sqlite.engines import open_engine
    from ...store.errors import Fault, StoreRefused, cause_of, refused

    engine = open_engine(config.database, write=False)
    try:
        with engine.connect() as conn:
            yield conn
    except UnicodeDecodeError:
        raise StoreRefused(_damaged(config, "its tables' definitions are no text")) from None
    except DBAPIError as error:
        cause = cause_of(error)
        if cause.fault in (Fault.BUSY, Fault.DISK):
            raise refused(config.database, error) from None
        raise StoreRefused(_damaged(config, cause.words)) from None
    finally:
        engine.dispose()
        fold_log(config.database)


def _damaged(config: Config, how: str) -> str:
    from ...store.errors import ways_out

    return f"{config.database} is damaged or no database ({how}). Nothing was changed: {ways_out(config.data)}"


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Hold the node's lock meanwhile. Raises ClickException where the node runs."""
    from ...system.locks import Held, hold

    try:
        lock = hold(config.node_lock)
    except Held:
        raise click.ClickException(f"the node of {config.data} is running: stop it first") from None
    try:
        yield
    finally:
        lock.release()
