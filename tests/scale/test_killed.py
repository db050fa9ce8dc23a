"""Nodes, workers, the server's backends and the server itself are killed under load: nothing acknowledged is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from moneyer.node.core.coin import Coin
from moneyer.node.store.errors import StoreUnavailable
from tests.kit.chains import easy_coin, key
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.own import new_database
from tests.kit.running import RICH
from tests.kit.waiting import wait_until
from tests.scale.load import Senders, check, hand_in_branch, told_tip
from tests.scale.machines import Machines, NodeProcess, machines

SAID = {"busy", "database_lost", "storage_failed", "too_many_requests"}
"""Codes of what may be refused meanwhile."""
BRANCHES = 5
"""Branches that are handed in at most until one takes over."""
SENDERS = [key(f"sender {number}") for number in range(4)]


class Scene:
    """Two nodes and two workers on a server, with senders; and a third process, this one, that hands in branches."""

    def __init__(self, here: Machines, server: PostgresServer, database: str) -> None:
        self.here, self.server, self.database = here, server, database
        self.nodes: list[NodeProcess] = [here.node(), here.node("api")]
        self.workers = [here.worker("--mode", "instant") for _ in self.nodes]
        self.branches = 0
        """That took the chain over."""
        self.tips: list[bytes] = []
        """What nodes told of, whoever mined it."""

    def look(self) -> None:
        self.tips += [tip for node in self.nodes if (tip := told_tip(node)) is not None]

    def kill_node(self, random: Random) -> None:
        number = random.randrange(2)
        self.nodes[number].kill()
        self.nodes[number].start()

    def kill_worker(self, random: Random) -> None:
        number = random.randrange(2)
        self.workers[number].kill()
        self.workers[number] = self.here.worker("--mode", "instant")

    def end_connections(self, random: Random) -> None:
        self.server.terminate_backends(self.database.rpartition("/")[2])

    def kill_backend(self, random: Random) -> None:
        if backends := self.server.backends(self.database.rpartition("/")[2]):
            self.server.kill_backend(random.choice(backends))

    def kill_server(self, random: Random) -> None:
        self.server.kill()
        self.server.start()

    def stop_server(self, random: Random) -> None:
        self.server.restart()

    def hand_in_branch(self, random: Random) -> None:
        mine = self.here.folder / "mine"
        with suppress(StoreUnavailable), Node(mine, self.here.coin, database_url=self.database) as node:
            # Where workers were quicker, there is another try: it takes over in the end.
            self.branches += any(hand_in_branch(node, random.randint(1, 3)) for _ in range(BRANCHES))


FAULTS: tuple[Callable[[Scene, Random], None], ...] = (
    Scene.kill_node,
    Scene.hand_in_branch,
    Scene.kill_worker,
    Scene.end_connections,
    Scene.kill_backend,
    Scene.hand_in_branch,
    Scene.kill_server,
    Scene.stop_server,
)


def coin_of_senders() -> Coin:
    return easy_coin(premine=[(sender, RICH) for sender in SENDERS])


def run(folder: Path, faults: list[Callable[[Scene, Random], None]], random: Random) -> None:
    with postgres_server() as server:
        database = server.url(new_database(server))
        coin = coin_of_senders()
        with machines(folder, database, coin) as here:
            scene = Scene(here, server, database)
            with Senders(coin, lambda: scene.nodes, SENDERS) as senders:
                for fault in faults:
                    senders.wait_for_more(random.randint(1, 20))
                    scene.look()
                    fault(scene, random)
                    scene.look()
                senders.wait_for_more(20)
            scene.look()
            wait_until(lambda: told_tip(scene.nodes[0]) == told_tip(scene.nodes[1]) is not None, 60, "both to agree")
            assert set(senders.refused) <= SAID, senders.refused
            assert len(set(scene.tips)) > len(faults) // 2, "blocks were mined meanwhile"
            assert scene.branches
            check(folder / "check", coin, database, list(senders.taken), scene.tips)
            said = here.logs()
        assert "Traceback" not in said, said


def test_nothing_acknowledged_is_lost_whatever_is_killed(tmp_path: Path) -> None:
    run(tmp_path, list(FAULTS), Random(1))


@pytest.mark.crash
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_whatever_is_killed_again_and_again(tmp_path: Path) -> None:
    rounds = 12 if os.environ.get("MONEYER_CRASH") == "short" else 60
    random = Random(2)
    run(tmp_path, [random.choice(FAULTS) for _ in range(rounds)], random)


def test_a_primary_that_is_lost_gives_way_to_its_synchronous_replica(tmp_path: Path) -> None:
    """By a URL of both; nothing that was acknowledged is lost, and nodes go on by themselves."""
    coin = coin_of_senders()
    with postgres_server() as primary, primary.replica(synchronous=True) as replica:
        name = new_database(primary)
        both = f"postgresql://moneyer@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{name}"
        with machines(tmp_path, both, coin) as here:
            nodes = [here.node(), here.node("api")]
            here.worker("--mode", "instant")
            tips: list[bytes] = []
            with Senders(coin, lambda: nodes, SENDERS) as senders:
                senders.wait_for_more(40)
                tips += [tip for node in nodes if (tip := told_tip(node)) is not None]
                primary.kill()
                before = set(senders.taken)
                replica.promote()
                senders.wait_for_more(40)
                tips += [tip for node in nodes if (tip := told_tip(node)) is not None]
            assert before
            check(tmp_path / "check", coin, replica.url(name), list(senders.taken), tips)
            said = here.logs()
        assert "Traceback" not in said, said
