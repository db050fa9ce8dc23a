"""`moneyer wallet` as processes: keys in, keys out, names, passphrases, recovery."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from moneyer.node.core.address import encode_address
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.wallet.derive import DEVELOPMENT_NAMES, DEVELOPMENT_PHRASE, development_keys, key_from_phrase
from moneyer.node.wallet.keystore import create_wallet, open_wallet
from tests.kit.chains import easy_coin, key
from tests.kit.commands import asked, moneyer, no_room, refusal, start, talk
from tests.kit.running import PASSPHRASE, SECRET, own_coin, own_node

COIN = own_coin()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder without a wallet."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    return folder


@pytest.fixture
def sealed(data: Path) -> Path:
    """A data folder whose encrypted wallet has `miner`, the phrase's account 0."""
    keys = {"miner": key_from_phrase(DEVELOPMENT_PHRASE, 0)}
    create_wallet(data / "wallet.json", keys, development=False, phrase=DEVELOPMENT_PHRASE, passphrase=PASSPHRASE)
    return data


def test_a_new_wallet_is_encrypted_and_grows_by_its_phrase(data: Path) -> None:
    first = asked("wallet", "new", "anna", "--data", data, env=SECRET)
    assert list(first["accounts"]) == ["miner", "anna"]
    assert stat.S_IMODE((data / "wallet.json").stat().st_mode) == 0o600
    assert open_wallet(data / "wallet.json").locked
    second = asked("wallet", "new", "ben", "--data", data, env=SECRET)
    assert list(second["accounts"]) == ["ben"]
    phrase = asked("wallet", "export", "--phrase", "--data", data, env=SECRET)["phrase"]
    for number, address in enumerate([*first["accounts"].values(), *second["accounts"].values()]):
        assert address == COIN.address(key_from_phrase(phrase, number).payload)


def test_the_phrase_is_shown_on_a_terminal_only(data: Path) -> None:
    status, shown = talk(
        ["wallet", "new", "--data", data], [("New passphrase", PASSPHRASE), ("The same again", PASSPHRASE)]
    )
    assert status == 0, shown
    phrase = asked("wallet", "export", "--phrase", "--data", data, env=SECRET)["phrase"]
    assert phrase in shown
    assert PASSPHRASE not in shown


def test_export_asks_first_on_a_terminal(sealed: Path) -> None:
    order: list[str | Path] = ["wallet", "export", "miner", "--data", sealed]
    status, shown = talk(order, [("Is nobody looking?", "n")], env=SECRET)
    assert (status, key_from_phrase(DEVELOPMENT_PHRASE, 0).secret.hex() in shown) == (1, False)
    status, shown = talk(order, [("Is nobody looking?", "y")], env=SECRET)
    assert (status, key_from_phrase(DEVELOPMENT_PHRASE, 0).secret.hex() in shown) == (0, True)


def test_a_key_goes_out_and_in_again(sealed: Path) -> None:
    secret = key("carol").secret.hex()
    for wrong in ("00" * 32, "ff" * 32, "abc", "xyz", f"{secret}00"):
        said = refusal(moneyer("wallet", "import", "carol", "--data", sealed, env=SECRET, typed=wrong))
        assert "no secret key" in said
        assert wrong not in said
    brought = asked("wallet", "import", "carol", "--data", sealed, env=SECRET, typed=f"{secret}\n")
    assert brought["accounts"] == {"carol": key("carol").address(COIN)}
    assert asked("wallet", "export", "carol", "--data", sealed, env=SECRET)["secret_key"] == secret
    assert asked("wallet", "show", "carol", "--data", sealed)["imported"] is True
    again = refusal(moneyer("wallet", "import", "carl", "--data", sealed, env=SECRET, typed=secret))
    assert "holds this key already, as carol" in again
    assert "nothing came" in refusal(moneyer("wallet", "import", "dora", "--data", sealed, env=SECRET))


def test_a_wallet_comes_back_from_its_phrase_with_the_addresses_that_were_used(tmp_path: Path) -> None:
    people = [key_from_phrase(DEVELOPMENT_PHRASE, number) for number in range(25)]
    premine = [(encode_address("back", people[number].payload), 10) for number in (3, 20)]
    coin = easy_coin(hrp="back", premine=premine)
    with own_node(tmp_path / "data", coin) as node:
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        (fresh / "coin.toml").write_text(coin_to_toml(coin))
        order = ("wallet", "import", "--phrase", "--data", fresh, "--node", node.url)
        found = asked(*order, env=SECRET, typed=f"  {DEVELOPMENT_PHRASE.upper()} \n")
        assert found["accounts"] == {
            "miner": coin.address(people[0].payload),
            "account-3": coin.address(people[3].payload),
            "account-20": coin.address(people[20].payload),
        }
        assert "not written over" in refusal(moneyer(*order, env=SECRET, typed=DEVELOPMENT_PHRASE))
        asked("wallet", "new", "next", "--data", fresh, env=SECRET)
        assert asked("wallet", "show", "next", "--data", fresh)["path"].endswith("/1'/0/0")


