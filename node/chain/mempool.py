"""The one door for a transfer, and the mempool's policy (`docs/protocol.md`, Mempool): what may wait, what is evicted.

The rows are in the database, so that a restart keeps them and the worker sees them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from time import monotonic
from typing import Generic, TypeVar

from sqlalchemy import Connection

from ..core import codec, ledger, rules
from ..core.errors import MempoolFull, RuleError
from ..core.template import fee_rate
from ..core.types import NO_ACCOUNT, Account, Spend, Transfer
from ..store import accounts
from ..store.engine import Store
from ..store.errors import StoreUnavailable
from ..store.unconfirmed import claims
from ..store.unconfirmed import entries as rows
from ..store.unconfirmed.eviction import Victim, evict, fill_gap, worst
from ..store.unconfirmed.intake import Intake
from ..store.unconfirmed.senders import Known, SenderIndex
from .pool_policy import PoolPolicy
from .signatures import verify_signatures

T = TypeVar("T")
V = TypeVar("V")

AT_ONCE = 500
"""Transfers that one commit takes at most, so that no block waits long behind them: some 25 ms of processor."""

_MOST_SIGNATURES = 8_192
_WARY_SECONDS = 10.0
_ANY_LOOK = nullcontext()

READY, WAITING, CONFIRMED = "ready", "waiting", "confirmed"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A transfer that is in the mempool. `status`: ready, waiting or confirmed; `known`: it was there before."""

    txid: bytes
    status: str
    known: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A transfer that is offered. `is_signed`: it is in the pool or confirmed, so its signature was checked before."""

    txid: bytes
    transfer: Spend
    replace: bool = True
    is_signed: bool = False


_Answer = Accepted | RuleError


class _CheckOnly(Exception):
    """Rolls a trial back: `check_transfer` goes as far as the write, and writes nothing."""

    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted


class BoundedCache(Generic[V]):
    """Keeps the `most` keys that were put last, each with its value. May be used by several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[bytes, V] = OrderedDict()

    def get(self, key: bytes) -> V | None:
        return self._values.get(key)

    def put(self, key: bytes, value: V) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)

    def pop(self, key: bytes) -> V | None:
        """Take the value out; None where there is none."""
        with self._lock:
            return self._values.pop(key, None)


