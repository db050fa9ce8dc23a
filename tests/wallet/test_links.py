"""A file of the data folder that is a symbolic link: what is written reaches its target, whole, and the link stays."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.devnet.coinfiles import make_once, read_coin
from moneyer.node.system.api_token import ensure_token, read_token, renew_token
from moneyer.node.system.files import write_whole
from moneyer.node.wallet.contacts import add_contact, read_contacts
from moneyer.node.wallet.derive import Key
from moneyer.node.wallet.keystore import add_key, open_wallet
from tests.kit.chains import key
from tests.kit.commands import moneyer, refusal
from tests.kit.running import own_coin, write_wallet


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.fixture
def data(tmp_path: Path, elsewhere: Path) -> Path:
    """A data folder whose files all lie in `elsewhere`."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("wallet.json", "contacts.json", "api.token", "coin.toml"):
        (folder / name).symlink_to(Path("..") / "elsewhere" / name)
    write_wallet(elsewhere)
    return folder


def check_links(data: Path) -> None:
    assert all(path.is_symlink() for path in data.iterdir()), "a link was written over"


def test_a_key_that_is_made_stands_where_the_link_leads(data: Path, elsewhere: Path) -> None:
    (elsewhere / "coin.toml").write_text(coin_to_toml(own_coin()))
    done = moneyer("wallet", "import", "zed", "--data", data, typed=key("zed").secret.hex())
    assert done.returncode == 0, done.stderr
    assert "zed" in open_wallet(elsewhere / "wallet.json").names
    assert (elsewhere / "wallet.json").stat().st_mode & 0o777 == 0o600
    check_links(data)


def test_contacts_token_and_coin_go_where_the_link_leads(data: Path, elsewhere: Path) -> None:
    add_contact(data, "ben", key("ben").address(own_coin()))
    assert list(read_contacts(elsewhere)) == ["ben"]
    assert ensure_token(data / "api.token") == read_token(elsewhere / "api.token")
    assert renew_token(data / "api.token") == read_token(elsewhere / "api.token")
    make_once(data / "coin.toml", own_coin)
    assert read_coin(elsewhere / "coin.toml") == own_coin()
    check_links(data)
    assert [path.name for path in elsewhere.iterdir() if path.name.startswith(".")] == []


def test_two_folders_that_share_a_wallet_lose_no_key_of_each_other(data: Path, elsewhere: Path) -> None:
    def add(number: int) -> None:
        folder = data if number % 2 else elsewhere
        new = Key.from_secret(key(f"key{number}").secret)
        add_key(folder / "wallet.json", f"key{number}", new, imported=True, passphrase=None)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"key{number}" for number in range(12)} <= set(open_wallet(elsewhere / "wallet.json").names)


def test_a_link_in_a_circle_is_a_sentence(tmp_path: Path, data: Path, elsewhere: Path) -> None:
    (elsewhere / "coin.toml").write_text(coin_to_toml(own_coin()))
    (data / "wallet.json").unlink()
    (data / "wallet.json").symlink_to("wallet.json")
    said = refusal(moneyer("wallet", "new", "--open", "--data", data))
    assert "symbolic links" in said
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(data / "wallet.json", b"", mode=0o600)
