"""Jobs: from a template to what miners are told, and from a share back to a header and a block.

The coinbase's `extra` holds 8 random bytes, then extranonce1 (4 bytes, the connection's) and extranonce2 (4, the
miner's own), then a tag. A miner gets the bytes before and behind the two extranonces, and the Merkle branch that leads
from the coinbase to the root.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from ...node.chain.next_block import Template
from ...node.core import codec, pow
from ...node.core.codec import merkle_branch, merkle_root_of_branch, sha256d
from ...node.core.types import Coinbase
from .protocol import difficulty_of, notification

EXTRANONCE1_SIZE = 4
EXTRANONCE2_SIZE = 4
VERSION_MASK = 0x1FFFE000
"""Bits of the version that miners may roll (BIP320)."""
_PREFIX_SIZE = 8
_TAG = b"/Moneyer"
"""Not empty: some miners want bytes behind the extranonces."""
EXTRA_SIZE = _PREFIX_SIZE + EXTRANONCE1_SIZE + EXTRANONCE2_SIZE + len(_TAG)


@dataclass(frozen=True, eq=False)
class Base:
    """What the jobs of one template have in common, whoever is paid. Each value is computed once."""

    template: Template

    @property
    def parent_hash(self) -> bytes:
        """Block hash of the tip that the template stands on."""
        return self.template.parent.block_hash

    @property
    def height(self) -> int:
        """Height of the block to be found."""
        return self.template.parent.height + 1

    @property
    def min_time(self) -> int:
        """The earliest timestamp that the chain takes."""
        return self.template.parent.median_time_past + 1

    @cached_property
    def target(self) -> int:
        """The greatest hash, as a number, that makes a block."""
        return pow.decode_bits(self.template.block.header.bits)

    @cached_property
    def difficulty(self) -> float:
        """Difficulty of a block, in Stratum's measure."""
        return difficulty_of(self.target)

    @cached_property
    def coinbase(self) -> Coinbase:
        """The template's coinbase; each job pays another receiver by it."""
        first = self.template.block.transactions[0]
        assert isinstance(first, Coinbase)  # noqa: S101 - every template begins with one
        return first

    @cached_property
    def branch(self) -> list[bytes]:
        """The Merkle branch of the coinbase. It does not depend on the coinbase itself."""
        return merkle_branch([bytes(32), *map(codec.txid, self.template.block.transactions[1:])], 0)

    @cached_property
    def told(self) -> list[object]:
        """The parameters of `mining.notify` that are the same for all: prevhash, branch, version, bits, time."""
        header = self.template.block.header
        return [
            swap_words(header.prev_hash).hex(),
            [each.hex() for each in self.branch],
            f"{header.version:08x}",
            f"{header.bits:08x}",
            f"{header.timestamp:08x}",
        ]

    @cached_property
    def transfers(self) -> bytes:
        """The block's transfers, encoded end to end."""
        return b"".join(map(codec.encode_transaction, self.template.block.transactions[1:]))


@dataclass(frozen=True, eq=False)
class Job:
    """A template whose coinbase pays `receiver`."""

    job_id: str
    base: Base
    receiver: bytes
    """Payload."""
    start: bytes
    """The coinbase up to the extranonces."""

    def notify(self, *, clean: bool) -> bytes:
        """The `mining.notify` line. `clean`: jobs that came before are void."""
        return self._void_others if clean else self._beside_others

    def header(self, extranonces: bytes, version: int, timestamp: int, nonce: int) -> bytes:
        """The header (80 bytes) of a share. `extranonces`: the connection's and the miner's, end to end."""
        root = merkle_root_of_branch(sha256d(self._coinbase(extranonces)), 0, self.base.branch)
        head = self.base.template.block.header
        return struct.pack("<I32s32sIII", version, head.prev_hash, root, timestamp, head.bits, nonce)

    def block(self, header: bytes, extranonces: bytes) -> bytes:
        """The encoded block of a header that solves it."""
        counted = codec.encode_count(len(self.base.template.block.transactions))
        return header + counted + self._coinbase(extranonces) + self.base.transfers

    def _coinbase(self, extranonces: bytes) -> bytes:
        return self.start + extranonces + _TAG

    @cached_property
    def _void_others(self) -> bytes:
        return self._notify(True)

    @cached_property
    def _beside_others(self) -> bytes:
        return self._notify(False)

    def _notify(self, clean: bool) -> bytes:
        prev_hash, branch, version, bits, timestamp = self.base.told
        start, end = self.start.hex(), _TAG.hex()
        params = [self.job_id, prev_hash, start, end, branch, version, bits, timestamp, clean]
        return notification("mining.notify", params)


class JobBook:
    """The jobs on the newest template: one for each receiver, made when it is first wanted."""

    def __init__(self) -> None:
        self.base: Base | None = None
        self._jobs: dict[bytes, Job] = {}
        self._ids = count(int.from_bytes(os.urandom(3), "big"))

    def renew(self, template: Template | None) -> bool:
        """Make jobs of this template from now on (None: there is nothing to mine). True when older jobs are void."""
        before, self.base = self.base, None if template is None else Base(template)
        self._jobs.clear()
        return before is None or self.base is None or before.parent_hash != self.base.parent_hash

    def current(self, receiver: bytes) -> Job | None:
        """The job that all connections that pay `receiver` share."""
        job = self._jobs.get(receiver)
        if job is None:
            job = self.fresh(receiver)
            if job is not None:
                self._jobs[receiver] = job
        return job

    def fresh(self, receiver: bytes) -> Job | None:
        """A job for one connection alone: with other random bytes, so its search is another one."""
        if self.base is None:
            return None
        paid = self.base.coinbase
        begun = codec.encode_transaction(Coinbase(paid.height, receiver, paid.amount, bytes(EXTRA_SIZE)))
        start = begun[:-EXTRA_SIZE] + os.urandom(_PREFIX_SIZE)
        return Job(f"{next(self._ids):x}", self.base, receiver, start)


def swap_words(raw: bytes) -> bytes:
    """Each four bytes reversed: miners get the parent's hash as the words that their hardware reads."""
    return struct.pack("<8I", *struct.unpack(">8I", raw))
