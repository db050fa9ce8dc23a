"""An SQLite file, or a data folder's, as the source or the target of a copy."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ...config import Config
from ...core.coin import Coin
from ...core.coinfile import coin_to_toml
from ...system.advice import typed
from ...system.files import put_new, sync_file, sync_folder, write_whole
from ...system.locks import Held, hold
from ..backends.sqlite import driver as sqlite
from ..backends.sqlite.driver import DatabaseError, driver, fold_log
from ..backends.sqlite.engines import open_to_look, reading_a_copy, refusing
from ..backends.statements import execute
from ..engine import load_coin
from ..errors import Fault, StoreRefused, cause_of, check_links, damaged
from ..opening import made, schema
from ..tables import metadata
from .copy_ends import NUMBERED, End, Making, Reading, Values, check_schema, names_of, selecting

_CACHE_KIB: Final = 262_144
"""Of a file that is being made: the places of a million hashes in an index lie anywhere in it."""
_SEQUENCE: Final = "SELECT seq FROM sqlite_sequence WHERE name = ?"


class FileEnd(End):
    """A file. One that is made has the name `.NAME.copy.tmp` until it is whole."""

    def __init__(self, file: Path) -> None:
        self.file = file.absolute()

    @property
    def shown(self) -> str:
        return str(self.file)

    @property
    def to_upgrade(self) -> str:
        return (
            "restore it into a data folder first (a new one with the coin's coin.toml in it will do): that upgrades it"
        )

    def local_coin(self) -> Coin | None:
        beside = Config(self.file.parent)
        return load_coin(beside) if beside.coin_file.is_file() else None

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        if not self.file.is_file():
            raise StoreRefused(f"there is no file {self.file}")
        check_schema(schema.revision_in(self.file), self.shown, self.to_upgrade)
        with refusing(self.file), _snapshot(self.file) as conn:
            yield _FileReading(conn, self.file)
        fold_log(self.file)  # a node that ended meanwhile left that to the last reader

    def check_free(self) -> None:
        if self.file.exists():
            raise StoreRefused(f"{self.file} is there already, and nothing is written over: give another name")
        check_links(self.file, "give another name")
        if not self.file.parent.is_dir():
            raise StoreRefused(f"there is no folder {self.file.parent} to write to: make it first")
        self._check_alone()

    def _check_alone(self) -> None:
        """SQLite would take what lies there under such a name for the new file's."""
        for suffix in ("-wal", "-journal"):
            beside = self.file.with_name(f"{self.file.name}{suffix}")
            if beside.exists():
                raise StoreRefused(f"{beside} is left of a database that was there: move it away first")

    @contextmanager
    def making(self, coin: Coin) -> Iterator[Making]:
        with self._writing(), _temporary(self.file) as temporary:
            with _opened(temporary) as conn:
                yield _FileMaking(conn)
            sync_file(temporary)
            self._keep(temporary, coin)

    def _keep(self, temporary: Path, coin: Coin) -> None:
        try:
            put_new(temporary, self.file)
        except FileExistsError:
            raise StoreRefused(f"{self.file} is there by now, and nothing is written over: give another name") from None
        sync_folder(self.file.parent)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreRefused(f"{self.file} cannot be written: {error.strerror}. Nothing was copied") from None
        except (DBAPIError, DatabaseError) as error:
            cause = cause_of(error)
            if cause.fault is Fault.DISK:
                raise StoreRefused(f"{self.file} cannot be written: {cause.words}. Nothing was copied") from None
            raise StoreRefused(f"the copy {self.file} cannot be made: {cause.words}") from None
        except UnicodeDecodeError:
            raise StoreRefused("the source is damaged: what is text in it is none. Nothing was copied") from None


