"""`moneyer db backup`, `restore` and `anew`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...exits import effect
from ...folders import COIN_FILE, find_folder
from ...options import FILE, as_json, data_folder, database, option, unsafe_database
from .db_copy import copied_to
from .db_place import alone, config_of, server_of, tell, with_database

if TYPE_CHECKING:
    from ....config import Config


@click.command()
@data_folder
@database
@click.argument("file", type=FILE)
@as_json
def backup(data: Path | None, database: str | None, file: Path, json: bool) -> None:
    """Copy the database to FILE, also while its node runs. FILE must not exist.

    Of a server's database too: FILE is an SQLite file then, which `moneyer db restore` puts back into a data folder or
    an empty database of any server.

    \b
    moneyer db backup --data data/node1 chain-monday.db
    moneyer db backup --database postgresql://db.example/beach monday.db
    """
    from ....store.copying.copy_file import FileEnd
    from ...output import counted

    server = server_of(database)
    if server is None:
        shown = _backup_file(data, file)
    else:
        copied_to(server, FileEnd(file))
        shown = server.shown
    size = file.stat().st_size
    tell(
        f"{shown} was copied to {file} ({counted(size, 'byte')})",
        {"database": shown, "backup": str(file), "bytes": size} if json else None,
    )


def _backup_file(data: Path | None, file: Path) -> str:
    """How the database is shown."""
    from ....store.backends.sqlite.driver import fold_log
    from ....store.opening import schema

    config = with_database(data)
    schema.backup(config.database, file)
    fold_log(config.database)  # a node that ended meanwhile left that to the last reader
    effect().done(f"The copy {file} was made")
    return str(config.database)


@click.command()
@data_folder
@database
@unsafe_database
@click.argument("file", type=FILE)
@option("--coin", type=FILE, metavar="FILE", help="Into a server's database: the coin of a file that does not say it.")
@as_json
def restore(
    data: Path | None, database: str | None, unsafe_database: bool, file: Path, coin: Path | None, json: bool
) -> None:
    """Put a backup in the place of the database.

    FILE is checked first, and copied. A database that is there is moved away; one of a server must be empty. The node
    must not be running. The folder must be there: `moneyer db copy FILE DIR` makes one.

    \b
    moneyer db restore chain-monday.db --data data/node1
    moneyer db restore monday.db --database postgresql://db.example/beach
    """
    from ....devnet.coinfiles import read_coin
    from ....store.copying.copy_file import FileEnd

    server = server_of(database, unsafe=unsafe_database)
    if server is None:
        shown, away = _restore_file(_config_for(data, file), file)
    else:
        copied_to(FileEnd(file), server, coin=None if coin is None else read_coin(coin))
        shown, away = server.shown, None
    tell(
        f"{shown} is {file} now{_and_where(away)}",
        {"database": shown, "backup": str(file), "moved_to": _text(away)} if json else None,
    )


def _config_for(data: Path | None, file: Path) -> Config:
    """The config of the data folder that a backup goes into.

    Raises ClickException where there is none, with what makes one of the backup's coin: `moneyer new` would make
    another coin.
    """
    from ....config import Config
    from ....store.errors import check_links
    from ....system.advice import typed

    if data is not None:
        check_links(data.absolute(), "name another folder")
    folder = find_folder(data) if data is None or data.is_dir() else data
    if folder is None:
        raise click.ClickException(
            f"there is no data folder here: name one with --data DIR, or `moneyer db copy {typed(file)} DIR` makes one "
            "with this chain"
        )
    if not (folder / COIN_FILE).is_file():
        lacks = f"there is no {COIN_FILE} in it" if folder.exists() else "it is not there"
        raise click.ClickException(
            f"{folder} is no data folder of a node ({lacks}): `moneyer db copy {typed(file)} {typed(f'{folder}/')}` "
            "makes it one, with this chain"
        )
    return Config(data=folder)


def _restore_file(config: Config, file: Path) -> tuple[str, Path | None]:
    """How the database is shown; where the one before is."""
    from ....store.engine import load_coin
    from ....store.errors import StoreRefused
    from ....store.opening import check, made, schema

    with alone(config):
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
            made.mark(config, coin)  # the chain may have been on a server
        except StoreRefused as error:
            why = error.message.replace(str(copy), str(file))
            raise click.ClickException(f"nothing was put in the place of {config.database}: {why}") from None
        finally:
            _remove(copy)
    return str(config.database), away


@click.command()
@data_folder
@database
@as_json
def anew(data: Path | None, database: str | None, json: bool) -> None:
    """Let a data folder begin anew, at its coin's first block.

    The database is moved away, if there is one. Wallet, coin and token stay; the chain comes from peers once the node
    runs, and without peers it starts from nothing. The node must not be running. A server's database is left alone:
    make an empty one, and name that.

    \b
    moneyer db anew --data data/node1
    """
    import shutil

    server = server_of(database)
    if server is not None:
        raise click.ClickException(
            f"{server.shown} is a server's, and is not moved away: make an empty database (CREATE DATABASE …), and "
            "name that with --database"
        )
    config = config_of(data)
    with alone(config):
        away = _move_away(config)
        shutil.rmtree(config.bells, ignore_errors=True)
        config.chain_marker.unlink(missing_ok=True)
    tell(
        f"{config.data} begins anew when its node starts{_and_where(away)}",
        {"data": str(config.data), "moved_to": _text(away)} if json else None,
    )


def _move_away(config: Config) -> Path | None:
    """Rename the database and its log; the new path, None where there was nothing to keep."""
    import time

    from ....store.backends.sqlite.driver import fold_log

    database = config.database
    has_rows = database.exists() and database.stat().st_size > 0
    if has_rows:
        fold_log(database)
    # A link that leads nowhere may do so until its disk is there again.
    is_kept = has_rows or database.is_symlink()
    away = database.with_name(f"{database.name}.{time.strftime('%Y%m%d-%H%M%S')}.away")
    # The log first: if this is killed midway, what is left in place is still a database.
    for suffix in ("-wal", "-journal", "-shm", ""):
        part = database.with_name(f"{database.name}{suffix}")
        if part.exists() or part.is_symlink():
            part.rename(away.with_name(f"{away.name}{suffix}"))
    return away if is_kept else None


def _remove(copy: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        copy.with_name(f"{copy.name}{suffix}").unlink(missing_ok=True)


def _and_where(away: Path | None) -> str:
    return "" if away is None else f"; the one before is {away}"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
