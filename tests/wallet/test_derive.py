"""Phrases and paths: the BIPs' vectors through the calls that the wallet makes, and the addresses that hang on them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mnemonic import Mnemonic
from slip10 import SLIP10

from moneyer.node.core.address import encode_address
from moneyer.node.wallet import derive
from moneyer.node.wallet.errors import BadPhrase
from tests.conftest import vector_file

# Pinned for good: published addresses, and every development coin's genesis, hang on them.
DEVELOPMENT_PUBLIC_KEYS = {
    "alice": "c223e581224abac211cbe18f7416285debe060cbdf1f3f52efdc0607f7831640",
    "bob": "7bef7d1d38533a050fc9dbd7f667d9fd9b6687e2526e4dd618e2be2a3ea506ca",
    "carol": "9ef7fae0a8192e64252d2a4ee85ce8c216c42c6458d686b1951ffc888402fdee",
    "dave": "04f3e66ceba8d8f365c5a7df299ab5a9084dc29e56eace94e482b3b211e977ac",
    "erin": "4c7d751561cd94a379a0897049ded849a2379dbc4f9454e9e43765f96e6dbac6",
}


def vectors(name: str) -> Any:
    return json.loads(vector_file(name).read_text("utf-8"))


def test_phrases_and_seeds_are_those_of_bip39() -> None:
    rows = vectors("bip39.json")
    assert len(rows) == 24
    for entropy, phrase, passphrase, seed, xprv in rows:
        assert Mnemonic("english").to_mnemonic(bytes.fromhex(entropy)) == phrase
        assert derive.seed_from_phrase(phrase, passphrase).hex() == seed
        assert SLIP10.from_seed(bytes.fromhex(seed)).get_xpriv() == xprv


@pytest.mark.parametrize("chain", ["vector1", "vector2"])
def test_paths_derive_as_in_bip32(chain: str) -> None:
    rows = vectors("bip32.json")[chain]
    seed = bytes.fromhex(rows.pop("seed"))
    for path, expected in rows.items():
        assert SLIP10.from_seed(seed).get_xpriv_from_path(path) == expected["prv"]
        assert SLIP10.from_seed(seed).get_xpub_from_path(path) == expected["pub"]
        assert derive.derive(seed, path) == SLIP10.from_xpriv(expected["prv"]).get_privkey_from_path("m")


def test_children_derive_as_in_bcoins_vectors() -> None:
    rows = vectors("bip32.json")
    # The phrase's own checksum is wrong there, so it goes to the library directly.
    assert Mnemonic.to_seed(rows["phrase"], "foo").hex() == rows["seed"]
    seed = bytes.fromhex(rows["seed"])
    assert SLIP10.from_seed(seed).get_xpriv() == rows["master_priv"]
    assert SLIP10.from_seed(seed).get_xpub() == rows["master_pub"]
    paths = {"child1": "m/0", "child3": "m/1", "child4": "m/2", "child5": "m/2/0", "child6": "m/2/1"}
    for name, path in paths.items():
        child = SLIP10.from_xpriv(rows[f"{name}_priv"])
        assert derive.derive(seed, path) == child.get_privkey_from_path("m")
        assert child.get_xpub() == rows[f"{name}_pub"]
        assert SLIP10.from_xpub(rows["master_pub"]).get_xpub_from_path(path) == rows[f"{name}_pub"]
    assert rows["child2_pub"] == rows["child3_pub"]


def test_a_key_that_begins_with_zeros_derives_as_in_bcoins_vectors() -> None:
    key = SLIP10.from_xpriv(vectors("bip32.json")["zero_priv"])
    assert key.get_privkey_from_path("m").startswith(bytes(3))
    assert (
        key.get_privkey_from_path("m/44'/0'/0'/0/0'").hex()
        == "3348069561d2a0fb925e74bf198762acc47dce7db27372257d2d959a9e6f8aeb"
    )


def test_the_development_keys_that_stand_in_the_code_are_the_phrases() -> None:
    seed = derive.seed_from_phrase(derive.DEVELOPMENT_PHRASE)
    for name in (*derive.DEVELOPMENT_NAMES, derive.FAUCET):
        key = derive.development_key(name)
        assert key.path is not None
        assert key.secret == derive.derive(seed, key.path)


def test_the_development_keys_never_change() -> None:
    keys = derive.development_keys()
    assert {name: key.public_key.hex() for name, key in keys.items()} == DEVELOPMENT_PUBLIC_KEYS
    assert tuple(keys) == derive.DEVELOPMENT_NAMES
    assert keys["alice"].path == "m/44'/1296980306'/0'/0/0"
    assert keys["erin"] == derive.key_from_phrase(derive.DEVELOPMENT_PHRASE, 4)


def test_the_published_addresses_are_those_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wallet.md").read_text()
    for name, key in derive.development_keys().items():
        assert (
            f"| `{name}` | `{key.path}` | `{key.public_key.hex()}` | `{encode_address('dev', key.payload)}` |" in page
        )


@pytest.mark.parametrize(
    ("phrase", "sentence"),
    [
        ("test " * 11 + "jumk", r'word 12, "jumk", is not .*did you mean junk\?'),
        ("test " * 11 + "zzzzqqqq", r'word 12, "zzzzqqqq", is not one of the 2048 words of a recovery phrase$'),
        ("test " * 10 + "junk", "this one has 11"),
        ("", "this one has 0"),
        ("test " * 12, "they don't belong together"),
        ("test " * 1000, "too long"),
        ("x" * 380, 'word 1, "xxxxxxxxxxxxxxx…"'),
    ],
)
def test_a_phrase_that_is_none_is_refused_with_a_sentence(phrase: str, sentence: str) -> None:
    with pytest.raises(BadPhrase, match=sentence):
        derive.key_from_phrase(phrase, 0)


def test_case_and_spaces_of_a_phrase_do_not_matter() -> None:
    typed = "  " + derive.DEVELOPMENT_PHRASE.upper().replace(" ", "\n ")
    assert derive.key_from_phrase(typed, 1) == derive.development_keys()["bob"]


def test_new_phrases_differ_and_are_phrases() -> None:
    phrases = {derive.new_phrase() for _ in range(20)}
    assert len(phrases) == 20
    assert all(len(derive.check_phrase(phrase).split()) == 12 for phrase in phrases)


@pytest.mark.parametrize("account", [-1, 2**31])
def test_an_account_out_of_range_is_refused(account: int) -> None:
    with pytest.raises(ValueError, match="an account is a number"):
        derive.key_from_phrase(derive.DEVELOPMENT_PHRASE, account)


def test_a_key_does_not_show_its_secret() -> None:
    key = derive.random_key()
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
    assert str(key.secret) not in f"{key}"


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, bytes(31), b""])
def test_what_is_no_secret_makes_no_key(secret: bytes) -> None:
    with pytest.raises(ValueError, match="no secret key"):
        derive.Key.from_secret(secret)


def test_opening_a_wallet_loads_no_derivation_library() -> None:
    script = "import sys, node.wallet.keystore; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "node.wallet.keystore" in modules
    assert not {"slip10", "mnemonic", "cryptography"} & set(modules)
