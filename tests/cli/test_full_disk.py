"""No room: what writes says so in a sentence and leaves what was there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moneyer.node.core.coinfile import coin_to_toml
from tests.kit.chains import key
from tests.kit.commands import moneyer, no_room, refusal
from tests.kit.running import SECRET, own_coin, own_node, write_wallet


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_wallet(folder)
    (folder / "coin.toml").write_text(coin_to_toml(own_coin()))
    return folder


WRITERS = [
    ("token",),
    ("token", "--renew"),
    ("wallet", "contact", "carol", key("carol").address(own_coin())),
    ("wallet", "new", "carol"),
    ("node", "--port", "1024"),
]


@pytest.mark.parametrize("command", WRITERS)
def test_what_cannot_be_written_is_one_sentence_and_leaves_no_trace(command: tuple[str, ...], data: Path) -> None:
    before = {each.name: each.read_bytes() for each in data.iterdir()}
    done = moneyer(*command, "--data", data, env=SECRET, first=no_room)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert f"{data}/" in done.stderr or "File too large" not in done.stderr, "which file it is"
    assert ".tmp" not in done.stderr
    left = {each.name: each.read_bytes() for each in data.iterdir() if each.is_file() and each.suffix != ".lock"}
    kept = {name: content for name, content in left.items() if content}
    assert kept == before


def test_what_only_looks_or_sends_needs_no_room(tmp_path: Path) -> None:
    with own_node(tmp_path / "data"):
        for command in (("balance",), ("status",), ("wallet", "list"), ("verify",), ("db", "check")):
            done = moneyer(*command, "--data", tmp_path / "data", first=no_room)
            assert done.returncode == 0, (command, done.stderr)
        sent = moneyer("send", "alice", "bob", "1", "--json", "--data", tmp_path / "data", first=no_room)
        assert sent.returncode == 0, sent.stderr
        assert json.loads(sent.stdout)["amount"] == 1_000_000


@pytest.mark.parametrize("command", [("verify",), ("db", "check"), ("db", "upgrade")])
def test_a_full_disk_is_not_taken_for_a_damaged_file(command: tuple[str, ...], tmp_path: Path) -> None:
    """Where no node runs, SQLite itself wants a little room to look at a file."""
    data = tmp_path / "data"
    with own_node(data) as node:
        node.extend()
    before = (data / "chain.db").read_bytes()
    done = moneyer(*command, "--data", data, first=no_room)
    if done.returncode != 0:
        said = refusal(done)
        assert "has room" in said
        assert "db anew" not in said
    assert (data / "chain.db").read_bytes() == before
    assert moneyer(*command, "--data", data).returncode == 0


def test_a_database_that_finds_no_room_to_be_made_in_is_a_sentence(data: Path) -> None:
    for _ in range(2):
        assert "has room" in refusal(moneyer("db", "upgrade", "--data", data, first=no_room))
    assert moneyer("db", "upgrade", "--data", data).returncode == 0


def test_a_backup_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    with own_node(tmp_path / "data"):
        target = tmp_path / "copy.db"
        said = refusal(moneyer("db", "backup", target, "--data", tmp_path / "data", first=no_room))
        assert "cannot be written" in said
        assert not target.exists()
