"""`wallet.json`: made once, whole or not there, private, and refused with a sentence when it is not what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core.address import MAX_ADDRESS, decode_address, encode_address
from moneyer.node.core.errors import BadAddress
from moneyer.node.wallet import derive, seal
from moneyer.node.wallet.derive import DEVELOPMENT_NAMES, DEVELOPMENT_PHRASE, Key, key_from_phrase, random_key
from moneyer.node.wallet.errors import (
    NameTaken,
    UnknownKey,
    WalletExists,
    WalletLocked,
    WalletMissing,
    WalletUnreadable,
    WrongWallet,
)
from moneyer.node.wallet.keystore import add_key, create_wallet, ensure_wallet, open_wallet
from moneyer.node.wallet.names import check_name
from tests.conftest import SCRYPT_N

PASSPHRASE = "correct horse"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wallet.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_development_folder_gets_the_five_names_and_a_miner_of_its_own(tmp_path: Path) -> None:
    first, second = (ensure_wallet(tmp_path / name, development=True) for name in ("one", "two"))
    assert list(first.names) == [*DEVELOPMENT_NAMES, "miner"]
    assert first.development
    for account, name in enumerate(DEVELOPMENT_NAMES):
        key = key_from_phrase(DEVELOPMENT_PHRASE, account)
        assert first.payload_of(name) == second.payload_of(name) == key.payload
        assert first.secret_for(key.payload) == key.secret
        assert first.name_of(key.payload) == name
    assert first.payload_of("miner") != second.payload_of("miner")


def test_a_folder_of_ones_own_gets_a_miner_that_its_phrase_leads_to(tmp_path: Path) -> None:
    wallet = ensure_wallet(tmp_path / "new" / "folder", development=False)
    assert list(wallet.names) == ["miner"]
    assert not wallet.development
    phrase = json.loads((tmp_path / "new" / "folder" / "wallet.json").read_text())["secrets"]["phrase"]
    assert key_from_phrase(phrase, 0).payload == wallet.payload_of("miner")


@pytest.mark.parametrize("development", [True, False])
def test_the_second_call_opens_what_the_first_made(tmp_path: Path, development: bool) -> None:
    first = ensure_wallet(tmp_path, development=development)
    before = (tmp_path / "wallet.json").read_bytes()
    assert ensure_wallet(tmp_path, development=development).names == first.names
    assert (tmp_path / "wallet.json").read_bytes() == before


def test_a_development_wallet_and_one_of_ones_own_are_not_taken_for_each_other(tmp_path: Path) -> None:
    ensure_wallet(tmp_path / "dev", development=True)
    ensure_wallet(tmp_path / "own", development=False)
    with pytest.raises(WrongWallet, match="start with --dev"):
        ensure_wallet(tmp_path / "dev", development=False)
    with pytest.raises(WrongWallet, match="start without --dev"):
        ensure_wallet(tmp_path / "own", development=True)


def test_processes_that_start_at_once_agree_on_one_wallet(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from moneyer.node.wallet.keystore import ensure_wallet\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(ensure_wallet(Path(sys.argv[1]), development=False).payload_of('miner').hex())"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    miners = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(miners) == 1
    payload = open_wallet(tmp_path / "data" / "wallet.json").payload_of("miner")
    assert payload is not None
    assert miners == {payload.hex() + "\n"}
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["wallet.json"]


def test_a_wallet_is_never_written_over(path: Path) -> None:
    create_wallet(path, {"a": random_key()}, development=False)
    before = path.read_bytes()
    with pytest.raises(WalletExists, match="not written over"):
        create_wallet(path, {"b": random_key()}, development=False)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["wallet.json"]


def test_files_are_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        create_wallet(path, {"a": random_key()}, development=False)
        assert mode(path) == 0o600
        path.chmod(0o644)
        add_key(path, "b", random_key())
        assert mode(path) == 0o600
    finally:
        os.umask(before)


def test_a_key_that_was_added_is_there_and_the_old_view_stays(path: Path) -> None:
    key = random_key()
    old = create_wallet(path, {"a": random_key()}, development=False, phrase=DEVELOPMENT_PHRASE)
    new = add_key(path, "b", key, imported=True)
    assert list(old.names) == ["a"]
    assert list(new.names) == ["a", "b"]
    again = open_wallet(path)
    assert again.names == new.names
    assert again.secret_for(key.payload) == key.secret
    content = json.loads(path.read_text())
    assert [account["imported"] for account in content["accounts"]] == [False, True]
    assert content["secrets"]["phrase"] == DEVELOPMENT_PHRASE


def test_keys_added_at_once_are_all_kept(path: Path) -> None:
    create_wallet(path, {}, development=False)
    names = [f"name-{number}" for number in range(12)]
    threads = [threading.Thread(target=add_key, args=(path, name, random_key())) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(open_wallet(path).names) == sorted(names)


def test_a_writer_killed_at_any_moment_leaves_a_whole_wallet(path: Path) -> None:
    create_wallet(path, {}, development=False)
    script = (
        "import sys; from pathlib import Path; from moneyer.node.wallet.keystore import add_key\n"
        "from moneyer.node.wallet.derive import random_key\n"
        "for number in range(10_000):\n"
        "    add_key(Path(sys.argv[1]), f'{sys.argv[2]}-{number}', random_key())\n"
        "    print(number, flush=True)"
    )
    acknowledged: set[str] = set()
    for life in "abcde":
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(path), life], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert writer.stdout is not None
        for _ in range(3):
            acknowledged.add(f"{life}-{int(writer.stdout.readline())}")
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate(timeout=30)[0]
        acknowledged |= {f"{life}-{int(line)}" for line in rest.splitlines() if line.isdigit()}
        assert acknowledged <= set(open_wallet(path).names)
    add_key(path, "last", random_key())
    assert [entry.name for entry in path.parent.iterdir()] == ["wallet.json"]


@pytest.mark.parametrize("name", ["a", "alice", "my-savings_2", "z" * 32])
def test_a_name_is_never_an_address(name: str) -> None:
    assert check_name(name) == name
    with pytest.raises(BadAddress):
        decode_address("m", name, 2)
    assert len(name) < len(encode_address("m", bytes(33))) <= MAX_ADDRESS


def test_a_name_or_a_key_stands_in_a_wallet_once(path: Path) -> None:
    key = random_key()
    create_wallet(path, {"a": key}, development=False)
    with pytest.raises(NameTaken, match="account a already"):
        add_key(path, "a", random_key())
    with pytest.raises(NameTaken, match="already, as a"):
        add_key(path, "b", key)
    assert list(open_wallet(path).names) == ["a"]


def test_a_key_that_is_not_here_is_refused_with_the_names_that_are(path: Path) -> None:
    wallet = create_wallet(path, {"a": random_key()}, development=False)
    assert wallet.payload_of("b") is None
    assert wallet.name_of(bytes(33)) is None
    with pytest.raises(UnknownKey, match="does not hold the key") as refusal:
        wallet.secret_for(bytes(33))
    assert refusal.value.details == {"known": ["a"]}


def test_no_secret_is_shown_by_a_wallet_or_an_error(path: Path) -> None:
    key = random_key()
    wallet = create_wallet(path, {"a": key}, development=False, phrase=DEVELOPMENT_PHRASE)
    assert key.secret.hex() not in repr(wallet)
    assert repr(key.secret)[2:-1] not in repr(wallet)
    edit(path, lambda content: content["secrets"]["keys"].update(a=derive.random_key().secret.hex()))
    planted = json.loads(path.read_text())["secrets"]["keys"]["a"]
    with pytest.raises(WalletUnreadable) as refusal:
        open_wallet(path)
    assert planted not in f"{refusal.value!r} {refusal.value.details}"


def test_a_missing_wallet_is_a_sentence(path: Path) -> None:
    with pytest.raises(WalletMissing, match="there is no wallet at"):
        open_wallet(path)


Change = Callable[[dict[str, Any]], object]
DAMAGE: dict[str, tuple[Change, str]] = {
    "an unknown field": (lambda c: c.update(extra=1), "damaged"),
    "a field gone": (lambda c: c.pop("accounts"), "damaged"),
    "another format": (lambda c: c.update(format="other"), "no Moneyer wallet"),
    "a newer version": (lambda c: c.update(version=2), "use the newer Moneyer"),
    "version 0": (lambda c: c.update(version=0), "version 0"),
    "a number for a flag": (lambda c: c.update(development=1), "damaged"),
    "a name that is none": (lambda c: c["accounts"][0].update(name="A"), "damaged"),
    "a name with a line feed": (lambda c: c["accounts"][0].update(name="a\n"), "damaged"),
    "an account without a key": (lambda c: c["secrets"]["keys"].pop("a"), "damaged"),
    "a key without an account": (lambda c: c["secrets"]["keys"].update(b="11" * 32), "damaged"),
    "a key that is not its own": (lambda c: c["secrets"]["keys"].update(a="11" * 32), "damaged"),
    "a key that is zero": (lambda c: c["secrets"]["keys"].update(a="00" * 32), "damaged"),
    "an account twice": (lambda c: c["accounts"].append(c["accounts"][0]), "damaged"),
    "sealed, but open": (lambda c: c.update(secrets="AAAA"), "damaged"),
    "a path that is none": (lambda c: c["accounts"][0].update(path="../../x"), "damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_changed_wallet_is_refused_and_left_as_it_is(path: Path, kind: str) -> None:
    create_wallet(path, {"a": random_key()}, development=False)
    change, sentence = DAMAGE[kind]
    edit(path, change)
    before = path.read_bytes()
    with pytest.raises(WalletUnreadable, match=sentence):
        open_wallet(path)
    with pytest.raises(WalletUnreadable, match=sentence):
        ensure_wallet(path.parent, development=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000, b'{"version":' + b"[" * 100_000, b"{}" * 600_000]
)
def test_what_is_no_wallet_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(WalletUnreadable):
        open_wallet(path)


def test_a_wallet_cut_short_anywhere_is_refused(path: Path) -> None:
    create_wallet(path, {"a": random_key()}, development=False)
    whole = path.read_bytes()
    for size in range(len(whole.rstrip())):
        path.write_bytes(whole[:size])
        with pytest.raises(WalletUnreadable):
            open_wallet(path)


def test_a_pipe_in_the_files_place_does_not_hang(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(WalletUnreadable, match="no regular file"):
        open_wallet(path)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Key]:
    """An encrypted wallet's bytes (sealing takes half a second) and its key `a`."""
    path = tmp_path_factory.mktemp("sealed") / "wallet.json"
    key = random_key()
    create_wallet(path, {"a": key}, development=False, phrase=DEVELOPMENT_PHRASE, passphrase=PASSPHRASE)
    return path.read_bytes(), key


