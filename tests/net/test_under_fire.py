"""Three nodes that mine, send and are listened to while their processes are killed: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from moneyer.node.chain.verify import verify_chain
from moneyer.node.client.client import Client
from moneyer.node.client.errors import ClientError
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.types import Spend
from moneyer.node.store.engine import Store
from moneyer.node.store.tables import transactions
from tests.kit.chains import Key, burn, issue, mint, pay, transfer
from tests.kit.commands import moneyer
from tests.kit.databases import node_config
from tests.kit.mining.workers import WorkerProcess
from tests.kit.nodes import place_coin
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, answers, rich_coin
from tests.kit.system.ports import free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

COIN = rich_coin(rules=2)
SHORT = os.environ.get("MONEYER_CRASH") == "short"
FIRE_SECONDS = 90 if SHORT else 600
LULL = (3.0, 25.0)
"""Seconds between two kills: now and then long enough for what a node does every twenty seconds."""
DEEP = 30
"""Blocks on an asset's issue before it is moved: no reorg of these nodes undoes one, and what waits for it."""
COMMANDS = (("verify",), ("db", "check"), ("wallet", "list"))


class Place:
    """A data folder, its node and its worker; whichever has ended is started again."""

    def __init__(self, data: Path, port: int, peers: tuple[str, ...]) -> None:
        place_coin(data, COIN)
        self.config = node_config(data, port=port, development=True, min_fee=0, manual=False, peers=peers)
        self.node = RunningNode(self.config, COIN)
        self.worker: WorkerProcess | None = None

    def tend(self) -> None:
        if self.node.process.poll() is not None:
            self.node.start()
        if self.worker is None or self.worker.process.poll() is not None:
            self.worker = WorkerProcess(self.config, "--engine", "hashlib", "--mode", "interval:1")

    def processes(self) -> list[psutil.Process]:
        """The living ones, of node and worker."""
        found = []
        for started in (self.node.process, self.worker.process if self.worker is not None else None):
            with contextlib.suppress(psutil.NoSuchProcess):
                if started is not None:
                    top = psutil.Process(started.pid)
                    found += [top, *top.children(recursive=True)]
        return found

    def end(self) -> None:
        if self.worker is not None:
            self.worker.kill()
        self.node.stop()


class Person:
    """Pays from one account at one node, again and again: the same bytes until they are answered for.

    First comes an issue; once it lies deep, every other spend is of its asset.
    """

    def __init__(self, who: Key, place: Place, others: Sequence[Key]) -> None:
        self.who, self.place, self.others = who, place, others
        self.acknowledged: list[bytes] = []
        self.trouble: list[str] = []
        issued = issue(COIN, who, 2**40, 2**50, fee=1)
        self.issued, self.asset, self.is_deep = issued, codec.asset_id(COIN.chain_id, issued), False

    def pay(self, stopped: threading.Event) -> None:
        draw = random.Random(self.who.name)
        while not stopped.wait(0.05):
            made = self.wish(draw)
            raw, sent_before = codec.encode_transaction(made), False
            while not self._is_taken(raw, codec.txid(made), sent_before):
                sent_before = True
                if stopped.wait(0.2):
                    return
            self.acknowledged.append(codec.txid(made))

    def wish(self, draw: random.Random) -> Spend:
        sequence, other, amount = len(self.acknowledged), draw.choice(self.others), draw.randint(1, 50)
        if not sequence:
            return self.issued
        if not self.is_deep and not sequence % 20:
            self.is_deep = self.lies_deep()
        if not self.is_deep or sequence % 2:
            return transfer(COIN, self.who, other, amount, 1, sequence)
        spends: list[Spend] = [
            pay(COIN, self.who, other, amount, self.asset, 1, sequence),
            mint(COIN, self.who, self.asset, amount, receiver=other, fee=1, sequence=sequence),
            burn(COIN, self.who, self.asset, amount, fee=1, sequence=sequence),
        ]
        return draw.choice(spends)

    def lies_deep(self) -> bool:
        try:
            found = self.place.node.get(f"/v1/assets/{self.asset.hex()}")
            return found.status == 200 and int(found.json["height"]) <= self.place.node.height - DEEP
        except (OSError, http.client.HTTPException, KeyError):
            return False

    def _is_taken(self, raw: bytes, txid: bytes, sent_before: bool) -> bool:
        try:
            answer = self.place.node.call("POST", "/v1/transactions", {"raw": raw.hex()}, timeout=30)
            if answer.status in (200, 201):  # it was there already, or it is now
                return True
            if answer.code == "bad_sequence" and sent_before:  # it came through, and is in a block
                return self.place.node.get(f"/v1/transactions/{show(txid)}").status == 200
        except (OSError, http.client.HTTPException):
            return False
        if answer.status != 503:
            self.trouble.append(f"{self.who.name} {len(self.acknowledged)}: {answer.body!r}")
        return False


