"""A replica to read from: of this very database, still following it, and quick to say so; else it is left alone."""

from __future__ import annotations

from typing import Final

import psycopg

from ...errors import StoreRefused, log, words
from .pg_address import conninfo as libpq_words
from .pg_address import shown
from .pg_connection import ServerConnection, connect

_IDENTITY: Final = (
    b"SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()), pg_is_in_recovery() "
    b"FROM pg_control_system()"
)
"""Of a cluster and a database in it; a replica that streams has its primary's."""
Identity = tuple[bytes, bytes]


def identity_of(connection: ServerConnection) -> tuple[Identity, bool]:
    """Which database it is, and whether it follows another. Raises psycopg.Error."""
    result = connection.message(_IDENTITY)
    cluster, database, follows = (result.get_value(0, i) or b"" for i in range(3))
    return (cluster, database), follows == b"t"


class ReplicaOf:
    """Opens connections to a replica, and makes sure each time that it is the primary's."""

    def __init__(self, primary: str, replica: str) -> None:
        """Both: libpq's words for a connection."""
        self._primary = primary
        self._replica = replica
        self._wanted: Identity | None = None

    def connect(self) -> ServerConnection:
        """Raises psycopg.Error, also for a server that is none of the primary's replicas."""
        if self._wanted is None:
            with connect(self._primary) as primary:
                self._wanted, _ = identity_of(primary)
        connection = connect(self._replica)
        try:
            if identity_of(connection)[0] != self._wanted:
                raise psycopg.OperationalError("the server that was named as a replica has another database")
        except BaseException:
            connection.close()
            raise
        return connection


def check_replica(primary_url: str, replica_url: str) -> None:
    """At a start. Raises StoreRefused for a server that is no replica of the primary's; psycopg.Error of the primary.

    One that cannot be reached is no obstacle: reads go to the primary meanwhile.
    """
    with connect(libpq_words(primary_url)) as primary:
        wanted, _ = identity_of(primary)
    name = shown(replica_url)
    try:
        with connect(libpq_words(replica_url, is_replica=True)) as replica:
            found, follows = identity_of(replica)
    except psycopg.Error as error:
        log.warning("the replica %s cannot be read now (%s): reads go to the primary", name, words(error))
        return
    if found != wanted:
        raise StoreRefused(
            f"{name} is no replica of {shown(primary_url)}, but another database: name one that follows it with "
            "--read-database, or leave that out"
        )
    if not follows:
        log.warning("%s follows no other server (was it promoted?): reads go to the primary", name)