def test_an_encrypted_wallet_opens_with_its_passphrase(path: Path, sealed: tuple[bytes, Key]) -> None:
    content, key = sealed
    path.write_bytes(content)
    assert key.secret.hex().encode() not in content
    assert b"junk" not in content
    assert open_wallet(path, passphrase=PASSPHRASE).secret_for(key.payload) == key.secret


def test_an_encrypted_wallet_without_its_passphrase_knows_names_only(path: Path, sealed: tuple[bytes, Key]) -> None:
    content, key = sealed
    path.write_bytes(content)
    wallet = open_wallet(path)
    assert wallet.locked
    assert wallet.payload_of("a") == key.payload
    with pytest.raises(WalletLocked, match="give its passphrase to spend from a"):
        wallet.secret_for(key.payload)
    with pytest.raises(WalletLocked, match="give its passphrase to add"):
        add_key(path, "b", random_key())


def test_a_key_added_to_an_encrypted_wallet_is_sealed_anew(path: Path, sealed: tuple[bytes, Key]) -> None:
    content, _ = sealed
    path.write_bytes(content)
    key = random_key()
    add_key(path, "b", key, passphrase=PASSPHRASE)
    assert key.secret.hex() not in path.read_text()
    old, new = json.loads(content)["encryption"], json.loads(path.read_text())["encryption"]
    assert old["salt"] != new["salt"]
    assert old["nonce"] != new["nonce"]
    assert open_wallet(path, passphrase=PASSPHRASE).secret_for(key.payload) == key.secret


