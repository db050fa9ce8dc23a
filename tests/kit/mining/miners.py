"""A Stratum v1 miner written from the protocol's public description, on the standard library alone.

It shares no code with the server: it builds its own coinbase, Merkle root and header, and hashes with hashlib.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

DIFFICULTY_1 = 0x00000000FFFF0000000000000000000000000000000000000000000000000000


def sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@dataclass(frozen=True)
class Job:
    """What `mining.notify` says."""

    job_id: str
    prev_hash: bytes
    coinbase_1: bytes
    coinbase_2: bytes
    branch: tuple[bytes, ...]
    version: int
    bits: int
    time: int
    clean: bool
    difficulty: float
    """That was in force when it came."""

    @classmethod
    def of(cls, params: list[Any], difficulty: float) -> Job:
        job_id, prev, first, second, branch, version, bits, when, clean = params
        words = bytes.fromhex(prev)
        return cls(
            job_id,
            b"".join(words[at : at + 4][::-1] for at in range(0, 32, 4)),
            bytes.fromhex(first),
            bytes.fromhex(second),
            tuple(bytes.fromhex(each) for each in branch),
            int(version, 16),
            int(bits, 16),
            int(when, 16),
            clean,
            difficulty,
        )

    @property
    def block_target(self) -> int:
        return int((self.bits & 0xFFFFFF) << 8 * ((self.bits >> 24) - 3))


@dataclass(frozen=True)
class Share:
    job: Job
    extranonce2: bytes
    time: int
    nonce: int
    version: int
    header: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(sha256d(self.header), "little")

    @property
    def is_block(self) -> bool:
        return self.number <= self.job.block_target

    def params(self, user: str, *, rolls_version: bool = False) -> list[Any]:
        said = [user, self.job.job_id, self.extranonce2.hex(), f"{self.time:08x}", f"{self.nonce:08x}"]
        return [*said, f"{self.version & 0x1FFFE000:08x}"] if rolls_version else said


class StratumError(Exception):
    def __init__(self, error: list[Any]) -> None:
        super().__init__(str(error))
        self.code = error[0]


class Miner:
    """One connection. A context manager."""

    def __init__(self, port: int, user: str = "miner", password: str = "x", source: str = "127.0.0.1") -> None:
        """`source`: the loopback address that it comes from."""
        self.user = user
        self.password = password
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        self._buffer = b""
        self._id = 0
        self.difficulty = 1.0
        self.difficulties: list[float] = []
        self.jobs: list[Job] = []
        self.extranonce1 = b""
        self.extranonce2_size = 0

    def __enter__(self) -> Miner:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # lines

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def read(self, timeout: float = 20) -> dict[str, Any]:
        """The next message; notifications have taken effect. EOFError when the server has closed."""
        self.socket.settimeout(timeout)
        while b"\n" not in self._buffer:
            part = self.socket.recv(65_536)
            if not part:
                raise EOFError
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "mining.set_difficulty":
            self.difficulty = float(message["params"][0])
            self.difficulties.append(self.difficulty)
        elif message.get("method") == "mining.notify":
            job = Job.of(message["params"], self.difficulty)
            if job.clean:
                self.jobs.clear()
            self.jobs.append(job)
        return message

    def answer(self) -> dict[str, Any]:
        """The next message that is no notification."""
        while True:
            message = self.read()
            if "method" not in message:
                return message

    def call(self, method: str, params: Any) -> Any:
        """The result. Raises StratumError."""
        self._id += 1
        self.send(json.dumps({"id": self._id, "method": method, "params": params}).encode() + b"\n")
        message = self.answer()
        assert message["id"] == self._id, message
        if message["error"] is not None:
            raise StratumError(message["error"])
        return message["result"]

    def code_of(self, method: str, params: Any) -> int | None:
        """The error's code; None where there is none."""
        try:
            self.call(method, params)
        except StratumError as error:
            return int(error.code)
        return None

    def drain(self) -> None:
        """Take what has come, and wait for nothing."""
        with contextlib.suppress(TimeoutError, BlockingIOError):
            while True:
                self.read(0.01)

    # mining

    def subscribe(self) -> None:
        subscriptions, extranonce1, self.extranonce2_size = self.call("mining.subscribe", ["tester/1.0"])
        assert {name for name, _ in subscriptions} == {"mining.set_difficulty", "mining.notify"}
        self.extranonce1 = bytes.fromhex(extranonce1)

    def start(self) -> Miner:
        """Subscribe, authorize, and wait for the first job."""
        self.subscribe()
        assert self.call("mining.authorize", [self.user, self.password]) is True
        self.next_job()
        return self

    def next_job(self, timeout: float = 20) -> Job:
        """Wait for a job that has not been looked at yet."""
        if not self.jobs:
            while self.read(timeout).get("method") != "mining.notify":
                pass
        return self.jobs[-1]

    def job_of_difficulty(self, difficulty: float) -> Job:
        """Wait for a job of that difficulty, and take those before it: the server renews a job now and then."""
        while abs(self.difficulty / difficulty - 1) > 1e-6 or self.jobs[-1].difficulty != self.difficulty:
            self.read()
        return self.jobs[-1]

    def wait_new_job(self, timeout: float = 20) -> Job:
        while self.read(timeout).get("method") != "mining.notify":
            pass
        return self.jobs[-1]

    def header(self, share: Share) -> bytes:
        job = share.job
        root = sha256d(job.coinbase_1 + self.extranonce1 + share.extranonce2 + job.coinbase_2)
        for sibling in job.branch:
            root = sha256d(root + sibling)
        return struct.pack("<I32s32sIII", share.version, job.prev_hash, root, share.time, job.bits, share.nonce)

    def search(
        self,
        job: Job,
        target: int | None = None,
        *,
        above: int = -1,
        extranonce2: int = 0,
        when: int | None = None,
        version: int | None = None,
        first: int = 0,
    ) -> Share:
        """A share whose hash is at most `target` (none given: that of the job's difficulty) and over `above`."""
        if target is None:
            target = min(int(DIFFICULTY_1 / job.difficulty), 2**256 - 1)
        share = Share(
            job,
            extranonce2.to_bytes(self.extranonce2_size, "little"),
            job.time if when is None else when,
            0,
            job.version if version is None else version,
            b"",
        )
        head = self.header(share)[:76]
        deadline = time.monotonic() + 60
        for nonce in range(first, 2**32):
            raw = head + nonce.to_bytes(4, "little")
            if above < int.from_bytes(sha256d(raw), "little") <= target:
                return replace(share, nonce=nonce, header=raw)
            if not nonce & 0xFFFF:
                assert time.monotonic() < deadline, "this target is too hard for a test"
        raise AssertionError("no nonce")

    def submit(self, share: Share, **how: bool) -> Any:
        return self.call("mining.submit", share.params(self.user, **how))

    def submit_code(self, share: Share, **how: bool) -> int | None:
        return self.code_of("mining.submit", share.params(self.user, **how))
