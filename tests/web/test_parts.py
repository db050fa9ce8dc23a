"""What pages are put together from: numbers and times in words, drawings, the parts of a transaction, a balance."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.api.shapes.render import transaction_view
from moneyer.node.api.shapes.v1 import BlockSummary, Proof, TransactionView
from moneyer.node.core import codec
from moneyer.node.core.codec import merkle_branch, merkle_root, show
from moneyer.node.core.types import Coinbase, Transfer
from moneyer.node.system.text import shown
from moneyer.node.web.explorer.account_pages import balances
from moneyer.node.web.explorer.coin_pages import most_ever, next_halving, schedule_of
from moneyer.node.web.explorer.home_page import pulse_of
from moneyer.node.web.explorer.transaction_pages import levels_of, parts_of
from moneyer.node.web.frame import drawings, templating
from tests.kit.chains import easy_coin

COIN = easy_coin()
PAYLOADS = st.binary(min_size=32, max_size=32).map(lambda raw: bytes([0]) + raw)
UNITS = st.integers(1, 2**53 - 1)


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (0.25, "0.25"), (9.999, "10"), (12.34, "12.3"), (999, "999"), (1_000, "1 k"), (1_250_000, "1.25 M")],
)
def test_numbers_have_three_digits_and_a_prefix(number: float, said: str) -> None:
    assert templating.scaled(number) == said
    assert templating.scaled(number, "H/s") == (f"{said}H/s" if said[-1] in "kM" else f"{said} H/s")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0, "0 s"), (2.5, "2.5 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3_600, "1 h")),
        *((7_500, "2 h 5 min"), (86_400, "1 d"), (90_061, "1 d 1 h"), (59.96, "1 min")),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert templating.span(seconds) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(1, 3, "33.33 %"), (0, 0, "0 %"), (1, 1, "100 %"), (1, 10**6, "< 0.01 %"), (1, 2, "50 %"), (0, 5, "0 %")],
)
def test_a_share_is_never_rounded_to_nothing(part: int, whole: int, said: str) -> None:
    assert templating.percent(part, whole) == said


def test_amounts_are_grouped_and_exact() -> None:
    assert templating.amount(1_234_567_890_123, 6) == "1,234,567.890123"
    assert templating.amount(2**53 - 1, 0) == "9,007,199,254,740,991"
    assert templating.amount(1, 8) == "0.00000001"


def test_an_amount_at_a_glance_has_decimals_only_where_it_is_small() -> None:
    assert templating.about(1_005_110_500_000, 6) == "1,005,110"
    assert templating.about(999_500_000, 6) == "999.5"


def test_a_fee_per_byte_is_as_long_as_it_says_something() -> None:
    assert [templating.rate(each) for each in (0.0, 0.384, 12.0, 43.61, 1234.5)] == ["0", "0.38", "12", "43.6", "1,234"]


def test_a_chart_of_values_that_lie_close_together_shows_how_they_differ() -> None:
    close = drawings.line_over_time([(0, 1_000_000), (1, 999_000), (2, 999_900)], "about")
    far = drawings.line_over_time([(0, 1_000_000), (1, 0), (2, 1_000)], "about")
    flat = drawings.line_over_time([(0, 5.0), (1, 5.0)], "about")
    heights = [[float(y) for y in re.findall(r"V([0-9.]+)", each)] for each in (close, far, flat)]
    assert heights[0][0] - heights[0][1] > 100  # pixels of 220
    assert heights[1][0] == 216.0  # zero is the foot
    assert all(0 <= y <= 220 for each in heights for y in each)


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(0, 2**53), max_size=40), st.text(max_size=40))
def test_a_drawing_is_well_formed_whatever_it_is_given(values: list[float], about: str) -> None:
    about = shown(about)
    ET.fromstring(drawings.sparkline(values, about))
    ET.fromstring(drawings.sparkline(values, about, aim=5.0))
    drawing = drawings.line_over_time([(float(i), value) for i, value in enumerate(values)], about)
    assert not drawing or ET.fromstring(drawing).get("aria-label") == about


@given(
    st.builds(
        Transfer, PAYLOADS, PAYLOADS, UNITS, UNITS, UNITS, st.text(max_size=30).map(str.encode), st.just(b"s" * 64)
    )
)
def test_the_bytes_of_a_transfer_are_all_in_its_parts(transfer: Transfer) -> None:
    raw = codec.encode_transaction(transfer)
    parts = parts_of(transaction_view(COIN, transfer, status="ready", txid=codec.txid(transfer)), raw)
    assert "".join(part.hex for part in parts) == raw.hex()
    held = {part.name: part for part in parts}
    assert int.from_bytes(bytes.fromhex(held["fee"].hex), "little") == transfer.fee
    assert held["memo"].hex == transfer.memo.hex() if transfer.memo else "memo" not in held
    assert held["signature"].hex == transfer.signature.hex()


@given(
    st.builds(
        Coinbase, st.integers(0, 2**32 - 1), PAYLOADS, UNITS, st.binary(max_size=100).filter(lambda x: len(x) != 17)
    )
)
def test_the_bytes_of_a_coinbase_are_all_in_its_parts(coinbase: Coinbase) -> None:
    raw = codec.encode_transaction(coinbase)
    parts = parts_of(transaction_view(COIN, coinbase, status="confirmed", txid=codec.txid(coinbase)), raw)
    assert "".join(part.hex for part in parts) == raw.hex()


@given(st.integers(1, 70), st.data())
def test_a_proofs_levels_lead_to_the_root(count: int, data: st.DataObject) -> None:
    txids = [Random(i).randbytes(32) for i in range(count)]
    position = data.draw(st.integers(0, count - 1))
    branch = [show(each) for each in merkle_branch(txids, position)]
    levels = levels_of(Proof(show(txids[position]), "", 0, "", position, branch))
    root = merkle_root(txids)
    at = txids[position]
    for level in levels:
        assert show(at) == (level.right if level.is_right else level.left)
        at = codec.sha256d(codec.unshow(level.left) + codec.unshow(level.right))
    assert at == root
    ET.fromstring(drawings.merkle_proof(levels, show(root)))


@given(st.lists(st.tuples(st.sampled_from("io"), st.integers(1, 1_000), st.integers(0, 9)), max_size=30))
def test_a_balance_over_time_is_counted_back_from_now(moves: list[tuple[str, int, int]]) -> None:
    """`i`: something came in; `o`: something went out, with a fee."""
    balance, recent, expected = 5_000, list[TransactionView](), [5_000]
    for when, (way, amount, fee) in enumerate(moves):
        sender, receiver = ("me", "you") if way == "o" else ("you", "me")
        balance += amount if way == "i" else -amount - fee
        expected.append(balance)
        recent.append(
            TransactionView("", "transfer", sender, receiver, amount, fee, 0, "", "", 1, "", "", 0, 0, when, 1)
        )
    points = balances("me", balance, recent[::-1])
    assert [units for _, units in points] == (expected if moves else [])
    assert [when for when, _ in points] == sorted(when for when, _ in points)


def test_blocks_of_one_second_and_no_blocks_have_a_pulse() -> None:
    def block(height: int, timestamp: int) -> BlockSummary:
        work = f"{height * 1_000:064x}"
        return BlockSummary("", height, timestamp, "", 0, "", "", 1, work, 100, 1, "", 0, 0)

    assert pulse_of([]).mean_interval is None
    assert pulse_of([block(0, 5)]).hash_rate is None
    at_once = pulse_of([block(2, 7), block(1, 7), block(0, 0)])
    assert (at_once.hash_rate, at_once.mean_interval) == (None, 0)
    steady = pulse_of([block(height, 10 * height) for height in range(30, -1, -1)])
    assert (steady.mean_interval, steady.hash_rate) == (10, 100)
    assert set(steady.hash_rates) == {100}


def test_the_supply_is_said_as_the_coin_has_it() -> None:
    halving = easy_coin(reward=100, halving_interval=10)
    end = most_ever(halving)
    assert end == halving.issued(10**6)
    assert [next_halving(halving, height) for height in (0, 9, 10, 19)] == [11, 11, 21, 21]
    assert halving.subsidy(11) == halving.subsidy(10) // 2
    assert next_halving(easy_coin(), 5) is None
    schedule = schedule_of(halving, 25)
    assert [list(curve[-1]) for curve in (schedule.past, schedule.all)] == [
        [25, halving.issued(25)],
        [schedule.end, halving.issued(schedule.end)],
    ]
    assert schedule_of(halving, 0).past == [(0, halving.issued(0))]
