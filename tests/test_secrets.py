"""Keys, phrases, passphrases and tokens stand in no log, in no answer, in no error, in no other file."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from moneyer.node.wallet.derive import DEVELOPMENT_PHRASE, Key, key_from_phrase
from moneyer.node.wallet.keystore import create_wallet
from tests.kit.chains import easy_coin
from tests.kit.commands import moneyer
from tests.kit.mining.workers import mining
from tests.kit.running import PASSPHRASE, PEOPLE, RICH, SECRET, RunningNode, running
from tests.kit.system.process_tree import children_of, command_line
from tests.kit.waiting import wait_until

KEYS = {name: key_from_phrase(DEVELOPMENT_PHRASE, number) for number, name in enumerate(PEOPLE)}
COIN = easy_coin(premine=[(easy_coin().address(KEYS[name].payload), RICH) for name in ("alice", "bob")])


def spellings(secret: bytes) -> list[str]:
    """A key as it could slip out."""
    return [secret.hex(), secret.hex().upper(), repr(secret)[2:-1], str(int.from_bytes(secret, "big"))]


def command_lines(pid: int) -> str:
    everyone = [pid, *children_of(pid)]
    return "".join(command_line(each).decode("utf-8", "replace") for each in everyone)


def contents(folder: Path) -> dict[Path, bytes]:
    """Of each file below a folder, but for those that go meanwhile: they had the content of another one."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                found[path] = path.read_bytes()
    return found


def every_page(node: RunningNode) -> list[str]:
    """What each GET of the interface answers, here and there with something in it."""
    paths = node.get("/openapi.json").json["paths"]
    values = {"name": "2", "block": "1", "txid": "0" * 64, "address": COIN.address(KEYS["alice"].payload)}
    said = []
    for path, methods in paths.items():
        if "get" in methods and path not in ("/v1/events", "/mine_block"):
            for field, value in values.items():
                path = path.replace(f"{{{field}}}", value)
            answer = node.get(path)
            said.append(f"{answer.headers} {answer.body.decode('utf-8', 'replace')}")
    return said


def test_no_secret_comes_out_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    keys = {name: Key.from_secret(key.secret) for name, key in KEYS.items()}
    create_wallet(data / "wallet.json", keys, development=False, phrase=DEVELOPMENT_PHRASE, passphrase=PASSPHRASE)
    monkeypatch.setenv("MONEYER_PASSPHRASE", PASSPHRASE)
    said: list[str] = []
    with running(data, COIN, development=False, log_level="debug", min_fee=1) as node, mining(data) as worker:
        token = node.token
        body = {"sender": "alice", "receiver": "bob", "amount": 1}
        sent = node.call("POST", "/add_transaction", body, node.bearer)
        assert sent.status == 201, sent.body
        wait_until(lambda: node.get("/v1/status").json["height"] >= 1, 40, "the worker's block")
        # What is sent where it does not belong is not sent back either.
        for path, status in (("/add_transaction", 201), ("/v1/transactions", 400)):
            answer = node.call("POST", path, {**body, "passphrase": PASSPHRASE}, node.bearer)
            assert answer.status == status, answer.body
            said.append(answer.body.decode())
        said.append(node.post("/add_transaction", body, {"Authorization": f"Bearer x{token}"}).body.decode())
        said += every_page(node)
        for order, env in (
            (("send", "alice", "bob", "1"), SECRET),
            (("send", "alice", "bob", "1"), {"MONEYER_PASSPHRASE": "mud"}),
            (("send", "alice", "bob", "999999"), SECRET),
            (("wallet", "list"), SECRET),
            (("wallet", "show"), SECRET),
            (("wallet", "rename", "nobody", "else"), SECRET),
            (("wallet", "import", "again"), SECRET),
            (("mining",), SECRET),
        ):
            typed = KEYS["alice"].secret.hex() if "import" in order else None
            done = moneyer(*order, "--data", data, env=env, typed=typed)
            said += [done.stdout, done.stderr]
        said += [command_lines(node.process.pid), command_lines(worker.pid)]
        stays = contents(tmp_path)
    said += [path.read_text("utf-8", "replace") for path in tmp_path.glob("*.log")]
    assert any("add_transaction" in each for each in said), "the log speaks of it"
    everything = "\n".join(said)
    words = [PASSPHRASE, json.dumps(PASSPHRASE)[1:-1], DEVELOPMENT_PHRASE, "test test test"]
    words += [spelling for key in KEYS.values() for spelling in spellings(key.secret)]
    for secret in [token, *words]:
        assert secret not in everything, everything[max(0, everything.index(secret) - 200) :][:300]
    for file, content in {**stays, **contents(data)}.items():
        for secret in words:
            assert secret.encode() not in content, file
        assert (token.encode() in content) == (file.name == "api.token"), file
        assert not any(key.secret in content for key in KEYS.values()), file
