"""What a copy asks of the database that it reads, and of the one that it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Table

from ...core.coin import Coin
from ..errors import StoreRefused
from ..tables import SCHEMA_REVISION
from ..tables import mempool as mempool_table

Values = tuple[Any, ...]

NUMBERED: Table = mempool_table
"""The table whose numbers are never given twice: the database keeps the last one, also where its row is gone."""


class Reading(Protocol):
    """One snapshot of a source."""

    conn: Connection

    def rows(self, table: Table) -> Generator[Values, None, None]:
        """Every row, in the order of the primary key. Raises StoreRefused."""
        ...

    def last_number(self) -> int:
        """The greatest number that `NUMBERED` has given, 0 for none."""
        ...


class Making(Protocol):
    """A target that is being made, in one transaction: nobody else sees it."""

    conn: Connection

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        """Add rows, with every column of the table in its order."""
        ...

    def finish(self, last_number: int) -> None:
        """Behind the last row: make keys and indexes; `NUMBERED` goes on behind that number."""
        ...


class End(ABC):
    """A database, as it is named on the command line."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """How sentences name it: a path, or a URL without its password."""

    @property
    @abstractmethod
    def to_upgrade(self) -> str:
        """What to do where its schema is an older one, for the end of a sentence."""

    def local_coin(self) -> Coin | None:
        """The coin that lies beside the database; None where there is none. Raises BadCoin, StoreRefused."""
        return None

    @abstractmethod
    def reading(self) -> AbstractContextManager[Reading]:
        """Raises StoreRefused, also where the schema is not this program's."""

    @abstractmethod
    def check_free(self) -> None:
        """Raises StoreRefused where a copy cannot be made here, since something is there."""

    @abstractmethod
    def making(self, coin: Coin) -> AbstractContextManager[Making]:
        """What was made is kept where the block ends without an error, and else there is nothing.

        Raises StoreRefused; StoreLost where it is not known whether it was kept.
        """


def check_schema(found: str | None, shown: str, to_upgrade: str) -> None:
    """Raises StoreRefused for a source that has not this program's schema."""
    if found is None:
        raise StoreRefused(f"{shown} is empty: there is no chain in it")
    if found == SCHEMA_REVISION:
        return
    from ..opening import schema

    schema.refuse_unknown(shown if "://" in shown else Path(shown), found)
    raise StoreRefused(f"{shown} has schema {found}, and this program's is {SCHEMA_REVISION}: {to_upgrade}")


def names_of(columns: Iterable[Column[Any]]) -> str:
    """For a list of columns in SQL of either database."""
    return ", ".join(f'"{column.name}"' for column in columns)


def selecting(table: Table) -> str:
    """The SQL for every row, in the order of the key."""
    key: Sequence[Column[Any]] = list(table.primary_key.columns)
    return f"SELECT {names_of(table.columns)} FROM {table.name} ORDER BY {names_of(key)}"  # noqa: S608 - names of ours