def test_a_phrase_and_a_friends_url_make_a_folder_with_the_wallet_in_it(tmp_path: Path) -> None:
    people = [key_from_phrase(DEVELOPMENT_PHRASE, number) for number in range(4)]
    coin = easy_coin(hrp="back", premine=[(encode_address("back", people[3].payload), 10)])
    with own_node(tmp_path / "data", coin) as node:
        fresh = tmp_path / "fresh"
        order = ("join", node.url.removeprefix("http://"), "--phrase", "--data", fresh)
        assert "recovery phrase" in refusal(moneyer(*order, env=SECRET, typed="no phrase at all"))
        assert not fresh.exists(), "a phrase that is none leaves nothing behind"
        found = asked(*order, env=SECRET, typed=f"{DEVELOPMENT_PHRASE}\n")
        wanted = {"miner": coin.address(people[0].payload), "account-3": coin.address(people[3].payload)}
        assert found["accounts"] == wanted
        assert DEVELOPMENT_PHRASE not in json.dumps(found)
        wallet = (fresh / "wallet.json").read_bytes()
        assert "has a wallet already" in refusal(moneyer(*order, env=SECRET, typed=DEVELOPMENT_PHRASE))
        assert (fresh / "wallet.json").read_bytes() == wallet
        exported = asked("wallet", "export", "--phrase", "--data", fresh, env=SECRET)
        assert exported["phrase"] == DEVELOPMENT_PHRASE


def test_without_a_node_recovery_says_what_to_do(data: Path) -> None:
    order = ("wallet", "import", "--phrase", "--data", data)
    said = refusal(moneyer(*order, env=SECRET, typed=DEVELOPMENT_PHRASE))
    assert "--accounts N" in said
    assert not (data / "wallet.json").exists()
    found = asked(*order, "--accounts", "3", env=SECRET, typed=DEVELOPMENT_PHRASE)
    assert list(found["accounts"]) == ["miner", "account-1", "account-2"]


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("test test", "has 12, 15, 18, 21 or 24 words; this one has 2"),
        ("tset " * 12, "did you mean"),
        ("test " * 12, "don't belong together"),
        ("", "nothing came"),
        ("x" * 5000, "too long"),
    ],
)
def test_a_phrase_that_is_none_is_explained(data: Path, phrase: str, words: str) -> None:
    order = ("wallet", "import", "--phrase", "--accounts", "1", "--data", data)
    assert words in refusal(moneyer(*order, env=SECRET, typed=phrase))
    assert not (data / "wallet.json").exists()


def test_keys_and_contacts_are_listed_and_named(sealed: Path) -> None:
    dora = key("dora").address(COIN)
    done = moneyer("wallet", "contact", "dora", dora.upper(), "--data", sealed)
    assert (done.returncode, done.stdout) == (0, f"dora is {dora}\n")
    assert stat.S_IMODE((sealed / "contacts.json").stat().st_mode) == 0o600
    listed = asked("wallet", "list", "--data", sealed)["accounts"]
    assert [(row["name"], row["kind"], row["balance"]) for row in listed] == [
        ("miner", "key", None),
        ("dora", "contact", None),
    ]
    assert asked("wallet", "contact", "--data", sealed) == {"contacts": {"dora": dora}}
    for arguments, words in (
        (("dora", key("erin").address(COIN)), "remove that contact first"),
        (("miner", dora), "is a key of this wallet"),
        (("erin", dora[:-1] + "q"), "checksum"),
        (("e/rin", dora), "a name has 1 to 32"),
        (("erin", COIN.address(bytes([0]) + b"\xff" * 32)), "nobody can have the key"),
        (("nobody", "--remove"), "no contact nobody"),
    ):
        assert words in refusal(moneyer("wallet", "contact", *arguments, "--data", sealed))
    assert moneyer("wallet", "contact", "dora", "--remove", "--data", sealed).returncode == 0
    assert asked("wallet", "contact", "--data", sealed) == {"contacts": {}}
    assert "no contacts yet" in moneyer("wallet", "contact", "--data", sealed).stdout


