"""Every command on folders in odd states, and on nodes that are none: a status of ours and a sentence in our words.

What a command has to say there is for its own tests; here nothing may fall through to a library's words or a traceback.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from moneyer.node.cli.exits import MEANINGS, USAGE
from moneyer.node.cli.main import run
from moneyer.node.cli.node_client import NodeClient
from moneyer.node.client.errors import ClientError
from moneyer.node.contracts.swaps.swap_line import write_line
from moneyer.node.contracts.swaps.swap_terms import NO_KEY, Half, Terms
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.system.locks import hold
from tests.cli.test_main import all_commands
from tests.kit.chains import key
from tests.kit.commands import MONEYER, NOWHERE, environment
from tests.kit.damage import CHAIN, made
from tests.kit.running import write_wallet
from tests.kit.system import warm
from tests.kit.system.disks import filled, small_disk  # noqa: F401 - a fixture
from tests.kit.system.ports import free_port
from tests.kit.words import NOT_FOR_PEOPLE

ADDRESS = key("carol").address(CHAIN.coin)
_HALF = Half(CHAIN.coin.chain_id, 2, 1, 9, b"\x01" * 32, NO_KEY)
OFFER = write_line(Terms(bytes(32), 60, _HALF, replace(_HALF, payer_key=NO_KEY, receiver_key=b"\x02" * 32)))
ARGUMENTS = {
    "new": ["Beach Coin", "--yes", "--open"],
    "join": ["--open"],
    "mine": ["1", "--timeout", "1"],
    "wallet contact": ["carol", ADDRESS],
    "wallet export": ["alice"],
    "wallet import": ["carol"],
    "wallet new": ["carol"],
    "wallet rename": ["alice", "anna"],
    "contract accept": ["till-for-bob.json"],
    "contract combine": ["till-0.json"],
    "contract escrow": ["alice", "bob", "dora"],
    "contract export": ["till"],
    "contract inherit": ["alice", "bob", "--after", "2090-01-01"],
    "contract multisig": ["2", "alice", "bob"],
    "contract new": ["till", "alice or bob"],
    "contract receipt": ["till-receipt-bob.json"],
    "contract show": ["till"],
    "contract sign": ["till-0.json"],
    "contract spend": ["till", "bob", "1"],
    "contract submit": ["till-0.json"],
    "contract vault": ["alice", "bob", "--after", "2090-01-01"],
    "contract vesting": ["bob", "--after", "2090-01-01"],
    "balance": ["alice"],
    "send": ["alice", "bob", "1"],
    "asset issue": ["Party", "--symbol", "TICKET", "--supply", "1", "--from", "alice"],
    "asset show": ["TICKET"],
    "asset mint": ["TICKET", "1", "--from", "alice"],
    "asset burn": ["TICKET", "1", "--from", "alice"],
    "history": ["alice"],
    "block": ["1"],
    "tx": ["ab" * 32],
    "peers": ["--remove", "127.0.0.1:5002"],
    "db backup": ["copy.db"],
    "db restore": ["copy.db"],
    "bench mine": ["--seconds", "0.1", "--processes", "1"],
    "completion": ["bash"],
    "worker": ["--engine", "hashlib"],
    "swap offer": ["alice", "1", "1", "--other", "."],
    "swap take": [OFFER, "bob", "--other", ".", "--yes"],
    "swap status": ["--other", "."],
    "swap claim": ["--other", "."],
    "swap refund": ["--other", "."],
    "swap run": ["--once", "--other", "."],
    "net draw": ["net.svg"],
    "net log": ["1"],
    "net split": ["1", "/", "2"],
    "net cut": ["1-2"],
    "net delay": ["1-2", "5ms"],
    "net loss": ["1-2", "1%"],
    "net rate": ["1-2", "10kB"],
    "net start": ["1"],
    "net stop": ["1"],
    "net kill": ["1"],
    "net hashrate": ["1", "100"],
    "net mine": ["1"],
    "net send": ["alice", "bob", "1"],
    "net snapshot": ["monday"],
    "net restore": ["monday"],
    "lab run": ["backdate"],
    "lab attack": ["backdate"],
}
"""What a command is given besides the folder or the node that is odd."""
COMMANDS = [(name, command) for name, command in all_commands() if not isinstance(command, click.Group)]
LASTING = ("up", "node", "worker", "stratum", "net up", "net worker")
"""Those that run until they are ended, where nothing is in their way."""


def options_of(command: click.Command) -> set[str]:
    return {each for option in command.params if isinstance(option, click.Option) for each in option.opts}


ON_FOLDERS = [(name, command) for name, command in COMMANDS if "--data" in options_of(command)]
ON_NODES = [(name, command) for name, command in COMMANDS if "--node" in options_of(command) or name == "join"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that is whole: a chain, a wallet, contacts, a token, a backup beside it."""
    folder = made(tmp_path)
    (folder / "coin.toml").write_text(coin_to_toml(CHAIN.coin))
    write_wallet(folder)
    (folder / "contacts.json").write_text(
        json.dumps({"format": "moneyer-contacts", "version": 1, "contacts": {"dora": ADDRESS}})
    )
    (folder / "api.token").write_text("t" * 43)
    shutil.copy(folder / "chain.db", tmp_path / "copy.db")
    return folder


