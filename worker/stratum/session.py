"""A session: the protocol with one miner, with no socket in it. Lines in, lines out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...node.core import pow
from ...node.core.codec import sha256d
from ...node.system.text import is_visible, shown
from ...node.system.words import quoted
from . import protocol
from .jobs import EXTRANONCE2_SIZE, VERSION_MASK, Base, Job
from .protocol import StratumError, hex_bytes, hex_number
from .vardiff import Vardiff

_KEPT_JOBS = 16
"""Jobs of a miner that shares may still come for."""
_MAX_USERS = 64
"""User names of one connection (a proxy has many)."""
_MAX_USER = 160
"""Characters of a user name: an address, a rig and a difficulty."""
MAX_SHARES = 20_000
"""Shares of the jobs that are kept, to find duplicates; with a difficulty that fits there are far fewer."""


class SessionOwner(Protocol):
    """What a session needs of the server."""

    def payee(self, user: str) -> bytes:
        """The payload that a user name stands for. Raises StratumError."""
        ...

    def job(self, receiver: bytes, *, fresh: bool) -> Job | None:
        """The job for `receiver`; None: there is nothing to mine now. `fresh`: a job that nobody else has."""
        ...

    def latest(self) -> int:
        """The latest timestamp that the chain takes now."""
        ...

    def clock(self) -> float:
        """Seconds that only go forward."""
        ...

    def accepted(self, user: str, difficulty: float) -> None:
        """Count a share."""
        ...

    def rejected(self, user: str, error: StratumError) -> None:
        """Count a share that was refused."""
        ...

    def solved(self, user: str, job: Job, header: bytes, extranonces: bytes) -> None:
        """Offer a share that is a block to the chain."""
        ...


@dataclass(slots=True, eq=False)
class SentJob:
    """A job that this miner was told of, and what its shares count."""

    job: Job
    difficulty: float
    """Difficulty of its shares when it was sent."""
    easiest: float
    """The lowest difficulty that the miner was told since."""
    stretch: int
    """The vardiff's `stretch` when it was sent: shares of an older difficulty must not change the present one."""
    seen: set[bytes] = field(default_factory=set)
    """Block hashes of its shares."""