def test_no_key_gets_the_name_of_a_contact(sealed: Path) -> None:
    """What is sent to `ben` would go to the key from then on."""
    ben = key("ben").address(COIN)
    assert moneyer("wallet", "contact", "Ben", ben, "--data", sealed).returncode == 0
    assert moneyer("wallet", "new", "savings", "--data", sealed, env=SECRET).returncode == 0
    before = (sealed / "wallet.json").read_bytes()
    words = "Ben is a contact already: take another name, or forget it with `moneyer wallet contact Ben --remove`"
    for arguments in (("rename", "savings", "ben"), ("new", "ben"), ("import", "BEN")):
        done = moneyer("wallet", *arguments, "--data", sealed, env=SECRET, typed="11" * 32)
        assert words in refusal(done), arguments
    assert (sealed / "wallet.json").read_bytes() == before
    assert moneyer("wallet", "rename", "savings", "Savings", "--data", sealed, env=SECRET).returncode == 0


def test_names_that_are_not_listed_are_counted(sealed: Path) -> None:
    friend = key("ben").address(COIN)
    for number in range(9):
        assert moneyer("wallet", "contact", f"friend {number}", friend, "--data", sealed).returncode == 0
    said = refusal(moneyer("wallet", "show", "zzzz", "--data", sealed))
    assert "friend 6 and 2 more (`" in said


def test_a_key_is_exported_by_its_name_in_any_case(sealed: Path) -> None:
    assert asked("wallet", "export", "MINER", "--data", sealed, env=SECRET)["name"] == "miner"


def test_a_key_gets_another_name(sealed: Path) -> None:
    asked("wallet", "new", "saving", "--data", sealed, env=SECRET)
    told = asked("wallet", "rename", "saving", "savings", "--data", sealed, env=SECRET)
    assert told == {"wallet": str(sealed / "wallet.json"), "renamed": {"saving": "savings"}}
    assert list(open_wallet(sealed / "wallet.json", passphrase=PASSPHRASE).names) == ["miner", "savings"]
    assert "did you mean savings?" in refusal(moneyer("wallet", "rename", "saving", "x", "--data", sealed, env=SECRET))
    assert "take another name" in refusal(moneyer("wallet", "rename", "savings", "miner", "--data", sealed, env=SECRET))


def test_the_passphrase_is_changed_and_taken_off(sealed: Path) -> None:
    path = sealed / "wallet.json"
    change = ("wallet", "passphrase", "--data", sealed)
    assert "MONEYER_NEW_PASSPHRASE" in refusal(moneyer(*change, env=SECRET))
    assert moneyer(*change, env={**SECRET, "MONEYER_NEW_PASSPHRASE": "new"}).returncode == 0
    assert not open_wallet(path, passphrase="new").locked
    assert "passphrase is wrong" in refusal(moneyer(*change, "--open", env=SECRET))
    assert asked(*change, "--open", env={"MONEYER_PASSPHRASE": "new"}) == {"wallet": str(path), "encrypted": False}
    assert not open_wallet(path).locked
    assert (
        "no, it is open: `moneyer wallet passphrase` encrypts it" in moneyer("wallet", "show", "--data", sealed).stdout
    )


def test_an_open_wallet_is_encrypted_by_what_is_asked_twice(data: Path) -> None:
    assert moneyer("wallet", "new", "--open", "--data", data).returncode == 0
    path = data / "wallet.json"
    before = open_wallet(path)
    answers = [
        *(("New passphrase", "abc"), ("The same again", "abd")),
        *(("New passphrase", "abc"), ("The same again", "abc")),
    ]
    status, shown = talk(["wallet", "passphrase", "--data", data], answers)
    assert status == 0, shown
    assert "The two differ" in shown
    assert "A node runs" not in shown
    assert open_wallet(path).locked
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    miner = before.names["miner"]
    assert open_wallet(path, passphrase="abc").secret_for(miner) == before.secret_for(miner)
    assert before.secret_for(miner).hex() not in path.read_text()


