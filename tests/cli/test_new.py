"""`moneyer new`: what it makes, what it asks, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.pow import block_work, decode_bits
from moneyer.node.devnet.coinfiles import read_coin
from moneyer.node.devnet.newcoin import YEAR, Wishes, default_symbol, easiest_bits, make_coin, prospect, slug
from moneyer.node.wallet.keystore import open_wallet
from tests.kit.commands import moneyer, no_room, refusal, talk

SECRET = {"MONEYER_PASSPHRASE": "sand and shells"}
WORDS = re.compile(r"\b(?:[a-z]{3,8} ){11}[a-z]{3,8}\b")


def made(folder: Path, *arguments: str) -> dict[str, Any]:
    done = moneyer("new", *arguments, "--json", cwd=folder, env=SECRET)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_it_makes_a_folder_with_a_commented_coin_and_an_encrypted_wallet(tmp_path: Path) -> None:
    done = moneyer("new", "Beach Coin", "--block-time", "30", "--reward", "50", cwd=tmp_path, env=SECRET)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "beach-coin"
    assert sorted(each.name for each in folder.iterdir()) == ["coin.toml", "wallet.json"]
    coin = read_coin(folder / "coin.toml")
    assert (coin.name, coin.symbol, coin.hrp, coin.block_time) == ("Beach Coin", "BEACH", "beach", 30)
    assert (coin.reward, coin.decimals, coin.retarget) == (50 * 10**6, 6, True)
    assert (folder / "coin.toml").read_text().startswith("# A Moneyer coin")
    wallet = open_wallet(folder / "wallet.json")
    assert wallet.locked
    assert list(wallet.names) == ["miner"]
    assert not open_wallet(folder / "wallet.json", passphrase=SECRET["MONEYER_PASSPHRASE"]).locked
    for words in ("time between blocks  30 s", "after 1 year", "after 4 years", "after 20 years", "beach1"):
        assert words in done.stdout
    assert not WORDS.search(done.stdout), "a phrase belongs on a terminal only"


def test_a_coin_has_rules_2_unless_1_are_asked_for_and_then_no_file_names_them(tmp_path: Path) -> None:
    assert made(tmp_path, "Two")["coin"]["rules"] == 2
    assert "rules = 2" in (tmp_path / "two" / "coin.toml").read_text()
    assert "rules" not in made(tmp_path, "One", "--rules", "1")["coin"]
    assert "rules" not in (tmp_path / "one" / "coin.toml").read_text()


def test_every_coin_is_its_own(tmp_path: Path) -> None:
    chains = {made(tmp_path, "Twin", "--data", name)["chain_id"] for name in ("one", "two")}
    assert len(chains) == 2


def test_a_premine_makes_keys_for_names(tmp_path: Path) -> None:
    answer = made(tmp_path, "Beach Coin", "--premine", "anna=1000", "--premine", "ben=0.5")
    coin = read_coin(tmp_path / "beach-coin" / "coin.toml")
    assert list(answer["accounts"]) == ["miner", "anna", "ben"]
    held = {name: coin.address(payload) for name, payload in _names(tmp_path / "beach-coin").items()}
    assert answer["accounts"] == held
    assert coin.premine == ((held["anna"], 1000 * 10**6), (held["ben"], 500_000))
    assert answer["coin"] == coin.as_json() | {"premine": [list(row) for row in coin.premine]}
    assert answer["supply"]["after_1_years"] == coin.issued(YEAR // 30)


def _names(folder: Path) -> dict[str, bytes]:
    return dict(open_wallet(folder / "wallet.json").names)


def test_on_a_terminal_it_asks_for_what_it_is_not_told_and_shows_the_phrase_once(tmp_path: Path) -> None:
    answers = [
        ("Symbol, 1 to 12 of A-Z and 0-9 [BEACH]", "SAND"),
        ("Digits after the point, 0 to 8 [6]", ""),
        ("Coins that a block mints at first, such as 50 or 12.5 [50]", "12.5"),
        ("Blocks until that halves", "0"),
        ("Coins at most", "21000000"),
        ("Coins from the start", "anna=10, ben=20"),
        ("New passphrase", "abc"),
        ("The same again", "abd"),
        ("New passphrase", "abc"),
        ("The same again", "abc"),
    ]
    status, shown = talk(["new", "Beach Coin", "--block-time", "20"], answers, cwd=tmp_path)
    assert status == 0, shown
    coin = read_coin(tmp_path / "beach-coin" / "coin.toml")
    assert (coin.symbol, coin.block_time, coin.reward, coin.halving_interval) == ("SAND", 20, 12_500_000, 0)
    assert coin.max_supply == 21_000_000 * 10**6
    assert [amount for _, amount in coin.premine] == [10 * 10**6, 20 * 10**6]
    phrase = WORDS.search(re.sub(r"\x1b\[\d+m", "", shown))
    assert phrase, shown
    exported = moneyer(
        "wallet", "export", "--phrase", "--data", "beach-coin", cwd=tmp_path, env={"MONEYER_PASSPHRASE": "abc"}
    )
    assert exported.stdout.strip() == phrase[0]


def test_each_answer_is_checked_where_it_is_asked_and_asked_again_until_it_is_one(tmp_path: Path) -> None:
    answers = [
        ("The coin's name, such as Beach Coin", "\u202e"),
        ("cannot be seen", "Sea Coin"),
        ("Symbol, 1 to 12 of A-Z and 0-9 [SEA]", "not a symbol"),
        ("symbol must be 1 to 12 of A-Z", ""),
        ("Digits after the point", "nine"),
        ("whole number", "9"),
        ("decimals must be", "2"),
        ("Seconds between blocks", "1"),
        ("block_time must be", "60"),
        ("Coins that a block mints at first", "1.005"),
        ("this coin has 2 decimals", "5"),
        ("Blocks until that halves", "-1"),
        ("whole number", "0"),
        ("Coins at most", "1"),
        ("reward is more than max_supply", "none"),
        ("Coins from the start", "anna"),
        ("write NAME=COINS", "anna=1 anna=2"),
        ("stands twice", "anna=10 ben=20.5"),
        ("New passphrase", "abc"),
        ("The same again", "abc"),
    ]
    status, shown = talk(["new"], answers, cwd=tmp_path)
    assert status == 0, shown
    coin = read_coin(tmp_path / "sea-coin" / "coin.toml")
    assert (coin.name, coin.symbol, coin.decimals, coin.block_time) == ("Sea Coin", "SEA", 2, 60)
    assert [amount for _, amount in coin.premine] == [1000, 2050]


def test_without_a_terminal_the_name_has_to_be_given(tmp_path: Path) -> None:
    assert 'moneyer new "Beach Coin"' in refusal(moneyer("new", cwd=tmp_path, env=SECRET), status=2)


def test_an_option_that_makes_no_coin_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    status, shown = talk(["new", "A", "--symbol", "no symbol"], [], cwd=tmp_path)
    assert status == 2
    assert "--symbol must be" in shown
    assert "Digits after the point" not in shown


NONSENSE = [
    (("", "--symbol", "X"), 2, "NAME must be text of 1 to 64"),
    (("x" * 65,), 2, "NAME must be text"),
    (("A", "--symbol", "beach"), 2, "--symbol must be 1 to 12 of A-Z"),
    (("A", "--hrp", "Beach1"), 2, "--hrp must be 1 to 16 letters"),
    (("A", "--block-time", "1"), 2, '--block-time must be a whole number from 2 to 86400, not "1"'),
    (("A", "--block-time", "soon"), 2, '--block-time must be a whole number from 2 to 86400, not "soon"'),
    (("A", "--decimals", "9"), 2, "--decimals must be a whole number from 0 to 8"),
    (("A", "--reward", "-1"), 2, '--reward "-1": an amount is digits'),
    (("A", "--reward", "1.0000001"), 2, '--reward "1.0000001": this coin has 6 decimals'),
    (("A", "--reward", "99999999999"), 2, '--reward "99999999999": the amount is more'),
    (("A", "--reward", "0"), 2, "there would never be any"),
    (("A", "--reward", "11", "--max-supply", "10"), 2, "--reward is more than max_supply"),
    (("A", "--premine", "anna=11", "--max-supply", "10", "--reward", "1"), 2, "--premine must be at most"),
    (("A", "--premine", "anna=0"), 2, "--premine: anna would get 0"),
    (("A", "--premine", "anna"), 2, "write NAME=COINS"),
    (("A", "--premine", "<anna>=1"), 2, '--premine "<anna>=1": '),
    (("A", "--premine", "anna=1", "--premine", "Anna=2"), 2, "stands twice"),
    (("A", "--halving-interval", "-1"), 2, "--halving-interval must be a whole number from 0 to"),
    (("A", "--message", "m" * 101), 2, "--message must be text of at most 100 bytes"),
    (("A", "--pow-limit", "1f00fff"), 2, "8 hex digits"),
    (("A", "--pow-limit", "00000000"), 2, "--pow-limit"),
    (("A\x1b[31m",), 2, "cannot be seen"),
    (("Evil\u202e",), 2, r"here escaped: Evil\u202e"),
    (("A\u200bB",), 2, "cannot be seen"),
    (("A\u3164",), 2, "cannot be seen"),
    (("A\ufe0f",), 2, "cannot be seen"),
]


@pytest.mark.parametrize(("arguments", "status", "words"), NONSENSE)
def test_nonsense_is_refused_with_a_reason_and_leaves_nothing(
    arguments: tuple[str, ...], status: int, words: str, tmp_path: Path
) -> None:
    said = refusal(moneyer("new", *arguments, cwd=tmp_path, env=SECRET), status)
    assert words in said.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_has_a_coin_or_a_wallet_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path, "Beach Coin")
    before = {each.name: each.read_bytes() for each in (tmp_path / "beach-coin").iterdir()}
    assert "has a coin already" in refusal(moneyer("new", "Beach Coin", cwd=tmp_path, env=SECRET))
    (tmp_path / "beach-coin" / "coin.toml").unlink()
    assert "has a wallet already" in refusal(moneyer("new", "Beach Coin", cwd=tmp_path, env=SECRET))
    assert (tmp_path / "beach-coin" / "wallet.json").read_bytes() == before["wallet.json"]


def test_without_a_passphrase_and_a_terminal_it_says_how_to_give_one(tmp_path: Path) -> None:
    said = refusal(moneyer("new", "Beach Coin", cwd=tmp_path))
    assert "MONEYER_PASSPHRASE" in said
    assert "--open" in said
    assert not list(tmp_path.iterdir())
    assert moneyer("new", "Beach Coin", "--open", cwd=tmp_path).returncode == 0
    assert not open_wallet(tmp_path / "beach-coin" / "wallet.json").locked


def test_a_key_file_is_a_passphrase(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    assert moneyer("new", "B", "--passphrase-file", "key", cwd=tmp_path).returncode == 0
    assert not open_wallet(tmp_path / "b" / "wallet.json", passphrase="from a file").locked


def test_the_wallet_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    assert moneyer("new", "B", cwd=tmp_path, env=SECRET, first=lambda: os.umask(0)).returncode == 0
    assert stat.S_IMODE((tmp_path / "b" / "wallet.json").stat().st_mode) == 0o600


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    assert "too large" in refusal(moneyer("new", "B", cwd=tmp_path, env=SECRET, first=no_room)).lower()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "symbol", "folder"),
    [
        ("Beach Coin", "BEACH", "beach-coin"),
        ("The Coin", "THE", "the-coin"),
        ("Bob's  gold!", "BOBS", "bobs-gold"),
        ("my-Coin 7", "7", "my-coin-7"),
        ("../../etc", "ETC", "etc"),
        ("Ünïcode", "UNICODE", "unicode"),
        ("Küstenmünze", "KUSTENMU", "kustenmunze"),
        ("U\u0308ni\u0308code", "UNICODE", "unicode"),
        ("Ærø Łódź", "AERO", "aero-lodz"),
        ("Straße", "STRASSE", "strasse"),
        ("Café 海", "CAFE", "cafe"),
        ("米", None, None),
        ("海 Coin", None, None),
        ("", None, None),
        ("!", None, None),
    ],
)
def test_symbols_and_folders_come_from_the_name(name: str, symbol: str | None, folder: str | None) -> None:
    assert (default_symbol(name), slug(name)) == (symbol, folder)


def test_a_name_that_no_symbol_can_be_made_of_asks_for_one(tmp_path: Path) -> None:
    assert "NAME must be text of 1 to 64" in refusal(moneyer("new", "", cwd=tmp_path, env=SECRET), 2)
    assert "--data my-coin --symbol MINE" in refusal(moneyer("new", "海", cwd=tmp_path, env=SECRET))
    assert "--symbol MINE" in refusal(moneyer("new", "海", "--data", "sea", cwd=tmp_path, env=SECRET), 2)
    assert not list(tmp_path.iterdir())
    assert made(tmp_path, "海", "--data", "sea", "--symbol", "SEA")["coin"]["name"] == "海"
    assert made(tmp_path, "Küstenmünze")["data"] == "kustenmunze"


@pytest.mark.parametrize("block_time", [2, 10, 30, 600, 86_400])
def test_the_easiest_work_is_a_hundredth_of_the_block_time_of_a_laptop(block_time: int) -> None:
    hashes = block_work(decode_bits(easiest_bits(block_time)))
    assert max(65_000, 8_000 * block_time) <= hashes <= max(66_000, 8_300 * block_time)


def test_what_is_foretold_is_what_the_coin_says() -> None:
    wishes = Wishes("A", "A", decimals=2, block_time=60, reward="8", halving_interval=1000, hrp="a")
    coin = make_coin(wishes, {}, 1_800_000_000)
    ahead = prospect(coin)
    assert ahead.after[1] == coin.issued(YEAR // 60)
    assert ahead.final == coin.issued(2**32 - 1) == sum((800 >> era) * 1000 for era in range(10))
    assert ahead.minted_out is not None
    blocks = round(ahead.minted_out * YEAR / 60)
    assert (coin.issued(blocks), coin.issued(blocks - 1) < ahead.final) == (ahead.final, True)
    assert "halving_interval = 1000" in coin_to_toml(coin)
