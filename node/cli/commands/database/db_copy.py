"""`moneyer db copy`; `db backup` and `db restore` of a server's database are copies too."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...exits import UNKNOWN, Ended, effect
from ...options import FILE, as_json, option, unsafe_database
from .db_bars import bar
from .db_place import end_of, tell

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ....core.coin import Coin
    from ....store.copying.copy_chain import Copied, Progress
    from ....store.copying.copy_ends import End


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@option("--new-identity", is_flag=True, help="The copy is another node's, which may run beside the first.")
@option("--coin", type=FILE, metavar="FILE", help="The coin of a file that does not say it.")
@option("--no-verify", is_flag=True, help="Check counts, links and sums alone, and not every block.")
@unsafe_database
@as_json
def copy(
    source: str, target: str, new_identity: bool, coin: Path | None, no_verify: bool, unsafe_database: bool, json: bool
) -> None:
    """Copy a chain to another database: between SQLite and PostgreSQL, either way.

    FROM and TO: a data folder, a file (with a dot in its name), or the URL of a PostgreSQL database. FROM is only read,
    also while its node runs; TO must be empty or not there, and is whole at the end or nothing. A password need not
    stand in the URL: PGPASSWORD and ~/.pgpass work too.

    \b
    moneyer db copy ~/beach postgresql://db.example/beach
    moneyer db copy postgresql://db.example/beach ~/beach-again
    """
    from ....devnet.coinfiles import read_coin

    given = None if coin is None else read_coin(coin)
    begins, ends = end_of(source), end_of(target, unsafe=unsafe_database)
    copied = copied_to(begins, ends, coin=given, new_identity=new_identity, is_proved=not no_verify)
    sentence = f"{begins.shown} was copied to {ends.shown}: {said(copied)}"
    if not no_verify:
        sentence += ", and every block of it is right"
    if not new_identity:
        sentence += (
            f"\nBoth are the same node now: run one of them. From here on start it on {ends.shown}, and "
            f"{begins.shown} no more"
        )
    tell(sentence, _report(begins, ends, copied, not no_verify) if json else None)


def copied_to(
    begins: End, ends: End, *, coin: Coin | None = None, new_identity: bool = False, is_proved: bool = False
) -> Copied:
    """Copy, with a bar. `is_proved`: every block is checked before the copy can be seen.

    Raises StoreRefused and BadCoin where there is no copy; Ended where that is not known.
    """
    from ....store.copying.copy_chain import copy_chain
    from ....store.errors import StoreLost

    try:
        with bar() as progress:
            copied = copy_chain(
                begins,
                ends,
                coin=coin,
                new_identity=new_identity,
                prove=partial(_prove, progress) if is_proved else None,
                progress=progress,
            )
    except StoreLost as error:
        raise Ended(error.message, UNKNOWN) from None
    effect().done(f"The copy {ends.shown} was made")
    return copied


def said(copied: Copied) -> str:
    """What was copied, for a sentence."""
    return f"the chain up to height {copied.height}, {sum(copied.rows.values()):,} rows"


def _prove(progress: Progress, conn: Connection, coin: Coin) -> None:
    """Every block of the copy. Raises StoreDamaged."""
    from ....chain.verify import prove_copy

    prove_copy(conn, coin, partial(progress, "verifying"))


def _report(begins: End, ends: End, copied: Copied, is_proved: bool) -> dict[str, Any]:
    from ....core.codec import show

    return {
        "from": begins.shown,
        "to": ends.shown,
        "height": copied.height,
        "tip": show(copied.tip),
        "node_id": copied.node_id,
        "rows": copied.rows,
        "verified": is_proved,
    }
