"""Jobs, sessions and tallies, without a socket."""

from __future__ import annotations

import json
import random
from hashlib import sha256
from itertools import count, islice

import pytest

from moneyer.node.chain.next_block import Template
from moneyer.node.core import codec
from moneyer.node.core.codec import sha256d
from moneyer.node.core.ledger import Ledger
from moneyer.node.core.pow import hash_number
from moneyer.node.core.template import Parent, build_template
from moneyer.node.core.types import Account, Coinbase
from moneyer.worker.stratum.accounting import Rate, Shares
from moneyer.worker.stratum.jobs import EXTRA_SIZE, Job, JobBook, swap_words
from moneyer.worker.stratum.protocol import (
    DIFFICULTY_1,
    HASHES_OF_1,
    MIN_DIFFICULTY,
    StratumError,
    difficulty_of,
    target_of,
)
from moneyer.worker.stratum.session import MAX_SHARES, Session
from tests.kit.chains import easy_coin, key, transfer

ALICE, BOB = key("alice"), key("bob")


def template_with(transfers: int) -> Template:
    coin = easy_coin(premine=[(ALICE, 10**6)])
    parent = Parent(sha256(b"parent").digest(), 6, 1_700_000_000, coin.pow_limit)
    ready = [transfer(coin, ALICE, BOB, 1, fee=1, sequence=number) for number in range(transfers)]
    state = Ledger({ALICE.payload: Account(10**6, 0)})
    block = build_template(coin, parent, ready, state, receiver=bytes(33), now=1_700_000_100, extra=bytes(EXTRA_SIZE))
    return Template(block, parent, tuple(codec.txid(each) for each in block.transactions[1:]))


@pytest.mark.parametrize("transfers", [0, 1, 2, 3, 4, 7, 8, 9])
def test_a_job_and_its_extranonces_make_the_block_that_the_core_makes(transfers: int) -> None:
    book = JobBook()
    template = template_with(transfers)
    assert book.renew(template) is True
    job = book.current(BOB.payload)
    assert job is not None
    header = job.header(b"\x01\x02\x03\x04\x05\x06\x07\x08", 1, 1_700_000_123, 42)
    block = codec.decode_block(job.block(header, b"\x01\x02\x03\x04\x05\x06\x07\x08"))
    assert codec.encode_header(block.header) == header
    first = block.transactions[0]
    assert isinstance(first, Coinbase)
    assert (first.receiver, len(first.extra)) == (BOB.payload, EXTRA_SIZE)
    assert first.amount == easy_coin().subsidy(7) + transfers
    assert block.transactions[1:] == template.block.transactions[1:]
    from moneyer.node.core.codec import merkle_root

    assert block.header.merkle_root == merkle_root([codec.txid(each) for each in block.transactions])


def test_jobs_are_shared_by_an_address_and_void_when_the_parent_changes() -> None:
    book = JobBook()
    assert book.current(ALICE.payload) is None
    template = template_with(1)
    book.renew(template)
    job = book.current(ALICE.payload)
    assert job is book.current(ALICE.payload)
    assert job is not None
    other, fresh = book.current(BOB.payload), book.fresh(ALICE.payload)
    assert other is not None
    assert fresh is not None
    assert len({job.job_id, other.job_id, fresh.job_id}) == 3
    assert fresh.start != job.start
    assert book.renew(template_with(2)) is False  # more transfers, the same parent
    assert book.renew(None) is True
    assert book.renew(template) is True


def test_words_are_swapped_as_miners_read_them() -> None:
    assert swap_words(bytes(range(32)))[:8] == bytes([3, 2, 1, 0, 7, 6, 5, 4])
    assert swap_words(swap_words(bytes(range(32)))) == bytes(range(32))


def test_difficulty_one_is_bitcoins() -> None:
    assert target_of(1) == DIFFICULTY_1 == 0xFFFF * 2**208
    assert target_of(0.5) == 2 * DIFFICULTY_1
    assert target_of(MIN_DIFFICULTY) < 2**256
    assert difficulty_of(DIFFICULTY_1 // 4) == pytest.approx(4)


def test_the_hash_rate_is_what_the_shares_speak_of() -> None:
    rate, chance, now = Rate(0), random.Random(3), 0.0
    while now < 600:
        now += chance.expovariate(1 / 5)
        rate.add(1, now)
    assert rate.per_second(now) == pytest.approx(HASHES_OF_1 / 5, rel=0.4)
    assert rate.per_second(now + 1200) < HASHES_OF_1 / 500


def test_tallies_are_bounded_and_keep_who_is_connected() -> None:
    shares = Shares()
    shares.joined("steady", 0)
    for number in range(6000):
        shares.accept(f"guest{number}", 1, number, number)
    told = shares.summary(6000)
    assert told["accepted"] == 6000
    assert len(told["miners"]) == 100
    shares.accept("steady", 10_000, 6000, 6000)
    first = shares.summary(6000)["miners"][0]
    assert (first["name"], first["connections"], first["accepted"]) == ("steady", 1, 1)


class OneMiner:
    """A server of one template, for a session without a socket."""

    def __init__(self) -> None:
        self.book = JobBook()
        self.book.renew(template_with(0))
        self.counted = 0

    def payee(self, user: str) -> bytes:
        return BOB.payload

    def job(self, receiver: bytes, *, fresh: bool) -> Job | None:
        return self.book.fresh(receiver) if fresh else self.book.current(receiver)

    def latest(self) -> int:
        return 1_700_000_200

    def clock(self) -> float:
        return 0.0

    def accepted(self, user: str, difficulty: float) -> None:
        self.counted += 1

    def rejected(self, user: str, error: StratumError) -> None: ...

    def solved(self, user: str, job: Job, header: bytes, extranonces: bytes) -> None: ...


def test_what_is_remembered_of_a_connections_shares_is_bounded_over_all_its_jobs() -> None:
    owner = OneMiner()
    session = Session(owner, b"\0\1\2\3", MIN_DIFFICULTY)
    session.handle(b'{"id":1,"method":"mining.subscribe","params":[]}')
    session.handle(b'{"id":2,"method":"mining.authorize","params":["bob"]}')
    session.work(clean=False, fresh=True)
    one, other = session.sent.values()
    one.seen.update(number.to_bytes(32, "big") for number in range(MAX_SHARES // 2))
    other.seen.update(number.to_bytes(32, "big") for number in range(MAX_SHARES // 2 - 1))

    def submit(nonce: int) -> bytes:
        params = ["bob", other.job.job_id, "00000000", f"{1_700_000_100:08x}", f"{nonce:08x}"]
        return session.handle(json.dumps({"id": 3, "method": "mining.submit", "params": params}).encode())[0]

    easy = target_of(MIN_DIFFICULTY)
    job = other.job
    headers = (job.header(bytes([0, 1, 2, 3, 0, 0, 0, 0]), 1, 1_700_000_100, nonce) for nonce in count())
    first, second = islice((nonce for nonce, raw in enumerate(headers) if hash_number(sha256d(raw)) <= easy), 2)
    assert b'"result":true' in submit(first)
    assert b"too many shares" in submit(second)
    assert owner.counted == 1
