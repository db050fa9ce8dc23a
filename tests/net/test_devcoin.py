"""The development coin is made once, whoever comes first, and stays."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from moneyer.node.core.coinfile import coin_from_toml, coin_to_toml
from moneyer.node.core.errors import BadCoin
from moneyer.node.core.pow import decode_bits
from moneyer.node.devnet.coinfiles import make_once, place_coin, read_coin
from moneyer.node.devnet.devcoin import POW_LIMIT, development_coin, prepare_folder
from moneyer.node.devnet.layout import ensure_network, node_folder
from moneyer.node.wallet.derive import DEVELOPMENT_NAMES, development_key, development_keys

NOW = 1_800_000_000


def test_the_development_coin_is_a_coin_that_reads_back() -> None:
    coin = development_coin(NOW)
    assert coin_from_toml(coin_to_toml(coin)) == coin
    assert coin.timestamp == NOW
    assert not coin.retarget
    assert coin.clock_tolerance == 7200


def test_the_five_named_accounts_have_coins_in_genesis() -> None:
    coin = development_coin(NOW)
    held = {coin.payload(address): amount for address, amount in coin.premine}
    assert [held[development_keys()[name].payload] for name in DEVELOPMENT_NAMES] == [1000 * 10**6] * 5
    assert held[development_key("faucet").payload] == 1_000_000 * 10**6
    assert len(coin.premine) == 6


def test_a_clock_past_what_a_header_holds_makes_no_coin_but_a_sentence() -> None:
    assert development_coin(2**32 - 2).timestamp == 2**32 - 2
    for now in (2**32 - 1, 2**32):
        with pytest.raises(BadCoin, match="timestamp must be"):
            development_coin(now)


def test_work_shows_as_four_leading_zeros() -> None:
    assert f"{decode_bits(POW_LIMIT):064x}".startswith("0000ffff")


def test_networks_that_start_at_different_times_have_different_coins() -> None:
    assert development_coin(NOW).chain_id != development_coin(NOW + 1).chain_id


def test_a_network_keeps_its_coin_when_it_is_made_again(tmp_path: Path) -> None:
    first = ensure_network(tmp_path / "net", 2)
    again = ensure_network(tmp_path / "net", 3)
    assert first == again
    copies = [(node_folder(tmp_path / "net", number) / "coin.toml").read_bytes() for number in (1, 2, 3)]
    assert len(set(copies)) == 1


def test_a_coin_file_can_be_read_by_all(tmp_path: Path) -> None:
    ensure_network(tmp_path, 1)
    assert stat.S_IMODE((tmp_path / "coin.toml").stat().st_mode) == 0o644


def test_nodes_that_start_at_once_get_one_coin(tmp_path: Path) -> None:
    # Each would make a coin with a time of its own, so only the first one's can be in all of them.
    program = """
import sys
from pathlib import Path
from moneyer.node.devnet.coinfiles import make_once, place_coin
from moneyer.node.devnet.devcoin import development_coin

shared, number = Path(sys.argv[1]) / "coin.toml", int(sys.argv[2])
coin = development_coin(1_800_000_000 + number)
sys.stdin.readline()
make_once(shared, lambda: coin)
place_coin(shared, shared.parent / f"node{number}")
"""
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(number)], stdin=subprocess.PIPE)
        for number in range(1, 6)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
    assert [racer.wait(60) for racer in racers] == [0] * 5
    contents = {(node_folder(tmp_path, number) / "coin.toml").read_bytes() for number in range(1, 6)}
    assert len(contents) == 1
    assert not list(tmp_path.glob("**/*.tmp"))


def test_a_shared_coin_that_went_missing_comes_back_from_a_node(tmp_path: Path) -> None:
    shared, data = tmp_path / "coin.toml", tmp_path / "node1"
    prepare_folder(data, shared, development=True)
    coin = read_coin(shared)
    shared.unlink()
    prepare_folder(data, shared, development=True)
    assert read_coin(shared) == coin


def test_a_folder_with_another_coin_is_refused(tmp_path: Path) -> None:
    make_once(tmp_path / "a.toml", lambda: development_coin(NOW))
    make_once(tmp_path / "b.toml", lambda: development_coin(NOW + 1))
    place_coin(tmp_path / "a.toml", tmp_path / "node")
    with pytest.raises(BadCoin, match="keeps another coin"):
        place_coin(tmp_path / "b.toml", tmp_path / "node")
    assert read_coin(tmp_path / "node" / "coin.toml").timestamp == NOW


def test_outside_of_development_no_coin_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        prepare_folder(tmp_path / "node", tmp_path / "coin.toml", development=False)
    prepare_folder(tmp_path / "node", None, development=False)
    assert not (tmp_path / "node" / "coin.toml").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"name = 1", b"x" * 2_000_001])
def test_a_bad_coin_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "coin.toml"
    path.write_bytes(content)
    with pytest.raises(BadCoin, match=str(path)):
        read_coin(path)