def listen(place: Place, stopped: threading.Event, heard: set[str]) -> None:
    """Hear of blocks, across every restart."""
    client = Client(place.node.url)
    while not stopped.is_set():
        with contextlib.suppress(ClientError):
            for event in client.events(patience=5):
                if event.kind in ("block", "reset"):
                    heard.add(place.config.data.name)
                if stopped.is_set():
                    return


def look(place: Place, draw: random.Random) -> None:
    """A command of another process, which opens the node's database and closes it."""
    command = draw.choice(COMMANDS)
    url = place.config.database_url
    env = {} if url is None else {"MONEYER_NODE_DATABASE": url}
    done = moneyer(*command, "--data", place.config.data, env=env)
    assert done.returncode == 0, (command, done.stdout, done.stderr)


@contextlib.contextmanager
def three_places(folder: Path) -> Iterator[list[Place]]:
    first = free_ports(3)
    urls = [f"http://127.0.0.1:{first + number}" for number in range(3)]
    places = [Place(folder / f"node{number}", first + number, tuple(urls[:number])) for number in range(3)]
    try:
        yield places
    finally:
        for place in places:
            place.end()


def under_fire(places: list[Place], draw: random.Random, seconds: float) -> int:
    """Kill a process now and then, and start it again; how many were killed."""
    until, killed, next_kill = time.monotonic() + seconds, 0, time.monotonic() + LULL[1]
    next_look = time.monotonic() + draw.uniform(2, 10)
    while time.monotonic() < until:
        for place in places:
            place.tend()
        if time.monotonic() >= next_look:
            look(draw.choice(places), draw)
            next_look = time.monotonic() + draw.uniform(2, 10)
        if time.monotonic() >= next_kill:
            victim = draw.choice(draw.choice(places).processes())
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
                killed += 1
            next_kill = time.monotonic() + draw.uniform(*LULL)
        time.sleep(0.2)  # nothing to wait for: this is the pace of the fire
    return killed


def confirmed(place: Place) -> set[bytes]:
    store = Store.open(place.config, COIN, check_file=False)
    try:
        with store.read() as conn:
            return {txid[::-1] for txid in conn.execute(select(transactions.c.shown_txid)).scalars()}
    finally:
        store.close()


@pytest.mark.crash
@pytest.mark.timeout(FIRE_SECONDS + 600)
def test_nothing_acknowledged_is_lost_on_a_network_under_fire(tmp_path: Path) -> None:
    stopped, heard = threading.Event(), set[str]()
    with three_places(tmp_path) as places:
        for place in places:
            wait_until(lambda place=place: answers(place.config.port), 30, "a node")  # type: ignore[misc]
        everyone = [ALICE, BOB, CAROL]
        people = [Person(who, place, everyone) for who, place in zip(everyone, places, strict=True)]
        threads = [threading.Thread(target=person.pay, args=(stopped,), daemon=True) for person in people]
        threads += [threading.Thread(target=listen, args=(place, stopped, heard), daemon=True) for place in places]
        for thread in threads:
            thread.start()
        killed = under_fire(places, random.Random(), FIRE_SECONDS)
        stopped.set()
        acknowledged = {txid for person in people for txid in person.acknowledged}
        print(f"{killed} processes killed, {len(acknowledged)} transfers acknowledged")

        def all_in_blocks() -> bool:
            for place in places:
                place.tend()
            return all(acknowledged <= confirmed(place) for place in places)

        wait_until(all_in_blocks, 120, "every acknowledged transfer to be in a block at every node")
        assert [person.trouble for person in people] == [[], [], []]
        assert len(heard) == 3
    assert any(person.is_deep for person in people)
    for place in places:
        assert "Traceback" not in place.node.log
        store = Store.open(place.config, COIN)
        assert verify_chain(store).transfers >= len(acknowledged)
        store.close()
