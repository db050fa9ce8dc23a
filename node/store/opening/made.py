"""Remembers beside the database that a data folder has a chain, so that a lost file is not taken for a new folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Literal

from ...config import Config
from ...core.codec import show
from ...core.coin import Coin
from ...system.advice import typed
from ...system.files import sweep, write_whole
from ..errors import StoreRefused, damaged, ways_out

Command = Literal["node", "worker", "stratum"]
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""How a rollback journal begins; its bytes 16 to 19 say how many pages the file had (sqlite.org/fileformat2.html)."""


def check_not_lost(config: Config, command: Command | None = None) -> None:
    """Raises StoreRefused where the database is gone or empty, and there was one, or something else has its name.

    Also where the chain has moved to a server: a node that went on with the file would be a second one of its identity.
    `command`: as `check_not_moved` takes it.
    """
    database = config.database
    check_not_moved(config, command)
    if database.exists() and not database.is_file():
        raise damaged(database, "a folder, or what else is no file, has its name")
    # The bells are older than the mark: folders of before have them, and only a store makes them.
    had_chain = config.chain_marker.exists() or config.bells.exists() or _has_log(database)
    # The database is looked at last: another process that makes this folder now makes it before what is asked above.
    if had_chain and not (database.exists() and database.stat().st_size):
        raise lost(config)


def check_not_moved(config: Config, command: Command | None) -> None:
    """Raises StoreRefused where a server's database has the chain of a data folder, and the config does not name it.

    `command`: what asks, to be shown as it is to be typed; None: a command with arguments of its own.
    """
    if config.database_url is None and (server := server_of_chain(config)) is not None:
        raise _on_server(config, server, command)


def _has_log(database: Path) -> bool:
    """Whether SQLite's own files beside the database hold what it lacks.

    While a database is made it has a journal, too, and keeps it where that is killed: of a file without pages.
    """
    log, journal = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-journal"))
    if log.exists() and log.stat().st_size:
        return True
    try:
        with journal.open("rb") as file:
            head = file.read(20)
    except FileNotFoundError:
        return False
    return head.startswith(_JOURNAL_MAGIC) and head[16:20] != bytes(4)


def lost(config: Config) -> StoreRefused:
    how = "is empty" if config.database.exists() else "is gone"
    return StoreRefused(
        f"{config.database} {how}, and this folder has had a chain. Nothing was made in its place: "
        f"{ways_out(config.data)}"
    )


def server_of_chain(config: Config) -> str | None:
    """The server's database that has the folder's chain, without its password; None where no server has it."""
    try:
        said = config.chain_marker.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return said.removeprefix(_ON_SERVER).partition(": chain")[0] if said.startswith(_ON_SERVER) else None


def typed_on_server(command: Command, data: Path) -> str | None:
    """A command for a data folder as it is typed where a server has its chain; None where no server has it."""
    server = server_of_chain(Config(data=data))
    if server is None:
        return None
    commands: dict[Command, str] = {
        "node": f"moneyer node --data {typed(data)} --database {typed(server)}",
        "worker": f"moneyer worker --data {typed(data)} --database {typed(server)}",
        "stratum": f"moneyer stratum --data {typed(data)} --database {typed(server)}",
    }
    return commands[command]


def _on_server(config: Config, server: str, command: Command | None) -> StoreRefused:
    again = "" if command is None else f" (`{typed_on_server(command, config.data)}`)"
    left = f" ({config.database.name} here is older)" if config.database.exists() else ""
    return StoreRefused(
        f"the chain of {config.data} is in {server}{left}: give that with --database, or in "
        f"MONEYER_NODE_DATABASE{again}. To take it back here: "
        f"`moneyer db anew --data {typed(config.data)}`, then `moneyer db copy {typed(server)} {typed(config.data)}`"
    )


def lost_on_server(config: Config, shown: str) -> StoreRefused:
    """`shown`: the server's database, without its password."""
    return StoreRefused(
        f"{shown} is empty, and {config.data} has had a chain: nothing was made there. Give the database that has the "
        f"chain, or move one there with `moneyer db copy`; a new chain begins in a new --data folder"
    )


_ON_SERVER = "the chain of this folder is in "


def mark(config: Config, coin: Coin, server: str | None = None) -> None:
    """Remember that there is a chain. Only once it is on disk, or a start that was killed could not be repeated.

    `server`: the database that has it, where that is no file of this folder.
    """
    what = f"{config.database.name} was made in this folder" if server is None else f"{_ON_SERVER}{server}"
    about = f"{what}: chain {show(coin.chain_id)}\n".encode()
    with suppress(OSError):  # a full disk: the next start writes it
        sweep(config.chain_marker)
        # A mark of another place is replaced: the chain has moved.
        if config.chain_marker.exists() and config.chain_marker.read_bytes() == about:
            return
        write_whole(config.chain_marker, about, mode=0o600)
