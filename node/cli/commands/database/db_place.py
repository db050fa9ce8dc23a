"""The database that a command is about: a data folder's file, or a server's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...folders import existing_folder
from ...options import usage

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ....config import Config
    from ....store.copying.copy_ends import End
    from ....store.copying.copy_server import ServerEnd


def server_of(database: str | None, *, unsafe: bool = False) -> ServerEnd | None:
    """The server's database that `--database` names; None where there is none. Raises StoreRefused."""
    if not database:
        return None
    from ....store.copying.copy_server import ServerEnd

    return ServerEnd(database, unsafe=unsafe)


def end_of(text: str, *, unsafe: bool = False) -> End:
    """What FROM and TO of a copy name: a server's URL, a data folder, or a file (which has a dot in its name)."""
    from ....store.copying.copy_file import FileEnd, FolderEnd
    from ....store.opening.server_url import check_url, is_url, need_psycopg

    if is_url(text):
        need_psycopg()
        server = server_of(usage(check_url, text), unsafe=unsafe)
        assert server is not None  # noqa: S101 - a URL is no empty text
        return server
    path = Path(text)
    is_folder = path.is_dir() or text.endswith("/") or not (path.suffix or path.exists())
    return FolderEnd(path) if is_folder else FileEnd(path)


def server_config(database: str, *, unsafe: bool = False) -> Config:
    """For what is done on a server without a data folder."""
    from ....config import Config

    return Config(data=Path(), database_url=database, unsafe_database=unsafe)


def config_of(data: Path | None) -> Config:
    """Raises ClickException where there is no data folder."""
    from ....config import Config

    return Config(data=existing_folder(data))


def with_database(data: Path | None) -> Config:
    """The config of a folder that has a database. Raises ClickException where there is none."""
    from ....store.opening import made
    from ....system.advice import start_node

    config = config_of(data)
    made.check_not_lost(config)
    if not config.database.is_file():
        raise click.ClickException(
            f"{config.data} has no chain yet: start its node once, with `{start_node(config.data)}`"
        )
    return config


def up_to_date(data: Path | None) -> Config:
    """The config of a folder whose database has this program's schema. Raises ClickException for an older one.

    Commands that only look must not change the file, so they leave that to `db upgrade`.
    """
    from ....store.errors import damaged
    from ....store.opening.schema import revision_in
    from ....store.tables import SCHEMA_REVISION
    from ....system.advice import typed

    config = with_database(data)
    found = revision_in(config.database)
    if found is None:
        raise damaged(config.database, "it has no tables")
    if found != SCHEMA_REVISION:
        raise click.ClickException(
            f"{config.database} has schema {found}, and this program's is {SCHEMA_REVISION}: "
            f"`moneyer db upgrade --data {typed(config.data)}` first"
        )
    return config


@contextmanager
def reading(config: Config) -> Iterator[Connection]:
    """A connection to a database that may be damaged. Raises StoreRefused where it cannot be read."""
    from sqlalchemy.exc import DBAPIError

    from ....store.backends.sqlite.driver import fold_log
    from ....store.backends.sqlite.engines import open_engine
    from ....store.errors import Fault, StoreRefused, cause_of, refused

    engine = open_engine(config.database, write=False)
    try:
        with engine.connect() as conn:
            yield conn
    except UnicodeDecodeError:
        raise StoreRefused(damaged_words(config, "its tables' definitions are no text")) from None
    except DBAPIError as error:
        cause = cause_of(error)
        if cause.fault in (Fault.BUSY, Fault.DISK):
            raise refused(config.database, error) from None
        raise StoreRefused(damaged_words(config, cause.words)) from None
    finally:
        engine.dispose()
        fold_log(config.database)


def damaged_words(config: Config, how: str) -> str:
    from ....store.errors import ways_out

    return f"{config.database} is damaged or no database ({how}). Nothing was changed: {ways_out(config.data)}"


@contextmanager
def alone(config: Config) -> Iterator[None]:
    """Hold the node's lock meanwhile. Raises ClickException where the node runs."""
    from ....system.locks import Held, hold

    try:
        lock = hold(config.node_lock)
    except Held:
        raise click.ClickException(f"the node of {config.data} is running: stop it first") from None
    try:
        yield
    finally:
        lock.release()


def tell(sentence: str, report: dict[str, Any] | None) -> None:
    """Print the sentence, or the report where JSON is wanted."""
    from ...output import print_json

    if report is None:
        click.echo(sentence)
    else:
        print_json(report)
