"""What the options of a server's database refuse, and what they never show."""

from __future__ import annotations

from pathlib import Path

import pytest

from moneyer.node.core.coinfile import coin_to_toml
from tests.kit.commands import moneyer
from tests.kit.nodes import place_coin
from tests.kit.running import own_coin
from tests.kit.system.ports import free_port
from tests.scale.machines import machines

NOBODY = "postgresql://moneyer:very%20secret@127.0.0.1:1/beach?sslpassword=hush"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place_coin(tmp_path / "data", own_coin())
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--role", "api"), "for several nodes on one database"),
        (("--role", "peer"), "a file is for one node"),
        (("--read-database", NOBODY), "name that with --database"),
        (("--database", NOBODY, "--lab"), "snapshots, which are files"),
        (("--database", "mysql://a/b"), "one such as postgresql://"),
        (("--database", "POSTGRESQL://a@127.0.0.1/b"), "one such as postgresql://"),
        (("--database", NOBODY, "--read-database", "chain.db"), "one such as postgresql://"),
        (("--database", "postgresql://a@127.0.0.1"), "names no database"),
        (("--database", NOBODY), "see that the server runs"),
        (("--role", "boss"), "--role must be all, api or peer"),
    ],
)
def test_a_node_refuses_with_a_sentence(data: Path, options: tuple[str, ...], said: str) -> None:
    answer = moneyer("node", "--data", data, "--port", str(free_port()), *options)
    told = " ".join((answer.stdout + answer.stderr).split())
    assert answer.returncode not in (0, None)
    assert said in told
    assert "Traceback" not in told
    assert "secret" not in told, told
    assert "hush" not in told
    assert not (data / "chain.db").exists()


def test_commands_whose_nodes_have_files_refuse_one_database_for_all(tmp_path: Path) -> None:
    for command in (("up", "--data", tmp_path / "up"), ("net", "up", "--graph", "ring:3", "--data", tmp_path / "net")):
        answer = moneyer(*command, env={"MONEYER_NODE_DATABASE": NOBODY})
        assert answer.returncode == 2
        assert "MONEYER_NODE_DATABASE names one database for all: unset it" in " ".join(answer.stderr.split())
        assert "secret" not in answer.stderr


def test_a_worker_without_a_folder_has_to_know_whom_it_pays() -> None:
    answer = moneyer("worker", "--engine", "hashlib", env={"MONEYER_NODE_DATABASE": NOBODY})
    assert answer.returncode == 1
    assert "say with --address who gets the rewards" in answer.stdout + answer.stderr


@pytest.mark.parametrize("command", ["worker", "stratum"])
def test_a_url_that_is_none_is_refused_at_once(command: str) -> None:
    given = ["--address", "easy1"] if command == "worker" else ["--port", str(free_port())]
    answer = moneyer(command, *given, env={"MONEYER_NODE_DATABASE": "postgresql://:pass@127.0.0.1"})
    assert answer.returncode == 2, "a wrong option stays wrong: systemd must not try again"
    assert "names no database" in answer.stdout + answer.stderr


def test_a_node_takes_its_coin_from_the_database_and_shows_no_password(tmp_path: Path, fresh_database: str) -> None:
    coin = own_coin()
    secret = fresh_database.replace("moneyer@", "moneyer:very%20secret@") + "?application_name=hush"
    with machines(tmp_path, secret, coin) as here:
        first = here.node()
        here.worker()
        second = here.node_at(free_port())
        second.wait_until_it_answers()
        assert second.config.coin_file.read_text("utf-8") == coin_to_toml(coin)
        assert second.get("/v1/coin").json["symbol"] == coin.symbol
        for page in ("/v1/status", "/v1/peers", "/v1/mining", "/metrics", "/healthz", "/p2p/hello"):
            for node in (first, second):
                assert b"secret" not in node.get(page).body
        for node in (first, second):
            for path in (node.config.node_lock, node.config.chain_marker):
                assert "secret" not in path.read_text("utf-8")
                assert "hush" not in path.read_text("utf-8")
        assert "secret" not in here.logs()
        assert "hush" not in here.logs()


def test_a_folder_of_another_coin_is_refused(tmp_path: Path, fresh_database: str) -> None:
    with machines(tmp_path, fresh_database, own_coin()) as here:
        here.node()
        place_coin(tmp_path / "other", own_coin(name="Other Coin"))
        answer = moneyer("node", "--data", tmp_path / "other", "--port", str(free_port()), "--database", fresh_database)
        assert answer.returncode not in (0, None)
        assert "holds another coin's chain" in " ".join((answer.stdout + answer.stderr).split())


def test_an_empty_database_needs_a_coin(tmp_path: Path, fresh_database: str) -> None:
    answer = moneyer("node", "--data", tmp_path / "new", "--port", str(free_port()), "--database", fresh_database)
    assert answer.returncode == 1
    assert "has no coin yet, nor has the database" in " ".join((answer.stdout + answer.stderr).split())
