"""A `coin.toml` with a fault in any field is a sentence that names the field and what it may be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moneyer.node.cli import main as cli_main
from moneyer.node.core.coinfile import coin_to_toml
from tests.kit.commands import moneyer, refusal
from tests.kit.running import own_coin

TEXT = coin_to_toml(own_coin())
REQUIRED = ["name", "symbol", "hrp", "decimals", "timestamp", "block_time", "pow_limit", "reward"]

WRONG: list[tuple[str, str, str]] = [
    ("name", "3", "text of 1 to 64"),
    ("name", '""', "text of 1 to 64"),
    ("symbol", '"beach"', "1 to 12 of A-Z and 0-9"),
    ("symbol", "true", "1 to 12 of A-Z and 0-9"),
    ("hrp", '"B1"', "1 to 16 letters a-z"),
    ("hrp", "[]", "1 to 16 letters a-z"),
    ("decimals", "9", "a whole number from 0 to 8"),
    ("decimals", '"6"', "a whole number from 0 to 8"),
    ("decimals", "6.0", "a whole number from 0 to 8"),
    ("message", f'"{"m" * 101}"', "at most 100 bytes"),
    ("message", "1", "at most 100 bytes"),
    ("timestamp", "-1", "Unix seconds from 0 to 4294967294"),
    ("timestamp", "4294967295", "Unix seconds from 0 to 4294967294"),
    ("timestamp", "4294967296", "Unix seconds from 0 to 4294967294"),
    ("timestamp", "2106-02-07T06:28:15Z", "Unix seconds from 0 to 4294967294"),
    ("timestamp", "2026-01-01T00:00:00", "a date-time with offset"),
    ("timestamp", '"now"', "Unix seconds"),
    ("block_time", "0", "from 1 to 86400"),
    ("block_time", "86401", "from 1 to 86400"),
    ("block_time", "true", "from 1 to 86400"),
    ("retarget", "1", "true or false"),
    ("difficulty_window", "2", "from 3 to 1000"),
    ("difficulty_window", "1001", "from 3 to 1000"),
    ("pow_limit", "520159231", "8 hex digits in quotes"),
    ("pow_limit", '"00000000"', "compact bits"),
    ("pow_limit", '"20000001"', "shortest form"),
    ("max_block_bytes", "9999", "from 10000 to 32000000"),
    ("max_block_bytes", "32000001", "from 10000 to 32000000"),
    ("clock_tolerance", "0", "from 1 to 7200"),
    ("clock_tolerance", "7201", "from 1 to 7200"),
    ("reward", "10", "a decimal string in coins"),
    ("reward", '"0.0000001"', "at most 6 decimals"),
    ("reward", '"9007199255"', "more than any coin can hold"),
    ("halving_interval", "-1", "from 0 to 4294967295"),
    ("halving_interval", '"never"', "from 0 to 4294967295"),
    ("max_supply", "1", "a decimal string in coins"),
    ("max_supply", '"1"', "at most max_supply in sum"),
]


def refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `moneyer node --coin` says of it; in this process, for there are many of them."""
    file = tmp_path / "coin.toml"
    file.write_text(text, "utf-8")
    assert cli_main.run(["node", "--data", str(tmp_path / "data"), "--coin", str(file)]) == 1
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    assert str(file) in said
    assert not (tmp_path / "data" / "coin.toml").exists()
    return said


def changed(field: str, value: str) -> str:
    text, count = re.subn(rf"^{field} = .*$", lambda _: f"{field} = {value}", TEXT, flags=re.MULTILINE)
    assert count == 1
    return text


@pytest.mark.parametrize("field", REQUIRED)
def test_a_field_that_is_missing_is_named(field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(tmp_path, re.sub(rf"^{field} = .*$", "", TEXT, flags=re.MULTILINE), capsys)
    assert f"{field} is missing; it must be " in said


@pytest.mark.parametrize(("field", "value", "range_of_it"), WRONG)
def test_a_field_of_another_type_or_out_of_range_is_named_with_its_range(
    field: str, value: str, range_of_it: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(tmp_path, changed(field, value), capsys)
    # What max_supply may be hangs on the premine: that is the field that is said to be too much.
    assert ("premine" if range_of_it.endswith("in sum") else field) in said
    assert range_of_it in said


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("blocktime = 3\n", '"blocktime" is no field of a coin; there are name, symbol'),
        ("premine = 3\n", "premine must be rows"),
        ("x = [\n", "this is no TOML"),
        ('name = "twice"\n', "this is no TOML"),
    ],
)
def test_what_is_unknown_or_no_toml_is_said(
    lines: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lines + TEXT.partition("\n[[premine]]")[0] if lines.startswith("premine") else lines + TEXT
    assert words in refused(tmp_path, text, capsys)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('amount = "1"', "premine[2].address is missing; it must be an address"),
        ('address = "easy1qqq"\namount = "1"', "premine[2].address must be an address of this coin"),
        ('address = "ADDRESS"\namount = "1"', "in lower case"),
        ('address = "address"\namount = "0"', "premine[2].amount must be at least 1 base unit"),
        ('address = "address"\namount = 5', "premine[2].amount must be a decimal string"),
        ('address = "address"\namount = "1"\nmemo = "x"', '"premine[2].memo" is no field'),
        ('address = "FIRST"\namount = "1"', "an address that no row before it has"),
    ],
)
def test_a_row_of_the_premine_is_named_by_its_number(
    row: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coin = own_coin()
    fresh = coin.address(bytes(33))
    filled = row.replace('"address"', f'"{fresh}"').replace('"ADDRESS"', f'"{fresh.upper()}"')
    filled = filled.replace('"FIRST"', f'"{coin.premine[0][0]}"')
    assert words in refused(tmp_path, f"{TEXT}\n[[premine]]\n{filled}\n", capsys)


def test_up_and_join_and_the_wallet_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "coin.toml").write_text(changed("block_time", "0"))
    for command in (("up", "--any-port"), ("wallet", "new", "--open"), ("node", "--port", "1")):
        said = refusal(moneyer(*command, "--data", tmp_path))
        assert "block_time must be a whole number from 1 to 86400, not 0" in said