def removed(data: Path) -> None:
    shutil.rmtree(data)


def a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("a letter to a friend")


def empty(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir()


def with_file(name: str, content: bytes) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (data / name).write_bytes(content)

    return change


def with_folder(name: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (data / name).unlink()
        (data / name).mkdir()

    return change


def damaged_page(data: Path) -> None:
    sound = (data / "chain.db").read_bytes()
    middle = len(sound) // 4096 // 2 * 4096
    (data / "chain.db").write_bytes(sound[:middle] + b"\xa5" * 4096 + sound[middle + 4096 :])


def damaged_first_page(data: Path) -> None:
    sound = (data / "chain.db").read_bytes()
    (data / "chain.db").write_bytes(sound[:100] + b"\xa5" * 3996 + sound[4096:])


def lost(data: Path) -> None:
    (data / "chain.db").unlink()


STATES: dict[str, Callable[[Path], None]] = {
    "no folder": removed,
    "a file in its place": a_file,
    "an empty folder": empty,
    "a database that is none": with_file("chain.db", b"a letter to a friend" * 1_000),
    "a database of a few bytes": with_file("chain.db", b"SQLite format 3\0"),
    "a database that is gone": lost,
    "a folder in the database's place": with_folder("chain.db"),
    "a damaged page": damaged_page,
    "a damaged first page": damaged_first_page,
    "a coin that is no TOML": with_file("coin.toml", b"[coin\nname = "),
    "a coin of wrong types": with_file("coin.toml", b'name = 3\nsymbol = ["B"]\n'),
    "a coin that is no text": with_file("coin.toml", b"\xff\xfe\0"),
    "a folder in the coin's place": with_folder("coin.toml"),
    "a wallet that is no JSON": with_file("wallet.json", b'{"format": "moneyer-wallet", "version": 1'),
    "a wallet of wrong types": with_file("wallet.json", b'{"format": "moneyer-wallet", "version": "one"}'),
    "a wallet that is a list": with_file("wallet.json", b"[]"),
    "a folder in the wallet's place": with_folder("wallet.json"),
    "contacts that are no JSON": with_file("contacts.json", b"{"),
    "contacts of wrong types": with_file(
        "contacts.json", b'{"format": "moneyer-contacts", "version": 1, "contacts": [3]}'
    ),
    "a folder in the token's place": with_folder("api.token"),
}


FATAL = (
    "a database that is none",
    "a database of a few bytes",
    "a database that is gone",
    "a folder in the database's place",
    "a damaged page",
    "a coin of wrong types",
    "a folder in the coin's place",
)
"""In these nothing that works on the chain can run."""


def order(name: str, folder: Path) -> list[str]:
    port = ["--port", str(free_port())] if name in ("node", "stratum") else []
    return [*name.split(), *ARGUMENTS.get(name, []), *port, "--data", str(folder)]


def is_in_our_words(said: str, status: int, told: object) -> None:
    assert status in MEANINGS, told
    assert not NOT_FOR_PEOPLE.search(said), (told, said)
    assert "this is a bug" not in said, (told, said)
    assert not re.search(r"moneyer: \d+:", said), (told, said)  # a descriptor's number in a file's place
    assert status == 0 or said.strip(), told


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests is found, and nobody is asked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for variable in [each for each in os.environ if each.startswith("MONEYER_") and each != "MONEYER_STATE"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MONEYER_NO_DISCOVERY", "1")


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("state", STATES)
def test_a_folder_in_an_odd_state_is_told_in_our_words(
    state: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    STATES[state](data)
    odd, refusals = data.with_name("odd"), 0
    data.rename(odd) if data.exists() else None
    for name, _ in ON_FOLDERS:
        if name in LASTING or name == "bench mine":
            continue
        if odd.is_dir():
            shutil.copytree(odd, data)
        elif odd.is_file():
            shutil.copy(odd, data)
        status = run(order(name, data))
        said = capsys.readouterr()
        is_in_our_words(said.out + said.err, status, (state, name))
        refusals += status != 0
        if data.is_dir():
            shutil.rmtree(data)
        data.unlink(missing_ok=True)
    assert refusals, "no command met the state at all"


def ended(orders: list[list[str]], seconds: float) -> list[tuple[int | None, str]]:
    """Commands side by side: the status of each (None where it ran on, and was told to end), and what it said.

    SQLite's own words may stand in the log, and nowhere else.
    """
    env = environment(HOME=str(NOWHERE))
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    running = [warm.Popen([*MONEYER, *each], cwd=NOWHERE, env=env, text=True, **streams) for each in orders]
    found: list[tuple[int | None, str]] = []
    end = time.monotonic() + seconds
    try:
        for process in running:
            try:
                said, _ = process.communicate(timeout=max(0.1, end - time.monotonic()))
                status = process.returncode
            except subprocess.TimeoutExpired:
                process.terminate()
                said, _ = process.communicate(timeout=30)
                status = None
            lines = [line for line in said.splitlines() if "store: the database says: " not in line]
            found.append((status, "\n".join(lines)))
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return found


def odd_folders(data: Path, states: Sequence[str]) -> list[Path]:
    """A copy of the folder in each of the states."""
    found = []
    for number, state in enumerate(states):
        found.append(shutil.copytree(data, data.with_name(f"odd{number}")))
        STATES[state](found[-1])
    return found


def test_a_node_that_cannot_run_says_so_in_our_words(data: Path) -> None:
    orders = [order("node", folder) for folder in odd_folders(data, FATAL)]
    for what, (status, said) in zip(FATAL, ended(orders, 60), strict=True):
        assert status == 1, (what, said)
        is_in_our_words(said, status, what)


def test_what_runs_beside_a_node_says_it_in_our_words(data: Path) -> None:
    """A worker and a Stratum server wait for the node, whose lock somebody holds here, and try again."""
    orders = []
    with ExitStack() as stack:
        for folder in odd_folders(data, ("a database that is none", "a damaged page", "a coin of wrong types")):
            stack.callback(hold(folder / "node.lock").release)
            orders += [order("worker", folder), order("stratum", folder)]
        for what, (status, said) in zip(orders, ended(orders, 5), strict=True):
            is_in_our_words(said, status or 0, what)


def test_every_command_that_needs_arguments_is_given_some() -> None:
    for name, command in ON_FOLDERS + ON_NODES:
        required = [each for each in command.params if isinstance(each, click.Argument) and each.required]
        assert len(ARGUMENTS.get(name, [])) >= len(required), name


# where nothing can be written


@pytest.mark.usefixtures("at_home")
def test_where_no_file_can_grow_it_is_told_in_our_words(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name, _ in ON_FOLDERS:
        if name in LASTING or name == "bench mine":
            continue
        here = shutil.copytree(data, data.with_name(name))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            status = run(order(name, here))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        said = capsys.readouterr()
        is_in_our_words(said.out + said.err, status, name)


@pytest.mark.usefixtures("at_home")
def test_where_the_disk_is_full_it_is_told_in_our_words(
    small_disk: Path,  # noqa: F811
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusals = set()
    for name, _ in ON_FOLDERS:
        if name in LASTING or name == "bench mine":
            continue
        here = shutil.copytree(data, small_disk / "data")
        os.chdir(here)  # what is made in the current folder finds no room there
        shutil.copy(data.parent / "copy.db", here)
        with filled(small_disk):
            status = run(order(name, here))
        said = capsys.readouterr()
        is_in_our_words(said.out + said.err, status, name)
        refusals |= {name} if status else set()
        os.chdir(data.parent)
        shutil.rmtree(here)
    assert {"wallet new", "wallet contact", "db restore"} <= refusals


@contextmanager
def stranger() -> Iterator[None]:
    """Meanwhile this process is a user who may do nothing: root is asked for no rights."""
    is_root = os.geteuid() == 0
    if is_root:
        os.setegid(65_534)
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(0)


@pytest.fixture
def open_to_all(data: Path) -> Iterator[Path]:
    """The folder where a stranger can reach it, which pytest's own are not."""
    parent = Path(tempfile.mkdtemp(prefix="moneyer-test-"))
    parent.chmod(0o755)
    yield shutil.copytree(data, parent / "data")
    for path in (parent, parent / "data"):
        path.chmod(0o700)
    shutil.rmtree(parent)


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("mode", [0o000, 0o555], ids=["read", "written"])
def test_a_folder_that_may_not_be_read_or_written_is_told_in_our_words(
    mode: int, open_to_all: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in open_to_all.iterdir():
        path.chmod(0o444)
    shutil.copy(open_to_all / "chain.db", open_to_all.parent / "copy.db")
    names = [name for name, _ in ON_FOLDERS if name not in LASTING and name != "bench mine"]
    for name in names:  # what they import lazily a stranger may not be allowed to read
        run(order(name, tmp_path / "made"))  # never in NOWHERE, which would hold a coin for the tests behind
        run([*name.split(), "--help"])
    run(order("status", open_to_all))
    capsys.readouterr()
    open_to_all.chmod(mode)
    open_to_all.parent.chmod(0o555)
    os.chdir(open_to_all.parent)
    refusals = []
    for name in names:
        with stranger():
            status = run(order(name, open_to_all))
        said = capsys.readouterr()
        is_in_our_words(said.out + said.err, status, name)
        refusals += [name] * (status != 0)
    assert {"wallet new", "db anew"} <= set(refusals)


# nodes that are none


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL where nobody listens, whoever else asks the system for a port meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


GARBAGE = {
    "another program's words": b"220 mail.example.org ESMTP\r\n",
    "no HTTP": b"\0\xff" * 500,
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    "another program's JSON": b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"hello": [1, 2]}',
    "a list": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1, 2, 3]",
    "no": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
    "an error without words": b'HTTP/1.1 500 Oh\r\nContent-Length: 15\r\n\r\n{"error": "bad"}',
    "too little": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    "nothing": b"",
}


@pytest.fixture(params=GARBAGE)
def other_program(request: pytest.FixtureRequest) -> Iterator[str]:
    """A URL where something else than a node answers."""
    with answering(GARBAGE[request.param]) as url:
        yield url


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A URL where whoever connects gets `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, suppress(OSError):
                    client.settimeout(5)
                    client.recv(65_536)
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("odd", ['{"count": "7"}', '{"rows": [{"amount": []}]}', '{"a": {"balance": "\\u202e1"}}'])
def test_where_a_command_reckons_a_node_gives_numbers(odd: str) -> None:
    """A text there was a TypeError, told as a bug of ours."""
    for body, is_nodes in ((odd, False), ('{"count": 7, "rows": [{"hashrate": 0.5, "last_share": null}]}', True)):
        with answering(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()) as url:
            if is_nodes:
                assert NodeClient(url).get("/v1/status") == json.loads(body)
            else:
                with pytest.raises(ClientError, match="no Moneyer node"):
                    NodeClient(url).get("/v1/status")


def told_of(url: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in ON_NODES:
        command_line = [*name.split(), *([url] if name == "join" else []), *ARGUMENTS.get(name, [])]
        command_line += [] if name == "join" else ["--node", url]
        if "--data" in options_of(command):
            command_line += ["--data", str(data.with_name("new") if name == "join" else data)]
        status = run(command_line)
        said = capsys.readouterr()
        assert status != USAGE, (name, said)
        assert status or name.startswith("wallet"), (name, said)
        is_in_our_words(said.out + said.err, status, (name, url))
        assert not (status and said.out), (name, said.out)


@pytest.mark.usefixtures("at_home")
def test_a_node_that_does_not_answer_is_told_in_our_words(
    nobody: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_of(nobody, data, capsys)


@pytest.mark.usefixtures("at_home")
def test_what_is_no_node_is_told_in_our_words(
    other_program: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_of(other_program, data, capsys)