class Mempool:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.coin = store.coin
        self._policy = PoolPolicy(store.coin, store.config.min_fee)
        self._signatures: BoundedCache[bool] = BoundedCache(_MOST_SIGNATURES)
        """Whether those of transfers are valid, by txid. It commits to the signature, so the verdict holds for ever."""
        self.senders = SenderIndex()
        """What the transfers that came say of their senders: the next ones are judged without a query."""
        self._wary_until = 0.0
        """By the monotonic clock. Until then the database is asked before signatures are verified, because lately a
        transfer was refused or known already. Otherwise a single transfer goes straight to the writer, which asks
        anyway: a read costs more than verifying a signature."""
        self.computing = threading.Lock()
        """Held by who works through many transfers, never while waiting: the interpreter has one thread compute at a
        time, and the more of them want to, the longer everybody else waits for each turn."""

    def accept_transfer(
        self, transfer: Spend, *, replace: bool = True, look: AbstractContextManager[object] = _ANY_LOOK
    ) -> Accepted:
        """Take a signed transfer; durable when this returns. Raises RuleError, PolicyError or StoreUnavailable.

        `replace`: whether it may take the place of a waiting one with its sequence; if not, that is BadSequence.
        `look` is held while this computes, and not while it waits for the write. Raises what `look` does.
        """
        wanted = _Wanted(codec.txid(transfer), transfer, replace)
        rules.check_transaction_in_isolation(transfer, self.coin.rules)
        try:
            accepted = self._accept_one(wanted, look)
        except RuleError:
            self._be_wary()
            raise
        if accepted.known:
            self._be_wary()
        return accepted

    def _accept_one(self, wanted: _Wanted, look: AbstractContextManager[object]) -> Accepted:
        known = self._look_at(wanted, look, asks=monotonic() < self._wary_until)
        return known if known is not None else self._store.write_item(self._take_all, wanted)

    def _look_at(self, wanted: _Wanted, look: AbstractContextManager[object], *, asks: bool) -> Accepted | None:
        """What is known of a transfer; else None, and its signature is right. `asks`: whether the database is asked.

        Raises RuleError, PolicyError.
        """
        with look:
            known = self._foresee_one(wanted) if asks and not self._expects(wanted, {}) else None
            if known is None:
                self._check_signature(wanted)
        return known

    def _be_wary(self) -> None:
        self._wary_until = monotonic() + _WARY_SECONDS

    def _take_all(self, conn: Connection, wanted: Sequence[_Wanted]) -> list[_Answer]:
        answers: list[_Answer] = []
        with Intake(conn, self.senders) as intake:
            for each in wanted:
                try:
                    answers.append(self.take(intake, each.txid, each.transfer, replace=each.replace))
                except RuleError as error:
                    answers.append(_verdict(error))
        return answers

    def accept_transfers(self, transfers: Sequence[Spend]) -> list[_Answer]:
        """Take several in one commit; answers in their order, an error for each that was refused.

        Blocks wait for that commit, so a caller gives at most `AT_ONCE` at a time.
        """
        with self.computing:
            problems: list[_Answer | None] = [
                _problem_of(rules.check_transaction_in_isolation, each, self.coin.rules) for each in transfers
            ]
            wanted = [_Wanted(codec.txid(transfer), transfer) for transfer in transfers]
        whole = [each for each, problem in zip(wanted, problems, strict=True) if problem is None]
        taken = iter(self._accept_whole(whole) if whole else ())
        answers = [next(taken) if problem is None else problem for problem in problems]
        if any(isinstance(answer, RuleError) for answer in answers):
            self._be_wary()
        return answers

    def _accept_whole(self, wanted: Sequence[_Wanted]) -> list[_Answer]:
        """The same for transfers that passed the checks in isolation: state first, then signatures, then the write."""
        with self.computing, self._store.read() as conn:
            foreseen = self._foresee(conn, wanted)
        open_ones = [each for each in foreseen if isinstance(each, _Wanted)]
        problems = self._signature_problems(open_ones)
        good = [each for each, problem in zip(open_ones, problems, strict=True) if problem is None]
        taken = iter(self._store.write(lambda conn: self._take_all(conn, good), clean=True) if good else ())
        checked = iter([next(taken) if problem is None else problem for problem in problems])
        return [next(checked) if isinstance(each, _Wanted) else each for each in foreseen]

    def check_transfer(
        self, transfer: Spend, *, replace: bool = True, look: AbstractContextManager[object] = _ANY_LOOK
    ) -> Accepted:
        """Answers as `accept_transfer` would, and changes nothing."""
        wanted = _Wanted(codec.txid(transfer), transfer, replace)
        rules.check_transaction_in_isolation(transfer, self.coin.rules)
        known = self._look_at(wanted, look, asks=True)
        if known is not None:
            return known

        def trial(conn: Connection) -> None:
            with Intake(conn, SenderIndex()) as intake:
                raise _CheckOnly(self.take(intake, wanted.txid, transfer, replace=replace))

        try:
            self._store.write(trial)
        except _CheckOnly as answer:
            return answer.accepted
        raise StoreUnavailable("the trial did not run")

    def next_sequence(self, payload: bytes) -> int:
        """The sequence of the sender's next transfer, behind what is ready in the pool."""
        with self._store.read() as conn:
            return rows.view(conn, payload, 0, pool_cost=0).run_end

    def _foresee_one(self, wanted: _Wanted) -> Accepted | None:
        """Looks for an answer that does not depend on the signature; None where only a write can tell.

        Raises RuleError or PolicyError where the database says already that it cannot be taken.
        """
        transfer = wanted.transfer
        with self._store.read() as conn:
            view = rows.view(conn, transfer.sender, transfer.sequence, wanted.txid)
            known = _known(wanted.txid, view)
            if known is None:
                self._policy.check(transfer, view, conn, replace=wanted.replace)
                self._check_room(conn, transfer, view)
        return known

    def _expects(self, wanted: _Wanted, before: dict[bytes, Known]) -> bool:
        """Whether a transfer will be taken, by what was so at the last write: then nothing is asked before the write.

        `before`: senders as the transfers before it in a batch leave them, which are taken too. Moved on with this one.
        """
        transfer = wanted.transfer
        known = before.get(transfer.sender) or self.senders.get(transfer.sender)
        if known is None or not known.takes(transfer) or claims.claim_of(transfer) != claims.NO_CLAIM:
            return False
        view = known.view(self.senders.pool_bytes)
        try:
            self._policy.check(transfer, view, None, replace=wanted.replace)
        except RuleError:
            return False
        if self._is_full(transfer, view, 0):
            return False
        before[transfer.sender] = known.after(transfer.cost)
        return True

    def _foresee(self, conn: Connection, wanted: Sequence[_Wanted]) -> list[_Answer | _Wanted]:
        """For each transfer its answer, where it is certain without the signature; else the transfer, to be checked."""
        room = self._store.config.mempool_bytes - rows.totals(conn)[1]
        is_tight = room < sum(codec.transaction_size(each.transfer) for each in wanted)
        before: dict[bytes, Known] = {}
        expected = {each.txid for each in wanted if not is_tight and self._expects(each, before)}
        states = accounts.states(conn, {each.transfer.sender for each in wanted if each.txid not in expected})
        open_senders: set[bytes] = set()
        costs: dict[bytes, int] = {}
        answers: list[_Answer | _Wanted] = []
        for each in wanted:
            sender = each.transfer.sender
            if each.txid in expected:
                answers.append(each)
                open_senders.add(sender)
                continue
            # One that is still open may change the sender's run; where the pool may get full, anybody's.
            is_sure = sender not in open_senders and not (is_tight and open_senders)
            try:
                answer = self._foretell(conn, each, states.get(sender, NO_ACCOUNT), costs, is_sure=is_sure)
            except RuleError as error:
                answers.append(_verdict(error))
                continue
            answers.append(answer)
            if isinstance(answer, _Wanted):
                open_senders.add(sender)
        return answers

    def _foretell(
        self, conn: Connection, wanted: _Wanted, account: Account, costs: dict[bytes, int], *, is_sure: bool
    ) -> Accepted | _Wanted:
        """`costs`: of what senders have in the pool, as far as it was summed; `is_sure`: nothing changes it before."""
        transfer = wanted.transfer
        if transfer.sequence >= account.sequence and transfer.cost > account.balance:
            raise self._policy.unfunded(transfer, account.balance, account.balance)
        sender = transfer.sender
        view = rows.view(conn, sender, transfer.sequence, wanted.txid, pool_cost=costs.get(sender))
        costs[sender] = view.pool_cost
        known = _known(wanted.txid, view)
        if known is not None:
            return known if is_sure else replace(wanted, is_signed=True)
        if is_sure:
            self._policy.check(transfer, view, conn, replace=wanted.replace)
            self._check_room(conn, transfer, view)
        return wanted

    def _check_signature(self, wanted: _Wanted) -> None:
        (problem,) = self._signature_problems([wanted])
        if problem is not None:
            raise problem
        self._signatures.put(wanted.txid, True)

    def _signature_problems(self, wanted: Sequence[_Wanted]) -> list[RuleError | None]:
        verdicts = {each.txid: each.is_signed or self._signatures.get(each.txid) for each in wanted}
        unchecked = [each for each in wanted if verdicts[each.txid] is None]
        found = verify_signatures(self.coin.chain_id, [each.transfer for each in unchecked]) if unchecked else []
        for each, is_valid in zip(unchecked, found, strict=True):
            verdicts[each.txid] = is_valid
            if not is_valid:
                self._signatures.put(each.txid, False)
        return [None if verdicts[each.txid] else _verdict(ledger.bad_signature()) for each in wanted]

    def take(self, intake: Intake, txid: bytes, transfer: Spend, *, replace: bool = True) -> Accepted:
        """Policy, within a write transaction, for a transfer that passed every check on its own.

        Raises RuleError or PolicyError, and nothing has changed then.
        """
        view = intake.view(txid, transfer)
        known = _known(txid, view)
        if known is not None:
            return known
        conn = None if isinstance(transfer, Transfer) else intake.seeing(transfer.sender)
        self._policy.check(transfer, view, conn, replace=replace)
        is_ready = transfer.sequence <= view.run_end
        is_full = self._is_full(transfer, view, intake.size)
        if is_full:
            self._check_room(intake.insert(), transfer, view)
        fills_gap = is_ready and view.is_followed
        if not (is_full or fills_gap or view.slot_txid is not None):
            intake.add(txid, transfer, ready=is_ready, head=transfer.sequence == view.account.sequence)
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
            intake.recount()
        return Accepted(txid, READY if is_ready else WAITING, known=False)

    def _is_full(self, transfer: Spend, view: rows.SenderView, size: int) -> bool:
        """Whether another transfer must be evicted for this one. `size`: bytes not in the pool's totals yet."""
        return view.pool_bytes + size + codec.transaction_size(transfer) > self._store.config.mempool_bytes

    def _check_room(self, conn: Connection, transfer: Spend, view: rows.SenderView) -> None:
        """Raises MempoolFull where the transfer itself would be the first to go. Everything added is inserted."""
        if view.slot_txid is not None or not self._is_full(transfer, view, 0):
            return
        first = worst(conn)
        is_ready = transfer.sequence <= view.run_end
        if first is not None and (is_ready, fee_rate(transfer)) <= (first.ready, first.fee_rate):
            raise _full()

    def _make_room(self, conn: Connection, txid: bytes, newcomer: Spend) -> list[Victim]:
        """Evict until the pool fits. Raises MempoolFull where the newcomer, or what it stands on, would have to go."""
        evicted = []
        for victim in self._victims(conn):
            stands_on = victim.ready and victim.sender == newcomer.sender
            if victim.txid == txid or (stands_on and victim.sequence < newcomer.sequence):
                raise _full()
            evict(conn, victim)
            evicted.append(victim)
        return evicted

    def _victims(self, conn: Connection) -> Iterator[Victim]:
        """Transfers to evict while the pool is too large: waiting before ready, the lowest fee per byte first."""
        while rows.totals(conn)[1] > self._store.config.mempool_bytes:
            victim = worst(conn)
            if victim is None:
                return
            yield victim


def _problem_of(check: Callable[[T, int], None], subject: T, coin_rules: int) -> RuleError | None:
    try:
        check(subject, coin_rules)
    except RuleError as error:
        return _verdict(error)
    return None


def _verdict(error: RuleError) -> RuleError:
    """The error without its traceback, whose frames would keep the list of all answers alive.

    Of thousands of refused transfers that would be much memory, and long work for the garbage collector, which stops
    every thread.
    """
    return error.with_traceback(None)


def _full() -> MempoolFull:
    return MempoolFull("the mempool is full of transfers that pay more: a higher fee gets in")


def _known(txid: bytes, view: rows.SenderView) -> Accepted | None:
    if view.pool_ready is not None:
        return Accepted(txid, READY if view.pool_ready else WAITING, known=True)
    return Accepted(txid, CONFIRMED, known=True) if view.is_confirmed else None