class Session:
    """One connection's state: users, jobs sent, difficulty. Every method gives the lines to be sent."""

    def __init__(self, owner: SessionOwner, extranonce1: bytes, difficulty: float) -> None:
        self._owner = owner
        self._extranonce1 = extranonce1
        self._vardiff = Vardiff(difficulty, owner.clock())
        self._told: float | None = None
        self._mask = 0
        self.sent: OrderedDict[str, SentJob] = OrderedDict()
        """By the job's id, oldest first."""
        self._receiver: bytes | None = None
        self.users: list[str] = []
        self.agent = ""
        self.subscribed = False
        self.accepted = 0
        """Shares that were accepted."""
        self.faults = 0
        """Lines that were no messages."""

    @property
    def ready(self) -> bool:
        """Whether the miner is to be sent jobs: it has subscribed and authorized."""
        return self.subscribed and self._receiver is not None

    def handle(self, line: bytes) -> list[bytes]:
        """The lines to be sent for a line that came."""
        try:
            request = protocol.parse(line)
        except StratumError as error:
            self.faults += 1
            return [protocol.failure(None, error)]
        if request is None:
            return []
        method = _METHODS.get(request.method)
        try:
            if method is None:
                raise StratumError(protocol.OTHER, f"there is no method {quoted(request.method)} here")
            was_ready = self.ready
            result, more = method(self, request.params)
        except StratumError as error:
            return [] if request.id is None else [protocol.failure(request.id, error)]
        lines = more if request.id is None else [protocol.success(request.id, result), *more]
        return [*lines, *self.work(clean=True)] if self.ready and not was_ready else lines

    def work(self, *, clean: bool, fresh: bool = False) -> list[bytes]:
        """The lines that send the newest job. `clean`: older jobs are void."""
        if clean:
            self.sent.clear()
        job = None if self._receiver is None else self._owner.job(self._receiver, fresh=fresh)
        if job is None or job.job_id in self.sent:
            return []
        # Never harder than a block: a block is always a share.
        difficulty = min(self._vardiff.difficulty, job.base.difficulty)
        lines = []
        if difficulty != self._told:
            self._told = difficulty
            lines.append(protocol.notification("mining.set_difficulty", [difficulty]))
            for sent in self.sent.values():
                sent.easiest = min(sent.easiest, difficulty)
        self.sent[job.job_id] = SentJob(job, difficulty, difficulty, self._vardiff.stretch)
        if len(self.sent) > _KEPT_JOBS:
            self.sent.popitem(last=False)
        return [*lines, job.notify(clean=clean)]

    def look(self) -> list[bytes]:
        """To be called now and then: makes shares easier for a miner that brings few."""
        return self._changed() if self.ready and self._vardiff.look(self._owner.clock()) else []

    def _changed(self) -> list[bytes]:
        """Send a changed difficulty with a new job: many miners take a new difficulty only with the next job."""
        return self.work(clean=False, fresh=True)

    # methods: parameters -> (result, lines that follow it)

    def _subscribe(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        self.subscribed = True
        if params and isinstance(params[0], str):
            self.agent = shown(params[0], 60)
        name = self._extranonce1.hex()
        subscriptions = [["mining.set_difficulty", name], ["mining.notify", name]]
        return [subscriptions, name, EXTRANONCE2_SIZE], []

    def _authorize(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        user = params[0] if params else None
        if not isinstance(user, str) or not is_visible(user) or not 0 < len(user) <= _MAX_USER:
            raise StratumError(protocol.UNAUTHORIZED, "the user name is who gets the coins: an address or a name")
        who, wished = protocol.split_user(user)
        receiver = self._owner.payee(who)
        if self._receiver is not None and receiver != self._receiver:
            raise StratumError(protocol.UNAUTHORIZED, "a connection pays one address: open another for the other one")
        if user not in self.users:
            if len(self.users) == _MAX_USERS:
                raise StratumError(protocol.UNAUTHORIZED, f"a connection has at most {_MAX_USERS} users")
            self.users.append(user)
        asked = _asked_difficulty(params[1] if len(params) > 1 else None) or wished
        if asked is not None and self._receiver is None:
            self._vardiff.set(asked, self._owner.clock())
        self._receiver = receiver
        return True, []

    def _submit(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        user = self._user_of(params)
        try:
            difficulty, stretch = self._check(user, params)
        except StratumError as error:
            self._owner.rejected(user, error)
            raise
        self.accepted += 1
        self._owner.accepted(user, difficulty)
        return True, self._changed() if self._vardiff.share(difficulty, stretch, self._owner.clock()) else []

    def _user_of(self, params: list[Any]) -> str:
        if not self.subscribed:
            raise StratumError(protocol.NOT_SUBSCRIBED, "subscribe first")
        user = params[0] if params else None
        if not isinstance(user, str) or user not in self.users:
            raise StratumError(protocol.UNAUTHORIZED, "this user is not authorized on this connection")
        return user

    def _check(self, user: str, params: list[Any]) -> tuple[float, int]:
        """Check a share: the difficulty that it counts, and the stretch of its job. Raises StratumError."""
        if not 5 <= len(params) <= 6:
            raise StratumError(protocol.OTHER, "a share is [user, job, extranonce2, ntime, nonce(, version bits)]")
        job_id = params[1]
        sent = self.sent.get(job_id) if isinstance(job_id, str) else None
        if sent is None:
            raise StratumError(protocol.JOB_NOT_FOUND, "this job is over, or never was")
        job = sent.job
        extranonces = self._extranonce1 + hex_bytes(params[2], EXTRANONCE2_SIZE, "extranonce2")
        timestamp = hex_number(params[3], 4, "ntime")
        nonce = hex_number(params[4], 4, "the nonce")
        version = self._version(job.base, params[5] if len(params) == 6 else None)
        if not job.base.min_time <= timestamp <= self._owner.latest():
            raise StratumError(protocol.OTHER, "ntime is out of range")
        header = job.header(extranonces, version, timestamp, nonce)
        block_hash = sha256d(header)
        if block_hash in sent.seen:
            raise StratumError(protocol.DUPLICATE, "this share came before")
        number = pow.hash_number(block_hash)
        difficulty = _credit(sent, number)
        if sum(len(each.seen) for each in self.sent.values()) >= MAX_SHARES:
            raise StratumError(protocol.OTHER, "too many shares: take harder ones (mining.suggest_difficulty)")
        sent.seen.add(block_hash)
        if number <= job.base.target:
            self._owner.solved(user, job, header, extranonces)
        return difficulty, sent.stretch

    def _version(self, base: Base, given: Any) -> int:
        """The header's version with the bits that the miner rolled (BIP 320). Raises StratumError."""
        version = base.template.block.header.version
        if given is None:
            return version
        bits = hex_number(given, 4, "the version's bits")
        if bits & ~self._mask:
            raise StratumError(protocol.OTHER, f"only the version's bits {self._mask:08x} may be rolled")
        return version & ~self._mask | bits

    def _configure(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        """`mining.configure` (BIP 310): true or false for each extension, or a text that says what is wrong."""
        wanted = params[0] if params else None
        options = params[1] if len(params) > 1 and isinstance(params[1], dict) else {}
        if not isinstance(wanted, list) or len(wanted) > 32 or not all(isinstance(name, str) for name in wanted):
            raise StratumError(protocol.OTHER, "configure wants a list of extensions and an object of their parameters")
        result: dict[str, Any] = {}
        lines: list[bytes] = []
        for name in wanted:
            try:
                if name == "version-rolling":
                    mask = hex_number(options.get(f"{name}.mask", "ffffffff"), 4, "the mask")
                    self._mask = mask & VERSION_MASK
                    result |= {name: True, f"{name}.mask": f"{self._mask:08x}"}
                elif name == "minimum-difficulty":
                    lines = self._take_minimum(options.get(f"{name}.value"))
                    result[name] = True
                else:
                    result[shown(name, 40)] = name == "subscribe-extranonce"
            except StratumError as error:
                result[name] = error.message
        return result, lines

    def _take_minimum(self, given: Any) -> list[bytes]:
        """Send no shares easier than that from now on. Raises StratumError."""
        before = self._vardiff.difficulty
        self._vardiff.require(protocol.checked_difficulty(given), self._owner.clock())
        return self._changed() if self.ready and self._vardiff.difficulty != before else []

    def _suggest_difficulty(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        self._vardiff.set(protocol.checked_difficulty(params[0] if params else None), self._owner.clock())
        return True, self._changed() if self.ready else []

    def _suggest_target(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        target = hex_number(params[0] if params else None, 32, "a target")
        return self._suggest_difficulty([protocol.difficulty_of(max(target, 1))])

    def _agreed(self, params: list[Any]) -> tuple[Any, list[bytes]]:
        """Agree to a request that changes nothing here: extranonce1 stays the same for the whole connection."""
        return True, []


def _credit(sent: SentJob, number: int) -> float:
    """The difficulty that a share counts: the one it was sent with, or an easier one since. Raises StratumError."""
    for difficulty in (sent.difficulty, sent.easiest):
        if number <= max(protocol.target_of(difficulty), sent.job.base.target):
            return difficulty
    found = protocol.difficulty_of(max(number, 1))
    raise StratumError(protocol.LOW_DIFFICULTY, f"the share has difficulty {found:.4g} of {sent.easiest:.4g}")


def _asked_difficulty(password: Any) -> float | None:
    """The difficulty of `d=0.5` in a password, as pools have it; other words are ignored. Raises StratumError."""
    if isinstance(password, str) and len(password) <= _MAX_USER:
        for part in password.replace(";", ",").split(","):
            name, _, value = part.partition("=")
            if name.strip() == "d":
                try:
                    return protocol.checked_difficulty(float(value))
                except ValueError:
                    raise StratumError(protocol.OTHER, "d=DIFFICULTY is a number above 0") from None
    return None


_METHODS: dict[str, Callable[[Session, list[Any]], tuple[Any, list[bytes]]]] = {
    "mining.subscribe": Session._subscribe,
    "mining.authorize": Session._authorize,
    "mining.submit": Session._submit,
    "mining.configure": Session._configure,
    "mining.suggest_difficulty": Session._suggest_difficulty,
    "mining.suggest_target": Session._suggest_target,
    "mining.extranonce.subscribe": Session._agreed,
    "mining.ping": Session._agreed,
}
