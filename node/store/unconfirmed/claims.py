"""What waiting spends claim beyond the coin (rules 2): units of assets, room to mint, a height or a time that has come.

Policy is `node.chain.mempool` and `node.chain.settle`: what a sender has in the pool is covered in sum by what is
confirmed, the coin in `entries`, each asset here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlalchemy import BigInteger, BindParameter, Connection, bindparam, func, select, true

from ...core.codec import Outline
from ...core.ledger import spend_locks
from ...core.policy import NO_LOCKS, Locks
from ...core.types import COIN_ASSET, Issue, Mint, Spend, Transfer
from ..backends.statements import Among, Query
from ..tables import NONE, accounts, assets, holdings, mempool


class Claim(NamedTuple):
    """What one spend claims."""

    asset: bytes | None = None
    """None for the coin, and for an issue: its asset is not there yet."""
    amount: int = 0
    """Units that leave the sender's holding."""
    mints: int = 0
    """Units that it makes."""
    locks: Locks = NO_LOCKS


NO_CLAIM = Claim()


class AssetView(NamedTuple):
    """What policy needs to know of an asset and one sender."""

    issuer: bytes
    held: int
    """Confirmed units of the sender."""
    room: int
    """Confirmed: units that may still be minted."""
    pool_amount: int
    """Units that leave the sender's holding by what is in the pool, the asked sequence left out."""
    pool_mints: int
    """The same of units that the sender mints."""


def claim_of(spend: Spend) -> Claim:
    """What a spend that passed the checks in isolation claims."""
    if isinstance(spend, Transfer):
        return NO_CLAIM
    locks = spend_locks(spend)
    if isinstance(spend, Issue) or spend.asset == COIN_ASSET:
        return Claim(locks=locks)
    if isinstance(spend, Mint):
        return Claim(spend.asset, mints=spend.amount, locks=locks)
    return Claim(spend.asset, amount=spend.amount, locks=locks)


def claim_of_outline(outline: Outline) -> Claim:
    """The same of an outline."""
    return NO_CLAIM if outline.envelope is None else claim_of(outline.envelope)


_sender: BindParameter[bytes] = bindparam("sender")
_asset: BindParameter[bytes] = bindparam("asset")
_sequence: BindParameter[int] = bindparam("sequence", type_=BigInteger)
_is_claim = (mempool.c.sender == _sender, mempool.c.asset == _asset)
_held = (
    select(holdings.c.amount)
    .join_from(holdings, accounts, accounts.c.account_id == holdings.c.account_id)
    .where(accounts.c.payload == _sender, holdings.c.asset_number == assets.c.asset_number)
    .correlate(assets)
    .scalar_subquery()
)
_SUMMED = (mempool.c.asset_amount, mempool.c.mints)
_in_pool = (
    select(*(func.coalesce(func.sum(column), NONE).label(column.name) for column in _SUMMED))
    .where(*_is_claim)
    .subquery()
)
"""Both sums by one look at `ix_mempool_asset` alone: a sender may have thousands of rows in the pool."""
_in_slot = (
    select(*(func.coalesce(func.sum(column), NONE).label(column.name) for column in _SUMMED))
    .where(*_is_claim, mempool.c.sequence == _sequence)
    .subquery()
)
"""What the spend that is judged would replace."""
_VIEW = Query(
    select(
        *(assets.c.issuer, func.coalesce(_held, NONE), assets.c.max_supply - assets.c.minted),
        *(_in_pool.c[column.name] - _in_slot.c[column.name] for column in _SUMMED),
    )
    .join_from(assets, _in_pool, true())
    .join(_in_slot, true())
    .where(assets.c.asset == _asset)
)
_SUMS = Among(
    select(
        *(mempool.c.sender, mempool.c.asset),
        *(func.sum(mempool.c.asset_amount), func.sum(mempool.c.mints)),
    )
    .where(mempool.c.asset.is_not(None))
    .group_by(mempool.c.sender, mempool.c.asset),
    mempool.c.sender,
)
_CLAIMS = Among(
    select(mempool.c.arrived, mempool.c.asset, mempool.c.asset_amount, mempool.c.mints).where(
        mempool.c.asset.is_not(None)
    ),
    mempool.c.sender,
)
_LOCKED = Query(
    select(mempool.c.arrived, mempool.c.sender).where(
        (mempool.c.lock_height > NONE) | (mempool.c.lock_time > NONE),
        (mempool.c.lock_height > bindparam("height", type_=BigInteger))
        | (mempool.c.lock_time > bindparam("time", type_=BigInteger)),
    )
)
_NO_SEQUENCE = -1


def view(conn: Connection, sender: bytes, asset: bytes, sequence: int = _NO_SEQUENCE) -> AssetView | None:
    """An asset and a sender's part in it, confirmed and in the pool; None where there is no such asset.

    `sequence`: of the spend that is judged, which may replace one in the pool.
    """
    row = _VIEW.one(conn, sender=sender, asset=asset, sequence=sequence)
    return None if row is None else AssetView(*row)


def uncovered(conn: Connection, senders: Collection[bytes]) -> set[bytes]:
    """Those of `senders` whose claims in the pool are more, in sum, than what is confirmed."""
    found = set()
    for sender, asset, amount, mints in list(_SUMS.rows(conn, list(senders))):
        state = view(conn, sender, asset)
        if state is None or amount > state.held or mints > state.room:
            found.add(sender)
    return found


def of_senders(conn: Connection, senders: Collection[bytes]) -> dict[int, Claim]:
    """What those senders' spends in the pool claim of assets, by `arrived`; those that claim nothing are left out."""
    return {arrived: Claim(*claim) for arrived, *claim in _CLAIMS.rows(conn, list(senders))}


def locked(conn: Connection, height: int, median_time_past: int) -> Iterator[tuple[int, bytes]]:
    """(arrived, sender) of what is locked in a block of this height and median_time_past."""
    return ((arrived, sender) for arrived, sender in _LOCKED.rows(conn, height=height, time=median_time_past))


class Purse:
    """What is left of one sender's assets, and of its room to mint, as one spend after the other is granted."""

    def __init__(self, conn: Connection, sender: bytes) -> None:
        self._conn = conn
        self._sender = sender
        self._left: dict[bytes, list[int]] = {}
        """By asset: units, room to mint; below 0 where there is no such asset."""

    def take(self, claim: Claim) -> bool:
        """Whether a claim is covered by what is left; taken then."""
        if claim.asset is None:
            return True
        left = self._left.get(claim.asset)
        if left is None:
            state = view(self._conn, self._sender, claim.asset)
            left = [-1, -1] if state is None else [state.held, state.room if state.issuer == self._sender else -1]
            self._left[claim.asset] = left
        room = left[1] if claim.mints else 0
        if claim.amount > left[0] or claim.mints > room:
            return False
        left[0] -= claim.amount
        left[1] -= claim.mints
        return True
