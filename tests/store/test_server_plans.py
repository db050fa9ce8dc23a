"""On a PostgreSQL server too, no kept statement reads a whole large table: a node must not slow down as it grows."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from moneyer.node.store.backends.statements import Many, Query
from moneyer.node.store.tables import metadata
from tests.store.test_server_statements import kept, prepared, texts

WHOLE = {"blocks._ROW", "blocks._MAIN", "unconfirmed.entries._ROW", "unconfirmed.entries._STORED"}
"""What others are made of, and what checks read."""
SMALL = ("jobs", "meta", "mempool_totals", "peers", "processes")
"""Tables of few rows, which are read as they are."""
_HASH = "sha256(({})::text::bytea)"
_PAYLOAD = "sha256(({})::text::bytea) || '\\x00'::bytea"
_ZEROS = "decode(repeat('00', {}), 'hex')"
FILL = (
    f"INSERT INTO blocks SELECT n, {_HASH.format('n')}, {_HASH.format('n - 1')}, n,"
    f" decode(lpad(to_hex(n), 64, '0'), 'hex'), 'connected', true, NULL, {_ZEROS.format(80)}, 500, 3,"
    f" {_ZEROS.format(33)}, 0, 0, 0, 0, 0, (random() * 2 ^ 48)::bigint FROM generate_series(0, 20000) n",
    f"INSERT INTO bodies SELECT n, part * 20, {_ZEROS.format(300)}, {_ZEROS.format(8)}"
    " FROM generate_series(0, 20000) n, generate_series(0, 1) part",
    f"INSERT INTO accounts SELECT n, {_PAYLOAD.format('n')}, n, n FROM generate_series(1, 20000) n",
    f"INSERT INTO transactions SELECT {_HASH.format('n')}, n / 3, n % 3 FROM generate_series(0, 60000) n",
    "INSERT INTO account_history SELECT n % 20000 + 1, n / 3, n % 3 FROM generate_series(0, 60000) n",
    "INSERT INTO mempool (txid, sender, sequence, receiver, cost, fee, fee_rate, size, ready, raw, head)"
    f" SELECT {_HASH.format('n')}, {_PAYLOAD.format('n % 2000')}, n / 2000, {_PAYLOAD.format('n % 1000')}, 9, 1,"
    f" (random() * 1000000)::bigint, 150, n % 10 < 9, {_ZEROS.format(150)}, n < 2000 FROM generate_series(0, 40000) n",
    "INSERT INTO mempool_totals VALUES (1, 40001, 6000150)",
    f"INSERT INTO assets SELECT n, {_HASH.format('n')}, {_PAYLOAD.format('n % 100')}, 'SYM' || n % 500, 'name', 0,"
    f" {_HASH.format('0')}, 1000, 1000, 0, n FROM generate_series(1, 10000) n",
    "INSERT INTO holdings SELECT n % 20000 + 1, n % 10000 + 1, n + 1 FROM generate_series(0, 19999) n",
    "INSERT INTO asset_history SELECT n % 10000 + 1, n / 2, n % 2 FROM generate_series(0, 19999) n",
)
NUMBERS = {
    **{"at_most": 100, "most": 100, "others": 99, "end": 19_990, "start": 19_900, "height": 19_000, "lowest": 19_990},
    **{"number": 19_990, "before": 19_990, "last": 19_000},
}
"""As they are asked for; the rest is 5."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Of a database with many rows, which the server has had a look at."""
    from tests.kit.postgres.shared import shared

    databases = shared()
    from moneyer.node.store.backends.postgres.pg_address import conninfo
    from moneyer.node.store.backends.postgres.pg_engines import open_plainly

    with databases.ended():
        engine = open_plainly(conninfo(databases.fresh()))
        with engine.begin() as conn:
            metadata.create_all(conn)
            for each in FILL:
                conn.exec_driver_sql(each.replace("%", "%%"))
        with engine.connect() as conn:
            driver: Any = conn.connection.driver_connection
            driver.message(b"VACUUM ANALYZE")
        yield engine
        engine.dispose()


def value_of(kind: str, name: str) -> str:
    """A value of a type as SQL."""
    if kind.endswith("[]"):
        return f"ARRAY[{', '.join([value_of(kind[:-2], name)] * 4)}]::{kind}"
    if kind == "bytea":
        ending = "00" if name in ("sender", "payload", "receiver", "issuer", "whose") else ""
        return f"'\\x{sha256(b'77').hexdigest()}{ending}'::bytea"
    if kind in ("bigint", "integer"):
        return str(NUMBERS.get(name, 5))
    return "true" if kind == "boolean" else "'SYM7'"


def plan(conn: Connection, statement: Any, sql: str) -> list[str]:
    """The server's steps for a statement."""
    types = prepared(conn, sql)
    names: list[str] = [""] * len(types)
    constants: dict[str, Any] = {}
    if isinstance(statement, Query):
        _, names, constants = statement._sql(conn.dialect)
    elif isinstance(statement, Many) and len(statement._names) == len(types) and "unnest" not in sql:
        names = list(statement._names)
    values = [
        value_of(kind, name) if constants.get(name) is None else f"'{constants[name]}'"
        for kind, name in zip(types, names, strict=True)
    ]
    given = f"({', '.join(values)})" if values else ""
    driver: Any = conn.connection.driver_connection
    result = driver.message(f"EXPLAIN EXECUTE it{given}".encode())
    return [result.get_value(row, 0).decode() for row in range(result.ntuples)]


def test_no_kept_statement_reads_a_whole_table(engine: Engine) -> None:
    scans = {}
    for where, statement in kept().items():
        for sql in texts(statement, engine.dialect):
            with engine.begin() as conn:
                steps = plan(conn, statement, sql)
            found = [step for step in steps if "Seq Scan on " in step]
            if large := [step for step in found if step.split("Seq Scan on ")[1].split()[0] not in SMALL]:
                scans[where] = large
    assert scans.keys() <= WHOLE, scans