class FolderEnd(FileEnd):
    """The database of a data folder; the folder is made where there is none. Its node may run while it is read."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(folder.absolute())
        super().__init__(self.config.database)

    @property
    def to_upgrade(self) -> str:
        return f"`moneyer db upgrade --data {typed(self.config.data)}` first"

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        if (server := made.server_of_chain(self.config)) is not None:
            raise StoreRefused(f"the chain of {self.config.data} is in {server}: copy it from there, by that URL")
        made.check_not_lost(self.config)
        if not self.file.is_file():
            raise StoreRefused(f"{self.config.data} has no chain: there is no {self.file.name} in it")
        with super().reading() as read:
            yield read

    def check_free(self) -> None:
        if self.file.exists():
            raise StoreRefused(
                f"{self.config.data} has a chain already, and nothing is written over: name another folder, or move "
                f"that chain away with `moneyer db anew --data {typed(self.config.data)}`"
            )
        check_links(self.file, "name another folder")
        if self.config.data.exists() and not self.config.data.is_dir():
            raise StoreRefused(f"{self.config.data} is no folder: name another one")
        self._check_alone()

    @contextmanager
    def making(self, coin: Coin) -> Iterator[Making]:
        with self._writing(), self._folder(coin), super().making(coin) as making:
            yield making

    @contextmanager
    def _folder(self, coin: Coin) -> Iterator[None]:
        """The folder, in which no node runs meanwhile; taken away again where it was made in vain."""
        config = self.config
        is_new = not config.data.exists()
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if config.coin_file.is_file() and load_coin(config).chain_id != coin.chain_id:
            raise StoreRefused(f"{config.data} is of another coin than {coin.name}: name another folder")
        try:
            lock = hold(config.node_lock)
        except Held:
            raise StoreRefused(f"the node of {config.data} is running: stop it first") from None
        try:
            yield
        except BaseException:
            if is_new:
                config.node_lock.unlink(missing_ok=True)
                with suppress(OSError):
                    config.data.rmdir()
            raise
        finally:
            lock.release()

    def _keep(self, temporary: Path, coin: Coin) -> None:
        # The coin first: a folder with it alone has no chain yet, and this can be done again.
        with suppress(FileExistsError):
            write_whole(self.config.coin_file, coin_to_toml(coin).encode(), mode=0o644, replace=False)
        super()._keep(temporary, coin)
        made.mark(self.config, coin)


class _FileReading:
    def __init__(self, conn: Connection, file: Path) -> None:
        self.conn = conn
        self._file = file

    def rows(self, table: Table) -> Generator[Values, None, None]:
        try:
            cursor = execute(self.conn, selecting(table))
            yield from cursor
            cursor.close()
        except (DBAPIError, DatabaseError) as error:
            raise damaged(self._file, cause_of(error).words) from None

    def last_number(self) -> int:
        row = execute(self.conn, _SEQUENCE, (NUMBERED.name,)).fetchone()
        key = NUMBERED.primary_key.columns[0].name
        (greatest,) = execute(self.conn, f"SELECT coalesce(max({key}), 0) FROM {NUMBERED.name}").fetchone()  # noqa: S608
        return int(max(0 if row is None else row[0], greatest))


class _FileMaking:
    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        metadata.create_all(conn)
        schema.write_revision(conn)
        listed = execute(conn, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        self._indexes = listed.fetchall()
        for name, _ in self._indexes:
            execute(conn, f'DROP INDEX "{name}"').close()

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        places = ", ".join("?" * len(table.columns))
        execute(
            self.conn,
            f"INSERT INTO {table.name} ({names_of(table.columns)}) VALUES ({places})",  # noqa: S608 - names of ours
            rows,  # type: ignore[arg-type] # the driver takes them one by one
            many=True,
        ).close()

    def finish(self, last_number: int) -> None:
        for _, sql in self._indexes:
            execute(self.conn, sql).close()
        execute(self.conn, "DELETE FROM sqlite_sequence WHERE name = ?", (NUMBERED.name,)).close()
        execute(
            self.conn, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (NUMBERED.name, last_number)
        ).close()


@contextmanager
def _snapshot(file: Path) -> Iterator[Connection]:
    """A copy is read for long: where that would hold writers up, of a copy of the file."""
    if not sqlite.has_safe_wal and _may_be_written(file):
        with reading_a_copy(file) as conn:
            yield conn
        return
    engine = open_to_look(file)
    try:
        with engine.connect() as conn, conn.begin():
            yield conn
    finally:
        engine.dispose()


def _may_be_written(file: Path) -> bool:
    """Whether it is a node's own, and no backup."""
    return file.name == Config(file.parent).database.name


@contextmanager
def _temporary(file: Path) -> Iterator[Path]:
    """A new empty file beside `file`, which `system.files.sweep` finds, and which nobody else makes meanwhile."""
    temporary = file.with_name(f".{file.name}.copy.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreRefused(f"another process is making {file} now") from None
        if not _is_at(temporary, descriptor):  # that process has just ended
            raise StoreRefused(f"another process was making {file} just now: try again")
        try:
            # The file stays, since it has the lock; what else a killed copy left beside it goes.
            os.ftruncate(descriptor, 0)
            for suffix in ("-journal", "-wal", "-shm"):
                temporary.with_name(f"{temporary.name}{suffix}").unlink(missing_ok=True)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


@contextmanager
def _opened(file: Path) -> Iterator[Connection]:
    """A connection that writes to a file that nobody sees: nothing is undone, and nothing waits for the disk."""
    connection: Any = driver.connect(str(file), isolation_level=None)
    engine = create_engine("sqlite+pysqlite://", module=driver, creator=lambda: connection, poolclass=StaticPool)
    try:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", f"cache_size=-{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        with engine.connect() as conn:
            execute(conn, "BEGIN").close()
            yield conn
            execute(conn, "COMMIT").close()
    finally:
        engine.dispose()
