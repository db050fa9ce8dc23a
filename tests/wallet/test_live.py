"""A running node sees what other processes do to its wallet."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.wallet import edit
from moneyer.node.wallet.derive import Key, key_from_phrase, new_phrase
from moneyer.node.wallet.errors import UnknownKey, WalletLocked
from moneyer.node.wallet.keystore import add_key, create_wallet
from moneyer.node.wallet.live import LiveWallet
from tests.kit.chains import key
from tests.kit.commands import moneyer
from tests.kit.nodes import place_coin
from tests.kit.running import RunningNode, rich_coin, running

COIN = rich_coin()
SAND, SHELLS = "sand and shells", "shells and sand"


def run(*arguments: str | Path, **env: str) -> str:
    done = moneyer(*arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def payload_of(data: Path, name: str) -> bytes:
    return LiveWallet(data, development=False).now().names[name]


def spend(node: RunningNode, sender: str, receiver: str, amount: Any = 1) -> Any:
    return node.call(
        "POST", "/add_transaction", {"sender": sender, "receiver": receiver, "amount": amount}, node.bearer
    )


@pytest.mark.parametrize("passphrase", [None, SAND], ids=["open", "encrypted"])
def test_a_key_that_another_process_adds_can_be_mined_to_and_spent_from_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str | None
) -> None:
    data = tmp_path / "data"
    place_coin(data, COIN)
    env = {} if passphrase is None else {"MONEYER_PASSPHRASE": passphrase}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    run("wallet", "new", *([] if passphrase else ["--open"]), "--data", data, **env)
    with running(data, COIN, development=False) as node:
        assert spend(node, "savings", "miner").code == "unknown_name"
        run("wallet", "new", "savings", "--data", data, **env)
        node.extend(receiver=payload_of(data, "savings"))
        assert spend(node, "savings", "miner", 2.5).status == 201
        run("wallet", "rename", "savings", "spare", "--data", data, **env)
        assert spend(node, "spare", "miner", 2.5).status == 201
        assert spend(node, "savings", "miner").code == "unknown_name"


def test_a_passphrase_that_changed_is_said_and_nothing_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    place_coin(data, COIN)
    monkeypatch.setenv("MONEYER_PASSPHRASE", SAND)
    run("wallet", "new", "--data", data, MONEYER_PASSPHRASE=SAND)
    with running(data, COIN, development=False) as node:
        node.extend(receiver=payload_of(data, "miner"))
        assert spend(node, "miner", "miner").status == 201
        run("wallet", "passphrase", "--data", data, MONEYER_PASSPHRASE=SAND, MONEYER_NEW_PASSPHRASE=SHELLS)
        refused = spend(node, "miner", "miner")
        assert (refused.status, refused.code) == (409, "wallet_locked")
        for words in ("does not open", "restart the node", "MONEYER_PASSPHRASE"):
            assert words in refused.json["error"]["message"]
        assert SAND not in node.log
        spend(node, "miner", "miner")
        assert node.log.count("does not open") == 1, "it is said once"
        run("wallet", "passphrase", "--data", data, MONEYER_PASSPHRASE=SHELLS, MONEYER_NEW_PASSPHRASE=SAND)
        assert spend(node, "miner", "miner").status == 201


def test_an_open_wallet_is_said_at_the_start_and_so_is_how_to_encrypt_it(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    with running(data, COIN, development=False) as node:
        node.extend(receiver=payload_of(data, "miner"))
        assert node.log.count("my data/wallet.json is open: whoever can read that file can spend") == 1
        assert f"`moneyer wallet passphrase --data '{data}'` encrypts it" in node.log
        assert spend(node, "miner", "miner").status == 201
        run("wallet", "passphrase", "--data", data, MONEYER_NEW_PASSPHRASE=SAND)
        assert (data / "wallet.json").stat().st_mode & 0o777 == 0o600
        refused = spend(node, "miner", "miner")
        assert refused.code == "wallet_locked"
        assert "was not given its passphrase" in refused.json["error"]["message"]
    with running(data, COIN, development=False) as node:
        assert node.log.count("whoever can read") == 1, "nothing to be said any more"


def test_a_development_wallet_is_no_news(tmp_path: Path) -> None:
    with running(tmp_path / "data", COIN) as node:
        assert "wallet.json" not in node.log


def wallet_of(folder: Path, **options: Any) -> LiveWallet:
    folder.mkdir(exist_ok=True)
    return LiveWallet(folder, development=False, **options)


def test_a_key_file_that_follows_the_passphrase_keeps_the_wallet_open(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(f"{SAND}\n")
    live = wallet_of(tmp_path / "data", passphrase_file=key_file)
    miner = live.now().names["miner"]
    edit.set_passphrase(live.path, SAND, SHELLS)
    with pytest.raises(WalletLocked, match="Was its passphrase changed"):
        live.now().secret_for(miner)
    key_file.write_text(f"{SHELLS}\n")
    assert live.now().secret_for(miner)
    key_file.unlink()
    assert live.now().secret_for(miner), "what opens it is known"


def test_a_wallet_that_is_gone_or_damaged_keeps_its_names_and_spends_nothing_until_it_is_back(tmp_path: Path) -> None:
    live = wallet_of(tmp_path)
    miner, content = live.now().names["miner"], live.path.read_bytes()
    live.path.unlink()
    assert live.now().payload_of("miner") == miner
    with pytest.raises(WalletLocked, match="is gone"):
        live.now().secret_for(miner)
    live.path.write_bytes(content[:-40])
    with pytest.raises(WalletLocked, match="damaged"):
        live.now().secret_for(miner)
    live.path.write_bytes(content)
    assert live.now().secret_for(miner)


def test_a_wallet_of_the_other_kind_is_not_taken(tmp_path: Path) -> None:
    live = wallet_of(tmp_path)
    miner = live.now().names["miner"]
    live.path.unlink()
    create_wallet(live.path, {"miner": Key.from_secret(key("x").secret)}, development=True)
    with pytest.raises(WalletLocked, match="other kind"):
        live.now().secret_for(miner)


def test_threads_that_look_while_keys_are_added_see_each_of_them(tmp_path: Path) -> None:
    live, phrase = wallet_of(tmp_path), new_phrase()
    done, wrong = threading.Event(), list[str]()

    def look() -> None:
        while not done.is_set():
            wallet = live.now()
            for payload in wallet.names.values():
                try:
                    wallet.secret_for(payload)
                except (UnknownKey, WalletLocked) as error:
                    wrong.append(str(error))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(15):
        add_key(live.path, f"key-{number}", key_from_phrase(phrase, number + 1))
        assert f"key-{number}" in live.now().names
    done.set()
    for thread in threads:
        thread.join(10)
    assert not wrong