def test_who_encrypts_the_wallet_of_a_running_node_is_told_what_it_wants(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with own_node(data):
        done = moneyer("wallet", "passphrase", "--data", data, env={"MONEYER_NEW_PASSPHRASE": "new"})
        assert done.returncode == 0, done.stderr
        assert "once it is started with the new passphrase" in done.stderr


def test_a_development_wallet_is_open_and_says_so(data: Path) -> None:
    create_wallet(data / "wallet.json", development_keys(), development=True, phrase=DEVELOPMENT_PHRASE)
    assert "no, it is open: its keys are published" in moneyer("wallet", "show", "--data", data).stdout
    assert asked("wallet", "show", "--data", data)["accounts"] == list(DEVELOPMENT_NAMES)
    said = refusal(moneyer("wallet", "passphrase", "--data", data, env={"MONEYER_NEW_PASSPHRASE": "x"}))
    assert "a passphrase is no help" in said


SPENDERS: list[tuple[tuple[str, ...], str]] = [
    (("new", "anna"), ""),
    (("import", "anna"), key("anna").secret.hex()),
    (("export", "miner"), ""),
    (("export", "--phrase"), ""),
    (("rename", "miner", "other"), ""),
    (("passphrase", "--open"), ""),
]


@pytest.mark.parametrize(("command", "typed"), SPENDERS)
def test_a_wrong_passphrase_and_a_damaged_file_are_the_same_refusal(
    sealed: Path, command: tuple[str, ...], typed: str
) -> None:
    path = sealed / "wallet.json"
    before = path.read_bytes()
    wrong = refusal(moneyer("wallet", *command, "--data", sealed, env={"MONEYER_PASSPHRASE": "mud"}, typed=typed))
    content = json.loads(before)
    content["encryption"]["nonce"] = "00" * 12
    path.write_text(json.dumps(content))
    damaged = refusal(moneyer("wallet", *command, "--data", sealed, env=SECRET, typed=typed))
    assert wrong == damaged == "moneyer: the passphrase is wrong, or the wallet file is damaged\n"
    path.write_bytes(before)
    assert "MONEYER_PASSPHRASE" in refusal(moneyer("wallet", *command, "--data", sealed, typed=typed))
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", [("new", "anna"), ("rename", "miner", "other"), ("passphrase", "--open")])
def test_on_a_full_disk_the_old_file_stays(sealed: Path, command: tuple[str, ...]) -> None:
    before = (sealed / "wallet.json").read_bytes()
    assert "too large" in refusal(moneyer("wallet", *command, "--data", sealed, env=SECRET, first=no_room)).lower()
    assert [each.name for each in sealed.iterdir() if each.name.startswith("wallet")] == ["wallet.json"]
    assert not list(sealed.glob(".*.tmp"))
    assert (sealed / "wallet.json").read_bytes() == before


def test_an_absurd_cost_is_refused_at_once(sealed: Path) -> None:
    path = sealed / "wallet.json"
    content = json.loads(path.read_bytes())
    content["encryption"]["n"] = 2**30
    path.write_text(json.dumps(content))
    assert "absurd amount of work" in refusal(moneyer("wallet", "export", "miner", "--data", sealed, env=SECRET))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"[1]", "damaged"),
        (b'{"format": "x", "version": 1}', "no Moneyer wallet"),
        (b"\xff", "damaged"),
    ],
)
def test_a_file_that_is_no_wallet_is_a_sentence(data: Path, content: bytes, words: str) -> None:
    (data / "wallet.json").write_bytes(content)
    for command in (("list",), ("show",), ("export", "miner"), ("new", "anna")):
        assert words in refusal(moneyer("wallet", *command, "--data", data, env=SECRET))
    assert (data / "wallet.json").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":"moneyer-contacts","version":1,"contacts":{"a":"b"}}'])
def test_damaged_contacts_are_a_sentence(sealed: Path, content: bytes) -> None:
    (sealed / "contacts.json").write_bytes(content)
    assert "contacts.json is damaged" in refusal(moneyer("wallet", "contact", "--data", sealed))


def test_what_is_missing_says_how_to_get_it(data: Path, tmp_path: Path) -> None:
    for command in (("list",), ("show",), ("export", "miner"), ("rename", "a", "b")):
        assert "`moneyer wallet new` makes one" in refusal(moneyer("wallet", *command, "--data", data))
    assert "no data folder" in refusal(moneyer("wallet", "list", "--data", tmp_path / "none"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "no data folder here" in refusal(moneyer("wallet", "list", cwd=elsewhere, env={"HOME": str(elsewhere)}))
    for command in (("export",), ("export", "a", "--phrase"), ("import",), ("contact", "a"), ("contact", "--remove")):
        refusal(moneyer("wallet", *command, "--data", data), 2)


def test_two_processes_that_add_keys_at_once_both_succeed(sealed: Path) -> None:
    racers = [start("wallet", "new", f"key-{number}", "--data", sealed, **SECRET) for number in range(2)]
    for racer in racers:
        assert racer.communicate(timeout=60)[1] == ""
    held = open_wallet(sealed / "wallet.json", passphrase=PASSPHRASE)
    assert set(held.names) == {"miner", *(f"key-{number}" for number in range(2))}
    assert len(set(held.names.values())) == 3
