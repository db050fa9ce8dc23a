"""Names as people have them: which there may be, and when two are the same; by one function everywhere."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from moneyer.node.wallet.contacts import add_contact, read_contacts, remove_contact
from moneyer.node.wallet.derive import DEVELOPMENT_NAMES, Key, development_key, development_keys, random_key
from moneyer.node.wallet.edit import derive_key, rename
from moneyer.node.wallet.errors import BadName, NameTaken
from moneyer.node.wallet.keystore import add_key, create_wallet, ensure_wallet, open_wallet
from moneyer.node.wallet.names import check_name, name_key

ADDRESS = f"easy1{'q' * 59}"

GOOD = [
    *("a", "Juhi", "Jaroli Sir", "O'Brien", "Dr. Who", "my-savings_2", "7up", "42", "z" * 32),
    *("Ünïcode", "Küstenmünze", "海", "Иван Петров", "محمد", "जूही", "สมชาย", "Ελένη", "٣٤", "ſ"),
]
BAD = [
    *(
        "",
        " ",
        "coinbase",
        "Coinbase",
        "COINBASE",
        "a" * 33,
        "-a",
        "_a",
        ".a",
        "'a",
        "a-",
        "a_",
        "a.",
        "a  b",
        "a\n",
        "a\tb",
    ),
    *(
        "a/../b",
        "<b>",
        "a@b",
        "a+b",
        "a\x00",
        "a\u200bb",
        "a\u202eb",
        "a\u00adb",
        "a\u00a0b",
        "\u0301a",
        "\u3164",
        "a\u034fb",
    ),
    *("½", "😀", "a\ud800", "Ⅷ", "\ue000"),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_of_any_script_is_taken(name: str, tmp_path: Path) -> None:
    assert check_name(name) == unicodedata.normalize("NFC", name)
    path, key = tmp_path / "wallet.json", random_key()
    create_wallet(path, {name: key}, development=False)
    assert open_wallet(path).payload_of(name) == key.payload
    add_contact(tmp_path, name, ADDRESS)
    assert read_contacts(tmp_path) == {check_name(name): ADDRESS}


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_could_mislead_is_refused_and_told_why(name: str, tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    with pytest.raises(BadName, match="a name has 1 to 32 letters") as refused:
        create_wallet(path, {name: random_key()}, development=False)
    assert refused.value.message.isprintable()
    with pytest.raises(BadName):
        add_contact(tmp_path, name, ADDRESS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Juhi", "jUHI"),
        ("Jaroli Sir", " jaroli sir "),
        ("Straße", "STRASSE"),
        ("e\u0301va", "\u00c9VA"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_names_are_compared_without_case_and_in_one_form(name: str, other: str, tmp_path: Path) -> None:
    assert name_key(name) == name_key(other)
    path, key = tmp_path / "wallet.json", random_key()
    create_wallet(path, {name: key}, development=False)
    assert open_wallet(path).payload_of(other) == key.payload
    with pytest.raises(NameTaken, match=f"account {check_name(name)} already"):
        add_key(path, other, random_key())
    add_contact(tmp_path, name, ADDRESS)
    with pytest.raises(NameTaken):
        add_contact(tmp_path, other, ADDRESS.replace("q", "z"))
    assert remove_contact(tmp_path, other) == ADDRESS


def test_a_name_may_change_its_capitals(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    create_wallet(path, {"anna": random_key(), "ben": random_key()}, development=False)
    assert list(rename(path, "ANNA", "Anna").names) == ["Anna", "ben"]
    with pytest.raises(NameTaken):
        rename(path, "anna", "Ben")


def test_a_name_is_one_account_on_every_development_network(tmp_path: Path) -> None:
    paths = [tmp_path / each / "wallet.json" for each in ("one", "two")]
    for path in paths:
        ensure_wallet(path.parent, development=True)
    derive_key(paths[0], "Zoe")
    derive_key(paths[0], "Juhi")
    derive_key(paths[1], "JUHI")
    first, second = (open_wallet(path) for path in paths)
    assert first.payload_of("juhi") == second.payload_of("juhi") == development_key("Juhi").payload
    assert first.payload_of("Zoe") != first.payload_of("Juhi")
    keys: list[Key] = [
        development_key(name) for name in (*DEVELOPMENT_NAMES, "faucet", *(f"n{each}" for each in range(20)))
    ]
    assert len({key.payload for key in keys}) == len(keys)
    assert {name: development_key(name.upper()) for name in DEVELOPMENT_NAMES} == development_keys()


def test_a_name_made_on_first_use_has_the_key_that_the_docs_say() -> None:
    key = development_key("Jaroli Sir")
    assert key.path == "m/44'/1296980306'/2147483647'/310878718'/355953'/1338152212'/1421520743'"
    assert key.public_key.hex() == "e2280e05e383e808d35005f68729c194416847affa0873b1758e68f8c43885a3"
