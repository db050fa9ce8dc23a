"""A coin is read exactly or refused by the name of its field; what is written reads back as the same coin."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.core.address import encode_address
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_from_json, coin_from_toml, coin_to_toml
from moneyer.node.core.errors import BadCoin
from moneyer.node.core.types import MAX_MONEY
from tests.core.strategies import coins
from tests.kit.chains import EASY_BITS, GENESIS_TIME, ChainBuilder, easy_coin, key

REQUIRED = {
    "name": '"Test Coin"',
    "symbol": '"TST"',
    "hrp": '"tst"',
    "decimals": "2",
    "timestamp": str(GENESIS_TIME),
    "block_time": "10",
    "pow_limit": '"207fffff"',
    "reward": '"10.5"',
}
ALICE, BOB = (encode_address("tst", key(name).payload) for name in ("alice", "bob"))


def short(value: str) -> str:
    """For the name of a test."""
    return value[:24].encode("ascii", "backslashreplace").decode()


def toml(**changes: str | None) -> str:
    """A coin.toml; a change of None leaves the field out."""
    fields = {**REQUIRED, **changes}
    return "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None)


def premine(*rows: tuple[str, str]) -> str:
    return "[" + ", ".join(f'{{address = "{address}", amount = "{amount}"}}' for address, amount in rows) + "]"


def refusal(text: str) -> BadCoin:
    with pytest.raises(BadCoin) as refused:
        coin_from_toml(text)
    json.dumps(refused.value.details)
    return refused.value


def test_the_fields_without_a_default_make_a_coin() -> None:
    assert coin_from_toml(toml()) == Coin(
        name="Test Coin",
        symbol="TST",
        hrp="tst",
        decimals=2,
        timestamp=GENESIS_TIME,
        block_time=10,
        pow_limit=EASY_BITS,
        reward=1050,
        message="",
        retarget=True,
        difficulty_window=45,
        max_block_bytes=1_000_000,
        clock_tolerance=60,
        halving_interval=0,
        max_supply=MAX_MONEY,
        premine=(),
    )


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named_with_what_it_may_be(field: str) -> None:
    error = refusal(toml(**{field: None}))
    assert error.details["field"] == field
    assert error.details["expected"] in error.message
    assert f"{field} is missing" in error.message


@pytest.mark.parametrize("field", ["Name", "rewards", "supply", "x\x1b[31m", "é"])
def test_an_unknown_field_is_named(field: str) -> None:
    error = refusal(toml() + f"{json.dumps(field)} = 1\n")
    assert "no field of a coin" in error.message
    assert "halving_interval" in error.details["expected"]
    assert error.message.isprintable()


BAD: dict[str, list[str]] = {
    "name": ["7", '""', f'"{"x" * 65}"', "true", "[]", "1979-05-27"],
    "symbol": ["7", '""', '"tst"', f'"{"T" * 13}"', '"T-T"', '"TÄT"', '"TST\\n"', '"T٣"'],
    "hrp": ["7", '""', '"Tst"', '"ts1"', f'"{"t" * 17}"', '"tßt"', '"tst\\n"'],
    "decimals": ["-1", "9", "2.0", '"2"', "true", "nan", "[2]", f"0x{'f' * 5000}", "1979-05-27T07:32:00Z"],
    "message": ["7", f'"{"x" * 101}"', f'"{"é" * 51}"', "{}"],
    "timestamp": [
        "4294967295",
        "2106-02-07T06:28:15Z",
        *("-1", "4294967296", "1.5", '"1"', "true", "1979-05-27", "07:32:00", "1979-05-27T07:32:00"),
        *("1979-05-27T07:32:00.5Z", "1969-12-31T23:59:59Z", "2106-02-07T06:28:16Z", "0001-01-01T00:00:00+14:00"),
        *("9999-12-31T23:59:59-23:59", f"0x{'f' * 5000}"),
    ],
    "block_time": ["0", "1", "86401", "10.0", '"10"', "true"],
    "retarget": ["0", "1", '"true"', "[]"],
    "difficulty_window": ["2", "1001", "45.0", '"45"', "false"],
    "pow_limit": [
        *("545259519", '"207ffff"', '"0x207fff"', '"207fffffff"', '"20 fffff"', '"٢07fffff"'),
        *('"00000000"', '"04923456"', '"220000ff"', '"ff123456"', '"02123456"', '"200000ff"'),
    ],
    "max_block_bytes": ["9999", "32000001", "1e6", '"20000"'],
    "clock_tolerance": ["0", "61", "7201", "60.0", '"60"'],
    "reward": [
        *("10", "10.5", '""', '"."', '"-1"', '"+1"', '"1e3"', '"1,5"', '" 1"', '"1 "', '"1_000"', '"0x10"', '"10.555"'),
        *('"90071992547409.92"', '"1.2.3"', '"NaN"', '"٣"', f'"{"9" * 5000}"', "true"),
    ],
    "halving_interval": ["-1", "4294967296", "1.0", '"0"', "true"],
    "max_supply": ["10", '"-1"', '"90071992547409.92"', '"1.001"', "false"],
    "premine": [
        *("7", '"x"', "{}", "[7]", '["x"]', f'[["{ALICE}", "1"]]', "[[]]"),
        *(f'[{{address = "{ALICE}"}}]', '[{amount = "1"}]', f'[{{address = "{ALICE}", amount = "1", memo = "x"}}]'),
        *(f'[{{address = "{ALICE}", amount = 1}}]', '[{address = 1, amount = "1"}]'),
        premine((ALICE, "0")),
        premine((ALICE, "0.001")),
        premine((ALICE.upper(), "1")),
        premine((ALICE[:-1], "1")),
        premine((encode_address("other", key("alice").payload), "1")),
        premine((ALICE, "1"), (BOB, "1"), (ALICE, "1")),
        premine((ALICE, "90071992547409.91"), (BOB, "0.01")),
    ],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD.items() for value in values], ids=short
)
def test_a_field_of_another_type_or_out_of_range_is_named_with_what_it_may_be(field: str, value: str) -> None:
    error = refusal(toml(**{field: value}))
    assert error.details["field"].startswith(field)
    assert field in error.message
    assert error.details["expected"]
    assert len(error.message) < 500


@pytest.mark.parametrize(
    "text", ["name", "name = ", "=", "\ufeff", "a" * 4_000_001, "a=" + "9" * 5000, "a=" + "[" * 9999]
)
def test_what_is_no_toml_is_refused(text: str) -> None:
    assert refusal(text).code == "bad_coin"


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"name": f'"{"𝄞" * 64}"'}, "name", "𝄞" * 64),
        ({"symbol": '"TST012345678"'}, "symbol", "TST012345678"),
        ({"hrp": '"abcdefghijklmnop"'}, "hrp", "abcdefghijklmnop"),
        ({"decimals": "0", "reward": '"9007199254740991"'}, "reward", MAX_MONEY),
        ({"decimals": "8", "reward": '"90071992.54740991"'}, "reward", MAX_MONEY),
        ({"reward": '"0"'}, "reward", 0),
        ({"reward": '".5"'}, "reward", 50),
        ({"reward": '"0.10"'}, "reward", 10),
        ({"message": f'"{"é" * 50}"'}, "message", "é" * 50),
        ({"timestamp": "0"}, "timestamp", 0),
        ({"timestamp": "4294967294"}, "timestamp", 2**32 - 2),
        ({"timestamp": "2026-09-21T13:46:40Z"}, "timestamp", 1789998400),
        ({"timestamp": "2026-09-21 15:46:40+02:00"}, "timestamp", 1789998400),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp", 0),
        ({"timestamp": "2106-02-07T06:28:14Z"}, "timestamp", 2**32 - 2),
        ({"block_time": "86400"}, "clock_tolerance", 60),
        ({"block_time": "2"}, "clock_tolerance", 12),
        ({"block_time": "1", "retarget": "false"}, "clock_tolerance", 6),
        ({"block_time": "1", "retarget": "false", "clock_tolerance": "7200"}, "clock_tolerance", 7200),
        ({"clock_tolerance": "60"}, "clock_tolerance", 60),
        ({"block_time": "86400", "clock_tolerance": "7200"}, "clock_tolerance", 7200),
        ({"difficulty_window": "3"}, "difficulty_window", 3),
        ({"difficulty_window": "1000"}, "difficulty_window", 1000),
        ({"max_block_bytes": "10000"}, "max_block_bytes", 10_000),
        ({"max_block_bytes": "32_000_000"}, "max_block_bytes", 32_000_000),
        ({"halving_interval": "4294967295"}, "halving_interval", 2**32 - 1),
        ({"pow_limit": '"2100ff00"'}, "pow_limit", 0x2100FF00),
        ({"pow_limit": '"1D00FFFF"'}, "pow_limit", 0x1D00FFFF),
        ({"max_supply": '"0"'}, "max_supply", 0),
        ({"premine": premine((BOB, "0.01"), (ALICE, "2"))}, "premine", ((BOB, 1), (ALICE, 200))),
    ],
)
def test_the_edges_of_what_is_allowed_are_allowed(changes: dict[str, str], field: str, value: object) -> None:
    assert getattr(coin_from_toml(toml(**changes)), field) == value


def test_the_premine_is_at_most_the_supply() -> None:
    row = premine((ALICE, "5"), (BOB, "5.01"))
    assert refusal(toml(max_supply='"10"', premine=row)).details["field"] == "premine"
    assert coin_from_toml(toml(max_supply='"10.01"', premine=row)).premine_sum == 1001


def test_a_genesis_that_is_larger_than_a_block_is_refused() -> None:
    def rows(count: int) -> str:
        return premine(*((encode_address("tst", bytes([0]) + n.to_bytes(32, "big")), "1") for n in range(count)))

    # 80 bytes of header, 1 of count, 79 of the first coinbase, 47 a row: 209 rows are 9,983 bytes
    assert len(coin_from_toml(toml(max_block_bytes="10000", premine=rows(209))).premine) == 209
    assert refusal(toml(max_block_bytes="10000", premine=rows(210))).details["field"] == "premine"


@given(coins())
def test_a_coin_reads_back_from_toml_and_from_json(coin: Coin) -> None:
    from_toml = coin_from_toml(coin_to_toml(coin))
    from_json = coin_from_json(json.loads(json.dumps(coin.as_json())))
    assert from_toml == from_json == coin
    assert from_toml.chain_id == from_json.chain_id == coin.chain_id


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_json_value_in_any_field_is_refused_or_makes_a_coin_that_says_so(
    data: st.DataObject,
) -> None:
    fields = easy_coin(premine=[(key("alice"), 5)]).as_json()
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(json_values)
    try:
        assert coin_from_json(fields).as_json() == fields
    except BadCoin as error:
        json.dumps(error.details).encode()
        error.message.encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(premine=[{"address": ALICE, "amount": 1}]),
        lambda fields: fields.update(premine=[[ALICE, "1"]]),
        lambda fields: fields.update(premine=[[ALICE, 1, 1]]),
        lambda fields: fields.update(reward="10"),
        lambda fields: fields.update(reward=MAX_MONEY + 1),
        lambda fields: fields.update(reward=1.0),
        lambda fields: fields.update(timestamp="2026-09-21T13:46:40Z"),
        lambda fields: fields.update(name="\ud800"),
        lambda fields: fields.update({"\ud800": 1}),
        lambda fields: fields.pop("reward"),
    ],
)
def test_json_spells_a_coin_in_one_way(change: Callable[[dict[str, Any]], Any]) -> None:
    fields = easy_coin().as_json()
    change(fields)
    with pytest.raises(BadCoin) as refused:
        coin_from_json(fields)
    refused.value.message.encode()
    json.dumps(refused.value.details, ensure_ascii=False).encode()


@pytest.mark.parametrize("answer", [None, [], "coin", 7])
def test_json_that_is_no_object_is_no_coin(answer: object) -> None:
    with pytest.raises(BadCoin):
        coin_from_json(answer)


@given(coins(), coins())
def test_two_coins_that_differ_have_two_genesis_blocks(one: Coin, two: Coin) -> None:
    assert (one == two) == (one.chain_id == two.chain_id)


def test_the_builders_coin_is_one_that_a_file_can_hold() -> None:
    coin = easy_coin(premine=[(key("alice"), 5), (key("bob"), 6)])
    assert coin_from_toml(coin_to_toml(coin)) == coin
    assert ChainBuilder(coin).account(key("bob")).balance == 6
