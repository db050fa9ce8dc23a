"""Units of work, modes and rhythm: no processes here."""

from __future__ import annotations

import pytest

from moneyer.node.core import codec
from moneyer.node.core.ledger import Ledger
from moneyer.node.core.template import Parent, build_template
from moneyer.node.core.types import Block, Coinbase
from moneyer.node.store.mining import BadMode, Kind, Mode, parse_mode
from moneyer.worker.config import BadWorkerOption, WorkerConfig
from moneyer.worker.hasher import Unit
from moneyer.worker.work import EXTRA_SIZE, WorkSource, new_extra
from tests.kit.chains import easy_coin, key


@pytest.fixture
def template() -> Block:
    coin = easy_coin()
    parent = Parent(coin.chain_id, 0, coin.timestamp, coin.pow_limit)
    return build_template(
        coin, parent, [], Ledger({}), receiver=key("miner").payload, now=coin.timestamp + 9, extra=new_extra()
    )


def nonces(unit: Unit) -> set[tuple[bytes, int]]:
    return {(unit.header, nonce) for nonce in range(unit.start, unit.start + unit.count)}


def test_every_nonce_is_handed_out_once_and_then_the_extra_moves_on(template: Block) -> None:
    source = WorkSource(template, 1, nonces=1000)
    units = [source.take(300) for _ in range(8)]
    seen = [pair for unit in units for pair in nonces(unit)]
    assert len(seen) == len(set(seen)) == 2000
    assert [unit.count for unit in units] == [300, 300, 300, 100] * 2
    first, second = (source.solve(unit, 7) for unit in (units[0], units[4]))
    assert first is not None
    assert second is not None
    assert first.transactions != second.transactions
    assert first.header.merkle_root != second.header.merkle_root
    assert (first.header.nonce, first.header.prev_hash) == (7, template.header.prev_hash)


def test_what_a_dead_process_left_is_handed_out_again_and_only_that(template: Block) -> None:
    source = WorkSource(template, 1, nonces=1000)
    unit = source.take(600)
    source.put_back(unit.rest(150))
    units = [source.take(400), source.take(400), source.take(400)]
    handed = [pair for each in units for pair in nonces(each)]
    assert len(handed) == len(set(handed)) == 850
    assert {nonce for _, nonce in handed} == set(range(150, 1000))
    source.put_back(unit.rest(600))
    assert source.take(5).header != unit.header


def test_a_solved_unit_makes_the_block_whose_header_it_searched(template: Block) -> None:
    source = WorkSource(template, 1)
    unit = source.take(10)
    block = source.solve(unit, 3)
    assert block is not None
    assert codec.encode_header(block.header)[:76] == unit.header[:76]
    assert source.solve(Unit(1, bytes(80), 1, 0, 1), 0) is None


def test_random_bytes_in_extra_never_make_a_coinbase_of_64_bytes(template: Block) -> None:
    coinbase = template.transactions[0]
    assert isinstance(coinbase, Coinbase)
    assert len(coinbase.extra) == EXTRA_SIZE
    assert codec.decode_block(codec.encode_block(template)) == template


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("demand", Mode(Kind.DEMAND)),
        (" Instant ", Mode(Kind.INSTANT)),
        ("continuous", Mode(Kind.CONTINUOUS)),
        ("interval:5", Mode(Kind.INTERVAL, 5)),
        ("interval 0.5", Mode(Kind.INTERVAL, 0.5)),
    ],
)
def test_modes_are_read_as_they_are_written(text: str, mode: Mode) -> None:
    assert parse_mode(text) == mode
    assert parse_mode(str(mode)) == mode


@pytest.mark.parametrize("text", ["", "fast", "interval", "interval:0", "interval:-1", "interval:nan", "interval:1e9"])
def test_a_mode_that_is_none_is_refused_by_a_sentence(text: str) -> None:
    with pytest.raises(BadMode, match="demand, instant, continuous or interval:SECONDS"):
        parse_mode(text)


def test_a_worker_without_processes_is_refused(tmp_path: object) -> None:
    from pathlib import Path

    with pytest.raises(BadWorkerOption, match="1 to 1024 hashing processes, not 0"):
        WorkerConfig(Path(str(tmp_path)), processes=0).check()