def test_a_wrong_passphrase_and_a_damaged_file_get_the_same_refusal(path: Path, sealed: tuple[bytes, Key]) -> None:
    def flip(content: dict[str, Any]) -> None:
        secret = content["secrets"]
        content["secrets"] = ("B" if secret[0] == "A" else "A") + secret[1:]

    damages: list[tuple[Change, str]] = [
        (lambda c: None, "wrong"),
        (flip, PASSPHRASE),
        (lambda c: c.update(secrets="!"), PASSPHRASE),
        (lambda c: c.update(secrets=c["secrets"][:8]), PASSPHRASE),
        (lambda c: c.update(development=True), PASSPHRASE),
        (lambda c: c["accounts"][0].update(public_key="11" * 32), PASSPHRASE),
        (lambda c: c["encryption"].update(salt="11" * 16), PASSPHRASE),
        (lambda c: c["encryption"].update(n=2**14), PASSPHRASE),
    ]
    refusals = set()
    for change, passphrase in damages:
        path.write_bytes(sealed[0])
        edit(path, change)
        with pytest.raises(WalletUnreadable) as refusal:
            open_wallet(path, passphrase=passphrase)
        refusals.add((str(refusal.value), str(refusal.value.details)))
    assert refusals == {("the passphrase is wrong, or the wallet file is damaged", "{}")}


def test_sealing_costs_what_owasp_asks_for_and_the_file_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "SCRYPT_N", SCRYPT_N)
    create_wallet(path, {"miner": random_key()}, development=False, passphrase=PASSPHRASE)
    encryption = json.loads(path.read_text())["encryption"]
    assert (encryption["n"], encryption["r"], encryption["p"]) == (2**17, 8, 1)
    assert open_wallet(path, passphrase=PASSPHRASE).names.keys() == {"miner"}


@pytest.mark.parametrize("cost", [{"n": 2**30}, {"r": 2**20}, {"p": 5}, {"n": 2**17 + 1}, {"n": 1}])
def test_an_absurd_cost_is_refused_before_it_is_paid(
    path: Path, sealed: tuple[bytes, Key], cost: dict[str, int]
) -> None:
    path.write_bytes(sealed[0])
    edit(path, lambda content: content["encryption"].update(cost))
    with pytest.raises(WalletUnreadable, match="absurd amount of work"):
        open_wallet(path, passphrase=PASSPHRASE)


def test_the_docs_show_the_file_as_it_is_written(path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "wallet.md").read_text()
    create_wallet(path, {"miner": key_from_phrase(DEVELOPMENT_PHRASE, 0)}, development=False)
    example = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])  # type: ignore[index]
    written = json.loads(path.read_text())
    assert example.keys() == written.keys()
    assert example["accounts"][0].keys() == written["accounts"][0].keys()
    assert example["secrets"].keys() == written["secrets"].keys()
