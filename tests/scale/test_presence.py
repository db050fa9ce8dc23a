"""Who is alive on a server's database, and whose turn it is, as its processes see it."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from moneyer.node.store.backends.presence import MOST_SAID, NODE, PEER, STRATUM, WORKER, Presence
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreLost
from tests.kit.chains import easy_coin
from tests.kit.databases import Databases
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.waiting import wait_until

LOST_SECONDS = 20
"""For what is found out after two seconds, on a machine that is busy."""


ONE_LOOK_SECONDS = 45
"""For a look that is given up after some ten seconds: thirty that do so in turn would take minutes."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as made:
        yield made


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    databases = Databases(server.url(), "presence_")
    with databases.ended():
        yield databases.fresh()


@pytest.fixture
def store(tmp_path: Path, url: str) -> Iterator[Store]:
    with Node(tmp_path / "node", easy_coin(), database_url=url) as node:
        yield node.store


class Turns:
    """Processes that want to speak to other nodes."""

    def __init__(self, store: Store, count: int) -> None:
        self.has = [False] * count
        self.presences = [self._join(store, number) for number in range(count)]

    def _join(self, store: Store, number: int) -> Presence:
        def turned(has_turn: bool) -> None:
            self.has[number] = has_turn

        return store.backend.join(json.dumps({"url": f"http://{number}"}).encode(), turned)

    def wait_for_one(self) -> int:
        wait_until(lambda: sum(self.has) == 1, LOST_SECONDS, "one of them to have the turn")
        return self.has.index(True)

    def release(self) -> None:
        for each in self.presences:
            each.release()


@pytest.fixture
def turns(store: Store) -> Iterator[Turns]:
    made = Turns(store, 3)
    yield made
    made.release()


def said(store: Store, kind: str) -> list[bytes]:
    return sorted(each.status for each in store.living(kind))


def seen(store: Store, kind: str) -> list[bytes] | None:
    """None while the database is lost."""
    with suppress(StoreLost):
        return said(store, kind)
    return None


def test_each_process_says_something_of_itself_for_as_long_as_it_lives(store: Store) -> None:
    with ExitStack() as held:
        presences = [store.backend.hold(WORKER) for _ in range(3)]
        for number, presence in enumerate(presences):
            held.callback(presence.release)
            presence.say(b"%d" % number)
        wait_until(lambda: said(store, WORKER) == [b"0", b"1", b"2"], 10, "all three")
        assert said(store, STRATUM) == said(store, NODE) == []
        presences[1].say(b"9")
        wait_until(lambda: said(store, WORKER) == [b"0", b"2", b"9"], 10, "another word")
        presences[1].release()
        wait_until(lambda: said(store, WORKER) == [b"0", b"2"], 10, "its end")
        presences[0].say(bytes(MOST_SAID + 1))  # too much: what it said before stands
        presences[2].say(b"8")
        wait_until(lambda: said(store, WORKER) == [b"0", b"8"], 10, "a word behind it")


def test_who_asks_while_the_server_says_nothing_waits_for_one_look_with_all_others(
    store: Store, server: PostgresServer
) -> None:
    assert said(store, NODE) == []  # by a connection that stays open
    with ThreadPoolExecutor(30) as pool, ExitStack() as paused:
        server.pause()
        paused.callback(server.resume)
        asked = [pool.submit(store.living, kind) for kind in (WORKER, STRATUM, PEER) * 10]
        wait_until(lambda: all(each.done() for each in asked), ONE_LOOK_SECONDS, "all to be refused")
    assert {type(each.exception()) for each in asked} == {StoreLost}
    presence = store.backend.hold(WORKER)
    try:
        wait_until(lambda: seen(store, WORKER) == [b""], LOST_SECONDS, "a look that is answered again")
    finally:
        presence.release()


def test_what_processes_say_changes_no_version(store: Store) -> None:
    before = store.data_version()
    presence = store.backend.hold(WORKER)
    try:
        for word in (b"1", b"2", b"3"):
            presence.say(word)
            wait_until(lambda word=word: said(store, WORKER) == [word], 10, "it")  # type: ignore[misc]
        assert store.data_version() == before
    finally:
        presence.release()


def test_one_has_the_turn_and_each_gets_it_in_the_end(store: Store, turns: Turns) -> None:
    for left in (3, 2, 1):
        now = turns.wait_for_one()
        wait_until(lambda now=now: said(store, PEER) == [b'{"url": "http://%d"}' % now], 10, "its word")  # type: ignore[misc]
        wait_until(lambda left=left: len(said(store, NODE)) == left - 1, 10, "the others' words")  # type: ignore[misc]
        turns.presences[now].release()
        # Its thread is waited for by `release` for three seconds, and says so last.
        wait_until(lambda now=now: not turns.has[now], LOST_SECONDS, "it to have the turn no longer")  # type: ignore[misc]
    wait_until(lambda: said(store, PEER) == said(store, NODE) == [], 10, "all to be gone")


def test_a_session_that_is_ended_is_begun_anew(store: Store, turns: Turns, server: PostgresServer) -> None:
    worker = store.backend.hold(WORKER)
    try:
        for _ in range(3):
            turns.wait_for_one()
            server.terminate_backends(store.config.database_url.rsplit("/", 1)[1])  # type: ignore[union-attr]
            wait_until(lambda: len(store.living(WORKER)) == 1, LOST_SECONDS, "the worker to be back")
        turns.wait_for_one()
    finally:
        worker.release()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_two_have_the_turn_while_the_server_is_started_anew(
    turns: Turns, server: PostgresServer, how: signal.Signals
) -> None:
    turns.wait_for_one()
    if how is signal.SIGKILL:
        server.kill()
    else:
        server.stop()
    wait_until(lambda: not any(turns.has), LOST_SECONDS, "nobody to have it without a server")
    server.start()
    turns.wait_for_one()


def test_nobody_has_the_turn_of_a_server_that_does_not_answer(turns: Turns, server: PostgresServer) -> None:
    turns.wait_for_one()
    server.pause()
    try:
        wait_until(lambda: not any(turns.has), LOST_SECONDS, "its holder to take it for lost")
    finally:
        server.resume()
    turns.wait_for_one()


def test_a_session_that_is_not_answered_is_told_of_in_words_of_ours(
    turns: Turns, server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    turns.wait_for_one()
    server.pause()
    try:
        wait_until(lambda: "does not know that this process lives" in caplog.text, LOST_SECONDS, "its end to be told")
    finally:
        server.resume()
    assert [each.getMessage() for each in caplog.records if each.name.startswith("psycopg")] == []


def test_whoever_said_that_the_database_was_lost_says_that_it_is_well_again(
    turns: Turns, server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lost = ("does not know that this process lives", "does not tell of commits")
    well = ("knows again that this process lives", "tells of commits again")
    turns.wait_for_one()
    assert not any(words in caplog.text for words in well)
    server.kill()
    try:
        wait_until(lambda: all(words in caplog.text for words in lost), LOST_SECONDS, "both to say that it is lost")
    finally:
        server.start()

    def are_all_well() -> bool:
        return all(caplog.text.count(one) == caplog.text.count(other) for one, other in zip(lost, well, strict=True))

    wait_until(are_all_well, LOST_SECONDS, "a line of each that it is well again")
