"""Processes of one chain in a server's database, as people start them: nodes, workers and Stratum servers."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from tests.kit.chains import key
from tests.kit.commands import MONEYER, NOWHERE, environment
from tests.kit.running import RunningNode, log_of
from tests.kit.system import warm
from tests.kit.system.ports import free_port
from tests.kit.system.process_tree import is_gone
from tests.kit.waiting import END_SECONDS, wait_until

PAID = key("paid")
"""Who gets what workers mine."""
HUNG_SECONDS = 20
"""For what takes the server four seconds to find out, on a machine that is busy. There a node that waits for its turn
may lose its session, too, since it has no answer within two seconds, and begins anew."""


class NodeProcess(RunningNode):
    """`moneyer node`, with all that it started."""

    def __init__(self, config: Config, coin: Coin, words: Sequence[str]) -> None:
        self._words = list(words)
        super().__init__(config, coin)

    def start(self) -> None:
        self.process = _started(self._words, log_of(self.config))

    @property
    def is_speaking(self) -> bool:
        """Whether it answers other nodes now."""
        with suppress(OSError):
            return self.get("/p2p/hello").status == 200
        return False

    def signal(self, number: int) -> None:
        """To all of its processes."""
        send(self.process, number)

    def kill(self) -> None:
        kill(self.process)


class Beside:
    """A worker or a Stratum server."""

    def __init__(self, words: Sequence[str], log: Path, **variables: str) -> None:
        self._log = log
        self.process = _started(words, log, **variables)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def kill(self) -> None:
        kill(self.process)

    def end(self) -> int:
        """As asked; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)


class Machines:
    """The processes of one database. Nodes find it by `--database`, the others by the environment."""

    def __init__(self, folder: Path, database: str, coin: Coin) -> None:
        self.folder = folder
        self.database = database
        self.coin = coin
        self._coin_file = folder / "given.toml"
        self._coin_file.write_text(coin_to_toml(coin), "utf-8")
        self._processes: list[NodeProcess | Beside] = []

    def node(self, role: str = "all", *options: str) -> NodeProcess:
        """A development node, waited for."""
        node = self.started_node(role, *options)
        node.wait_until_it_answers()
        return node

    def started_node(self, role: str = "all", *options: str) -> NodeProcess:
        return self.node_at(free_port(), "--coin", str(self._coin_file), "--role", role, *options)

    def node_at(self, port: int, *options: str) -> NodeProcess:
        """A development node on a data folder of its own."""
        data = self.folder / f"machine{len(self._processes)}"
        config = Config(data, port=port, development=True, database_url=self.database)
        place = ["--data", str(data), "--port", str(port), "--database", self.database]
        node = NodeProcess(config, self.coin, ["node", "--dev", *place, *options])
        self._processes.append(node)
        return node

    def worker(self, *options: str) -> Beside:
        """Without a data folder; it pays PAID unless told."""
        paid = () if "--address" in options else ("--address", self.coin.address(PAID.payload))
        return self._beside("worker", "--engine", "hashlib", *paid, *options)

    def stratum(self, port: int, *options: str) -> Beside:
        return self._beside("stratum", "--port", str(port), *options)

    def _beside(self, *words: str) -> Beside:
        log = self.folder / f"{words[0]}{len(self._processes)}.log"
        process = Beside(words, log, MONEYER_NODE_DATABASE=self.database)
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            process.kill()

    def logs(self) -> str:
        return "\n".join(f"--- {number}\n{process.log}" for number, process in enumerate(self._processes))


@contextmanager
def machines(folder: Path, database: str, coin: Coin) -> Iterator[Machines]:
    """Whose processes are killed behind the block, and their logs printed where it failed."""
    made = Machines(folder, database, coin)
    try:
        yield made
    except BaseException:
        print(made.logs())
        raise
    finally:
        made.end()


def one_that_speaks(nodes: Sequence[NodeProcess]) -> NodeProcess:
    """The one of them that answers other nodes, once there is exactly one."""

    def alone() -> NodeProcess | None:
        speaking = [node for node in nodes if node.is_speaking]
        return speaking[0] if len(speaking) == 1 else None

    found = wait_until(alone, HUNG_SECONDS, "one node that speaks to others")
    assert found is not None
    return found


def one_that_stands_by(nodes: Sequence[NodeProcess], speaker: NodeProcess) -> NodeProcess:
    """Another one than the speaker, once it tells of that: a node looks who speaks four times a second at most."""
    other = next(node for node in nodes if node is not speaker)

    def told() -> Any:
        answer = other.get("/p2p/hello")
        assert answer.code == "no_peers_here", answer.body
        return answer.json["error"]["details"]["peer"]

    wait_until(lambda: told() == speaker.url, HUNG_SECONDS, "the other node to tell of the one that speaks")
    return other


def submit(node: RunningNode, raw: bytes) -> Any:
    """A signed transfer."""
    answer = node.post("/v1/transactions", {"raw": raw.hex()})
    assert answer.status in (200, 201, 202), answer.body
    return answer.json


def _started(words: Sequence[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return warm.Popen(
            [*MONEYER, *words],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=environment(**variables),
            cwd=NOWHERE,
        )


def send(process: subprocess.Popen[bytes], number: int) -> list[int]:
    """A signal to a process and all that it started; their ids."""
    with suppress(psutil.NoSuchProcess):
        main = psutil.Process(process.pid)
        family = [main, *main.children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)
        return [each.pid for each in family]
    return []


def kill(process: subprocess.Popen[bytes]) -> None:
    """Returns when all of them are gone: what a node started has its port, and may outlive it for a moment."""
    if process.poll() is None:
        send(process, signal.SIGCONT)
        family = send(process, signal.SIGKILL)
        process.wait(10)
        wait_until(lambda: all(map(is_gone, family)), 10, "all that it started to be gone")
