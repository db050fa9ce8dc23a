"""The second shape of a node: processes on a free port, spoken to by HTTP; and a wallet of three people for it.

`running` is a coin's development node, `own_node` one that wants a token and whose wallet is not open.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import unshow
from moneyer.node.core.coin import Coin
from moneyer.node.devnet.addresses import taken
from moneyer.node.wallet.derive import Key
from moneyer.node.wallet.keystore import create_wallet
from tests.conftest import REPOSITORY
from tests.kit.chains import ChainBuilder, easy_coin, key
from tests.kit.databases import node_config
from tests.kit.nodes import AnyNode, place_coin
from tests.kit.serve import as_json
from tests.kit.system import warm
from tests.kit.system.ports import free_port
from tests.kit.waiting import END_SECONDS, wait_until

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")
RICH = 1_000_000_000
"""Base units that ALICE, BOB and CAROL have in genesis."""

PASSPHRASE = "sand and shells"
SECRET = {"MONEYER_PASSPHRASE": PASSPHRASE}
PEOPLE = ("miner", "alice", "bob")
"""Whose keys a wallet of `write_wallet` holds."""


def rich_coin(**changes: Any) -> Coin:
    """An easy coin whose genesis makes ALICE, BOB and CAROL rich. `changes`: fields of Coin."""
    return easy_coin(premine=[(ALICE, RICH), (BOB, RICH), (CAROL, RICH)], **changes)


def own_coin(**changes: Any) -> Coin:
    """An easy coin whose genesis makes alice and bob rich, whose keys the wallet of `write_wallet` holds."""
    return easy_coin(premine=[(key("alice"), RICH), (key("bob"), RICH)], **changes)


@dataclass
class Answer:
    """An HTTP answer, read to its end. `headers`: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, or the status where it is none."""
        held = self.json.get("error")
        return str(held["code"]) if held else str(self.status)


class RunningNode(AnyNode):
    """A node in processes of its own, started at once and again by `start`.

    `chain`: a builder of its coin that stands here, so that a test can make what it sends.
    """

    process: subprocess.Popen[bytes]
    """The main process; only `stop` waits for its end."""

    def __init__(self, config: Config, coin: Coin) -> None:
        self.config = config
        self.coin = coin
        self.chain = ChainBuilder(coin)
        self.start()

    def start(self) -> None:
        """Start its processes; see `wait_until_it_answers`."""
        self.process = launch(self.config)

    def wait_until_it_answers(self) -> None:
        wait_until(lambda: answers(self.port) or self.process.poll() is not None, 60, "the node to answer")
        assert self.process.poll() is None, self.log

    @property
    def port(self) -> int:
        return self.config.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
        source: str = "127.0.0.1",
    ) -> Answer:
        """One request; `body`: bytes as they are, anything else as JSON. `source`: the address that it comes from."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout, (source, 0))
        try:
            # Who refuses a large body does not read it to its end: the answer is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("POST", path, body, headers)

    def raw(self, request: bytes, timeout: float = 30) -> bytes:
        """What comes back to these very bytes, until the node closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(request)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while part := sock.recv(65_536):
                    answer += part
            return answer

    def push(self, raw: bytes) -> Answer:
        """A block to `/p2p/block`."""
        return self.post("/p2p/block", raw, {"Content-Type": "application/octet-stream"})

    def take_block(self, raw: bytes) -> str:
        answer = self.push(raw)
        return str(answer.json["status"]) if answer.status == 200 else answer.code

    @property
    def height(self) -> int:
        return int(self.get("/v1/status").json["height"])

    @property
    def tip_hash(self) -> bytes:
        return unshow(self.get("/v1/status").json["tip"])

    def extend(self, **settings: Any) -> None:
        """Mine a block on `chain` here, and have the node take it."""
        block = self.chain.add(**settings)
        answer = self.push(codec.encode_block(block))
        assert (answer.status, answer.json.get("status")) == (200, "extended"), answer.body

    def state(self) -> tuple[bytes, ...]:
        """What "changes nothing" holds still: chain, mempool, peers, as the node tells them."""
        pages = ("/v1/tips", "/p2p/mempool", "/v1/peers", "/v1/blocks")
        return tuple(self.get(page).body for page in pages)

    @property
    def log(self) -> str:
        return log_of(self.config).read_text("utf-8")

    @property
    def token(self) -> str:
        return self.config.token_file.read_text("ascii").strip()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """End it, and wait for that; its exit status. Its port is free then, where this call ended it."""
        has_run = self.process.poll() is None
        if has_run:
            self.process.send_signal(sign)
        try:
            status = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        # The process that answers ends by itself, a moment behind a main one that was killed.
        if has_run:
            wait_until(lambda: not taken([self.port]), 10, f"port {self.port} to be free")
        return status


def launch(config: Config) -> subprocess.Popen[bytes]:
    """Start a node's main process; the caller ends it."""
    with log_of(config).open("ab") as log:
        return warm.Popen(
            [sys.executable, "-m", "tests.kit.serve", as_json(config)], stdout=log, stderr=log, cwd=REPOSITORY
        )


def log_of(config: Config) -> Path:
    """What a node says, on either stream."""
    return config.data.with_name(f"{config.data.name}.log")


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):  # also one that was ended in the middle of its answer
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def running(data: Path, coin: Coin | None = None, **options: Any) -> Iterator[RunningNode]:
    """A node that answers; ended behind the block. No input may have led it to a traceback."""
    coin = coin or rich_coin()
    place_coin(data, coin)
    options.setdefault("development", True)
    options.setdefault("min_fee", 0)
    options.setdefault("port", free_port())
    options.setdefault("manual", True)
    config = node_config(data, **options)
    node = RunningNode(config, coin)
    try:
        node.wait_until_it_answers()
        yield node
    finally:
        node.stop()
    assert "Traceback" not in node.log, node.log


def write_wallet(data: Path, passphrase: str | None = None) -> None:
    """`wallet.json` with PEOPLE, whose keys are those of `tests.kit.chains.key`."""
    data.mkdir(parents=True, exist_ok=True)
    keys = {name: Key.from_secret(key(name).secret) for name in PEOPLE}
    create_wallet(data / "wallet.json", keys, development=False, passphrase=passphrase)


@contextlib.contextmanager
def own_node(
    data: Path, coin: Coin | None = None, *, passphrase: str | None = None, **options: Any
) -> Iterator[RunningNode]:
    """A node of a coin of one's own, whose wallet holds PEOPLE."""
    if not (data / "wallet.json").exists():
        write_wallet(data, passphrase)
    options = {"development": False, "min_fee": 1, **options}
    with running(data, coin or own_coin(), **options) as node:
        yield node
