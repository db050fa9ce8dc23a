"""The mempool's policy (`docs/protocol.md`, Mempool): which transfers wait for a block, and which go first.

The rows are in the database, so that a restart keeps them and the worker sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from node.core import codec, ledger, rules
from node.core.errors import (
    BadSequence,
    FeeTooLow,
    InsufficientFunds,
    MempoolFull,
    RuleError,
    SequenceGap,
)
from node.core.hashing import show
from node.core.types import NO_ACCOUNT, Block, Transfer
from node.signatures import check_signatures
from node.store import accounts
from node.store import mempool as rows
from node.store.engine import Store
from node.store.errors import StoreUnavailable
from node.store.eviction import Victim, evict, fill_gap, worst
from node.store.intake import Intake

T = TypeVar("T")

MAX_GAP = 64
"""Sequences that a waiting transfer may be ahead of the sender's next one."""

AT_ONCE = 250
"""Transfers that one commit takes at most, so that no block waits long behind them."""

READY, WAITING, CONFIRMED = "ready", "waiting", "confirmed"


@dataclass(frozen=True, slots=True)
class Accepted:
    """`status`: ready, waiting or confirmed; `known`: it was here before."""

    txid: bytes
    status: str
    known: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    txid: bytes
    transfer: Transfer
    replace: bool


class _CheckOnly(Exception):
    """Rolls a trial back."""

    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted


class Mempool:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.coin = store.coin

    def accept_transfer(self, transfer: Transfer, *, replace: bool = True) -> Accepted:
        """Take a signed transfer; durable when this returns. Raises RuleError, PolicyError or StoreUnavailable.

        `replace`: whether it may take the place of a waiting one with its sequence; if not, that is BadSequence.
        """
        self._check_alone(transfer)
        return self._store.write_item(self._take_all, _Wanted(codec.txid(transfer), transfer, replace))

    def _take_all(self, conn: Connection, wanted: Sequence[_Wanted]) -> list[Accepted | RuleError]:
        answers: list[Accepted | RuleError] = []
        with Intake(conn) as intake:
            for each in wanted:
                try:
                    answers.append(self.take(intake, each.txid, each.transfer, replace=each.replace))
                except RuleError as error:
                    answers.append(error)
        return answers

    def accept_transfers(self, transfers: Sequence[Transfer]) -> list[Accepted | RuleError]:
        """Several in one commit, in order; what was refused stands as its error.

        Blocks wait for that commit: who has more than `AT_ONCE` of them comes again with the rest.
        """
        problems = self._problems(transfers)
        good = [
            _Wanted(codec.txid(transfer), transfer, replace=True)
            for transfer, problem in zip(transfers, problems, strict=True)
            if problem is None
        ]
        taken = iter(self._store.write(lambda conn: self._take_all(conn, good), clean=True))
        return [next(taken) if problem is None else problem for problem in problems]

    def check_transfer(self, transfer: Transfer, *, replace: bool = True) -> Accepted:
        """What `accept_transfer` would say; changes nothing."""
        self._check_alone(transfer)

        def trial(conn: Connection) -> None:
            with Intake(conn) as intake:
                raise _CheckOnly(self.take(intake, codec.txid(transfer), transfer, replace=replace))

        try:
            self._store.write(trial)
        except _CheckOnly as answer:
            return answer.accepted
        raise StoreUnavailable("the trial did not run")

    def next_sequence(self, payload: bytes) -> int:
        """The sequence of the sender's next transfer, behind what is ready in the pool."""
        with self._store.read() as conn:
            return rows.view(conn, payload, 0, pool_cost=0).run_end

    def _check_alone(self, transfer: Transfer) -> None:
        (problem,) = self._problems([transfer])
        if problem is not None:
            raise problem

    def _problems(self, transfers: Sequence[Transfer]) -> list[RuleError | None]:
        """What is wrong with each by itself, whatever the chain and the pool."""
        problems = [_problem_of(rules.check_transaction_in_isolation, transfer) for transfer in transfers]
        whole = [transfer for transfer, problem in zip(transfers, problems, strict=True) if problem is None]
        valid = iter(check_signatures(self.coin.chain_id, whole))
        return [_problem_of(ledger.check_signature, next(valid)) if each is None else each for each in problems]

    def take(self, intake: Intake, txid: bytes, transfer: Transfer, *, replace: bool = True) -> Accepted:
        """Policy, within a write transaction, for a transfer that passed every check on its own.

        Raises RuleError or PolicyError, and nothing has changed then.
        """
        view = intake.view(txid, transfer)
        known = _known(txid, view)
        if known is not None:
            return known
        _check_sequence(transfer, view)
        if not replace and view.slot_txid is not None:
            raise BadSequence(
                f"a transfer with the sender's sequence {transfer.sequence} waits already: the next is {view.run_end}",
                expected=view.run_end,
                found=transfer.sequence,
            )
        self._check_fee(transfer, view)
        self._check_funds(transfer, view)
        is_ready = transfer.sequence <= view.run_end
        is_full = view.pool_bytes + intake.size + codec.transaction_size(transfer) > self._store.config.mempool_bytes
        fills_gap = is_ready and view.is_followed
        if not (is_full or fills_gap or view.slot_txid is not None):
            intake.add(txid, transfer, ready=is_ready)
        else:
            conn = intake.insert()
            evicted: list[Victim] = []
            with conn.begin_nested() if is_full else nullcontext():
                if view.slot_txid is not None:
                    rows.remove(conn, [view.slot_txid])
                rows.add(conn, txid, transfer, ready=is_ready)
                if fills_gap:
                    fill_gap(conn, transfer.sender, transfer.sequence)
                if is_full:
                    evicted = self._make_room(conn, txid, transfer)
            for victim in evicted:
                intake.spend(victim.sender, -victim.cost)
        intake.spend(transfer.sender, transfer.cost - view.slot_cost)
        return Accepted(txid, READY if is_ready else WAITING, known=False)

    def _check_fee(self, transfer: Transfer, view: rows.SenderView) -> None:
        least = self._store.config.min_fee
        if transfer.fee < least:
            raise FeeTooLow(
                f"this node asks a fee of at least {self.coin.in_coins(least)}", expected=least, found=transfer.fee
            )
        if view.slot_txid is not None:
            least = max(view.slot_fee + 1, -(-view.slot_fee * 11 // 10))
            if transfer.fee < least:
                raise FeeTooLow(
                    f"another transfer has sequence {transfer.sequence}: "
                    f"to replace it takes a fee of at least {self.coin.in_coins(least)}",
                    expected=least,
                    found=transfer.fee,
                    replaces=show(view.slot_txid),
                )

    def _check_funds(self, transfer: Transfer, view: rows.SenderView) -> None:
        free = view.account.balance - (view.pool_cost - view.slot_cost)
        if transfer.cost > free:
            balance, spendable, cost = map(self.coin.in_coins, (view.account.balance, free, transfer.cost))
            raise InsufficientFunds(
                f"the sender has {balance} confirmed, of which {spendable} are not spoken for; "
                f"amount and fee are {cost}",
                expected=f"at most {free}",
                found=transfer.cost,
            )

    def _make_room(self, conn: Connection, txid: bytes, newcomer: Transfer) -> list[Victim]:
        """Evict until the pool fits. Raises MempoolFull where the newcomer, or what it stands on, would have to go."""
        evicted = []
        for victim in self._victims(conn):
            stands_on = victim.ready and victim.sender == newcomer.sender
            if victim.txid == txid or (stands_on and victim.sequence < newcomer.sequence):
                raise MempoolFull("the mempool is full of transfers that pay more: a higher fee gets in")
            evict(conn, victim)
            evicted.append(victim)
        return evicted

    def _victims(self, conn: Connection) -> Iterator[Victim]:
        """Who has to go while the pool is too large: waiting before ready, the lowest fee per byte first."""
        while rows.totals(conn)[1] > self._store.config.mempool_bytes:
            victim = worst(conn)
            if victim is None:
                return
            yield victim

    def put_back(self, conn: Connection, disconnected: Iterable[tuple[Block, Sequence[bytes]]]) -> set[bytes]:
        """The transfers of these blocks are in the pool again, all of them waiting until their senders are settled.

        `disconnected`: each with its txids, oldest first; one at a time is in memory. Gives those of the accounts that
        they touch who have something in the pool. No fee is asked. At most a whole pool's bytes come back, the oldest.
        """
        room = self._store.config.mempool_bytes
        senders: set[bytes] = set()
        taken: set[tuple[bytes, int]] = set()
        for block, txids in disconnected:
            # Of senders seen before, what the pool had is known: since then they only got their own transfers back.
            slots = rows.slots_of(conn, ledger.payloads_of(block) - senders)
            taken |= slots
            senders.update(sender for sender, _ in slots)
            if room < 0:
                continue
            back = []
            for txid, transfer in _unconfirmed(conn, block, txids):
                if (transfer.sender, transfer.sequence) in taken:
                    continue
                room -= codec.transaction_size(transfer)
                if room < 0:  # nor does any after it come back: its sender's would wait for it
                    break
                back.append((txid, transfer, False))
            rows.add_many(conn, back)
            senders.update(transfer.sender for _, transfer, _ in back)
        return senders

    def shrink(self, conn: Connection) -> None:
        """Evict what is over the pool's bytes."""
        for victim in self._victims(conn):
            evict(conn, victim)


def _unconfirmed(conn: Connection, block: Block, txids: Sequence[bytes]) -> Iterator[tuple[bytes, Transfer]]:
    """Those transfers of a block, each with its txid, whose sequence no transfer on the main chain has."""
    transfers = ledger.transfers_of(block)
    states = accounts.states(conn, {transfer.sender for transfer in transfers})
    for txid, transfer in zip(txids[1:], transfers, strict=True):
        if transfer.sequence >= states.get(transfer.sender, NO_ACCOUNT).sequence:
            yield txid, transfer


def _problem_of(check: Callable[[T], None], subject: T) -> RuleError | None:
    try:
        check(subject)
    except RuleError as error:
        return error
    return None


def _known(txid: bytes, view: rows.SenderView) -> Accepted | None:
    if view.pool_ready is not None:
        return Accepted(txid, READY if view.pool_ready else WAITING, known=True)
    return Accepted(txid, CONFIRMED, known=True) if view.is_confirmed else None


def _check_sequence(transfer: Transfer, view: rows.SenderView) -> None:
    if transfer.sequence < view.account.sequence:
        raise BadSequence(
            f"the sender's sequence {transfer.sequence} is used: the next one is {view.account.sequence}",
            expected=view.run_end,
            found=transfer.sequence,
        )
    if transfer.sequence > view.run_end + MAX_GAP:
        raise SequenceGap(
            f"the sender's next sequence is {view.run_end}: {transfer.sequence} is more than {MAX_GAP} ahead",
            expected=f"{view.run_end} to {view.run_end + MAX_GAP}",
            found=transfer.sequence,
        )
