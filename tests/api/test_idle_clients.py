"""Clients that send nothing, or never the rest, cost the others nothing; who takes too long is let go."""

from __future__ import annotations

import contextlib
import fcntl
import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from moneyer.node.api.http import inflight
from moneyer.node.api.http.connections import connections_of
from moneyer.node.api.http.errors import CallerGone, Incomplete, NotNow, TooSlow
from moneyer.node.api.http.inflight import FEW, Flights, Phase
from moneyer.node.store.backends.sqlite.driver import has_safe_wal
from moneyer.node.system.shares import (
    DEAR_READS,
    LARGE_BODIES,
    REFUSALS,
    REQUESTS,
    SHORT_READS,
    SMALL_BODIES,
    Bound,
    NoPlace,
)
from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, RunningNode
from tests.kit.system.process_tree import children_of
from tests.kit.waiting import wait_until

CLIENTS = 160
EACH = 14
"""No more than the share of an address among the places for either kind of body."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process its own connections")
NOTHING = b""
HALF_A_HEAD = b"POST /v1/transactions HTTP/1.1\r\nHost: 127.0"
HALF_A_BODY = (
    b"POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 100\r\n\r\n{"raw": "'
)
HALF_A_CHUNKED_BODY = (
    b"POST /p2p/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
)


@contextlib.contextmanager
def clients(node: RunningNode, count: int, sent: bytes, first: int = 1) -> Iterator[list[socket.socket]]:
    """`count` connections, `EACH` of one address, from 127.0.0.`first` up, on which `sent` was sent, then nothing."""
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(count):
            source = f"127.0.0.{first + number // EACH}"
            sock = socket.create_connection(("127.0.0.1", node.port), 40, (source, 0))
            stack.enter_context(sock)
            sock.sendall(sent)
            opened.append(sock)
        yield opened


def others_are_answered(node: RunningNode) -> None:
    """Reading and writing."""
    assert node.get("/v1/status").status == 200
    account = node.get(f"/v1/accounts/{ALICE.address(node.coin)}").json
    sent = transfer(node.coin, ALICE, BOB, 1, sequence=account["pending"]["next_sequence"])
    body = {
        "sender": ALICE.address(node.coin),
        "receiver": BOB.address(node.coin),
        "amount": sent.amount,
        "fee": sent.fee,
        "sequence": sent.sequence,
        "signature": sent.signature.hex(),
    }
    answer = node.post("/v1/transactions", body)
    assert answer.status == 201, answer.body


def are_held(clients: list[socket.socket]) -> bool:
    """Whether the node has neither answered any of them nor let it go."""
    return not select.select(clients, [], [], 0)[0]


def memory(node: RunningNode) -> int:
    """PSS of the node's processes, MB."""
    total = 0
    for pid in (node.process.pid, *children_of(node.process.pid)):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total // 1024


def locks_of(node: RunningNode) -> set[tuple[int, str]]:
    """Process and file of each POSIX lock that the node's processes have on its database."""
    files = {path.stat().st_ino: path.name for path in node.config.data.glob("chain.db*")}
    pids = {node.process.pid, *children_of(node.process.pid)}
    # The kernel tells its table page by page, and a line may slip from one to the next meanwhile: not three times.
    tables = [Path("/proc/locks").read_text("ascii") for _ in range(3)]
    rows = [line.split() for table in tables for line in table.splitlines() if " POSIX " in line]
    held = {(int(row[4]), files.get(int(row[5].split(":")[2]), "")) for row in rows if row[1] == "POSIX"}
    return {(pid, name) for pid, name in held if pid in pids and name}


def in_flight(node: RunningNode) -> float:
    lines = node.get("/metrics").body.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("moneyer_requests_in_flight "))


def whole(sock: socket.socket) -> bytes:
    """What comes until the node closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("sent", [NOTHING, HALF_A_HEAD], ids=["nothing", "half a head"])
def test_many_clients_without_a_whole_request_are_let_go(fresh: RunningNode, sent: bytes) -> None:
    def cost_nothing() -> bool:
        """Others are answered before the first is let go, unless this machine is held up until then."""
        with clients(fresh, CLIENTS, sent) as silent:
            others_are_answered(fresh)
            were_held = are_held(silent)
            assert [whole(sock) for sock in silent] == [b""] * CLIENTS
            others_are_answered(fresh)
        return were_held

    wait_until(cost_nothing, 60, "others to be answered meanwhile")


@linux
def test_many_clients_with_half_a_body_are_told_that_they_are_too_slow(fresh: RunningNode) -> None:
    before, held = memory(fresh), locks_of(fresh)
    assert len({path for _, path in held}) == (2 if has_safe_wal else 0)

    def cost_nothing() -> bool:
        """As above."""
        with (
            clients(fresh, CLIENTS, HALF_A_BODY) as slow,
            clients(fresh, 2 * EACH, HALF_A_CHUNKED_BODY, 101) as chunked,
        ):
            wait_until(lambda: in_flight(fresh) > CLIENTS + 2 * EACH, 10, "all of them to be read from")
            for _ in range(5):
                others_are_answered(fresh)
            were_held = are_held([*slow, *chunked])
            assert memory(fresh) < 130, before
            answers = [whole(sock) for sock in (*slow, *chunked)]
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
        assert json.loads(answers[0].partition(b"\r\n\r\n")[2])["error"]["code"] == "too_slow"
        wait_until(lambda: in_flight(fresh) == 1, 10, "their threads to be free")
        return were_held

    wait_until(cost_nothing, 60, "others to be answered meanwhile")
    assert "too slow" in fresh.log
    assert locks_of(fresh) >= held  # a process that closes a file, under whatever number, loses its locks on it


def test_a_body_over_the_share_of_its_address_is_refused(fresh: RunningNode) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(SMALL_BODIES.each):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", fresh.port), 40, ("127.0.0.2", 0)))
            sock.sendall(HALF_A_BODY)
        wait_until(lambda: in_flight(fresh) > SMALL_BODIES.each, 10, "all of them to be read from")
        refused = fresh.call("POST", "/v1/transactions", {}, source="127.0.0.2")
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "busy", "1")
        assert fresh.get("/v1/status").status == 200
        assert in_flight(fresh) > SMALL_BODIES.each  # they hold their places still, and nobody waits for one


class Door:
    """A listening socket; who comes in stays."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    @contextlib.contextmanager
    def visit(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """A client's socket, and ours to it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as theirs:
            ours, _ = self.listener.accept()
            with ours:
                ours.settimeout(60)
                yield theirs, ours


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    with made.listener:
        yield made


@linux
def test_only_the_reading_side_of_a_slow_body_is_closed(door: Door) -> None:
    flights = Flights(door.port, deadline=0.5)
    with door.visit() as (theirs, ours):
        flight = flights.begin("127.0.0.1")
        with pytest.raises(TooSlow), flights.reading(flight):
            assert ours.recv(10) == b""
        ours.sendall(b"late")
        assert theirs.recv(10) == b"late"
    wait_until(lambda: flights.cut == 1, 5, "it to be counted")
    assert flights.bodies == 0


@linux
def test_a_client_whose_other_request_is_still_worked_on_is_not_cut(door: Door) -> None:
    flights = Flights(door.port, deadline=0.5)
    with door.visit() as (theirs, ours):
        long_work, flight = flights.begin("127.0.0.1"), flights.begin("127.0.0.1")
        done = threading.Event()

        def read() -> None:
            with contextlib.suppress(TooSlow), flights.reading(flight):
                ours.recv(10)
            done.set()

        threading.Thread(target=read, daemon=True).start()
        # The other one's deadline passes; that work goes on, and so does everything of this client.
        assert not done.wait(2)
        assert flights.cut == 0
        flights.end(long_work)
        assert done.wait(60)
        wait_until(lambda: flights.cut == 1, 5, "it to be counted")
        theirs.close()


@linux
def test_an_answer_that_nobody_takes_ends_its_connection(door: Door) -> None:
    flights = Flights(door.port, deadline=0.5)
    with door.visit() as (theirs, ours), door.visit() as (_, quiet):
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(bytes(65_536))
        flights.sent()
        wait_until(lambda: flights.cut == 1, 10, "the deaf one to be cut")
        wait_until(lambda: _is_broken(ours), 5, "its socket to say so")
        assert not _is_broken(quiet)
        theirs.close()


def _is_broken(sock: socket.socket) -> bool:
    try:
        sock.send(b"x")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


@linux
def test_a_look_at_the_connections_costs_no_file_its_locks(door: Door, tmp_path: Path) -> None:
    """POSIX locks, as SQLite's are, end with any number of the file that the process closes."""
    with (tmp_path / "database").open("wb") as file, door.visit():
        fcntl.lockf(file, fcntl.LOCK_EX)
        found = list(connections_of(door.port))
        assert len(found) == 1
        for each in found:
            each.close()
        try_it = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        tried = subprocess.run([sys.executable, "-c", try_it, file.name], capture_output=True, text=True, timeout=60)
        assert "BlockingIOError" in tried.stderr


@linux
def test_looks_that_overlap_see_each_connection_once_and_take_no_higher_and_higher_numbers(door: Door) -> None:
    """The duplicates of one look are no connections for another: else an address had more than it has."""
    with contextlib.ExitStack() as stack:
        ours = {stack.enter_context(door.visit())[1].fileno() for _ in range(3)}
        looks = [[stack.enter_context(each) for each in connections_of(door.port)] for _ in range(5)]
        assert [len(look) for look in looks] == [len(ours)] * 5
        assert max(each.fileno() for look in looks for each in look) < max(ours) + 5 * len(ours) + 10


def is_cut(flights: Flights, door: Door) -> None:
    """A client that sends nothing of its body is, at the deadline."""
    with door.visit() as (_, ours), pytest.raises(TooSlow), flights.reading(flights.begin("127.0.0.1")):
        assert ours.recv(10) == b""


@linux
def test_a_watch_that_could_not_begin_is_begun_by_the_next_client(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    flights = Flights(door.port, deadline=0.5)
    refused = flights.begin("127.0.0.1")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(NotNow), flights.reading(refused):
            pass
    flights.end(refused)
    assert flights.bodies == 0
    is_cut(flights, door)


@linux
def test_a_look_that_fails_is_not_the_last_one(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    flights = Flights(door.port, deadline=0.5, grace=60)
    broken = flights.begin("127.0.0.1")
    broken.hop = cast(str, None)  # no address: the look stumbles over it

    def has_stumbled() -> bool:
        return "a look for slow clients failed" in caplog.text

    with pytest.raises(TooSlow), flights.reading(broken):
        wait_until(has_stumbled, 10, "it to be logged")
    assert has_stumbled()  # what is raised there while a body is read is TooSlow in the end
    flights.end(broken)
    is_cut(flights, door)


@linux
def test_a_body_that_came_whole_is_taken_though_another_of_its_address_is_cut_off(door: Door) -> None:
    flights = Flights(door.port, deadline=0.5)
    late, whole = flights.begin("127.0.0.1"), flights.begin("127.0.0.1")

    def read_both() -> None:
        with flights.reading(late, 100):
            with flights.reading(whole, 100):
                wait_until(lambda: flights.cut == 2, 10, "both connections to be cut")
            assert whole.is_cut
            raise Incomplete("the body ended before its Content-Length")

    with door.visit(), door.visit(), pytest.raises(TooSlow):
        read_both()


@pytest.mark.parametrize(("bound", "declared"), [(SMALL_BODIES, 65_536), (LARGE_BODIES, 65_537), (LARGE_BODIES, None)])
def test_bodies_of_one_address_are_bounded_and_small_ones_wait_for_no_large(bound: Bound, declared: int | None) -> None:
    flights = Flights(1)
    with contextlib.ExitStack() as stack:
        for _ in range(bound.each):
            stack.enter_context(flights.reading(flights.begin("127.0.0.1"), declared))
        with pytest.raises(NoPlace):
            stack.enter_context(flights.reading(flights.begin("127.0.0.1"), declared))
        with flights.reading(flights.begin("127.0.0.2"), declared):
            pass
        other = 70_000 if bound is SMALL_BODIES else 100
        with flights.reading(flights.begin("127.0.0.1"), other):
            assert flights.bodies == bound.each + 1
    flight = flights.begin("127.0.0.1")
    with flights.reading(flight, declared):
        assert flight.phase is Phase.BODY
    assert (flights.bodies, flight.phase) == (0, Phase.NODE)


@linux
def test_a_body_that_drips_is_cut_and_one_that_flows_is_not(door: Door) -> None:
    flights = Flights(door.port, deadline=60, grace=0.5)
    with door.visit() as (dripping, slow), door.visit() as (flowing, quick):
        ended = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.05):
                    dripping.sendall(b"x")
                    flowing.sendall(bytes(4_000))

        def read() -> None:
            # At its end the test closes the connection under it.
            with contextlib.suppress(OSError), flights.reading(flights.begin("127.0.0.1"), 10**6):
                while quick.recv(65_536):
                    pass

        for work in (send, read):
            threading.Thread(target=work, daemon=True).start()
        with pytest.raises(TooSlow, match="bytes a second"), flights.reading(flights.begin("127.0.0.1")):
            wait_until(lambda: not slow.recv(65_536), 20, "its end")
        wait_until(lambda: flights.cut == 1, 5, "it to be counted")
        flowing.sendall(b"still here")
        ended.set()


@linux
def test_work_for_a_caller_who_has_gone_is_not_begun(door: Door) -> None:
    flights = Flights(door.port)
    shares = flights.places.of(DEAR_READS)
    places = [shares.take("127.0.0.1") for _ in range(DEAR_READS.each)]
    begun, gone = threading.Event(), threading.Event()

    def ask() -> None:
        flight = flights.begin("127.0.0.1")
        try:
            flights.work(flight, shares).release()
            begun.set()
        except CallerGone:
            gone.set()
        flights.end(flight)

    def wait_in_line() -> threading.Thread:
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: shares.waiting == 1, message="somebody who waits")
        time.sleep(0.6)  # who has waited no longer than a blink is not looked after
        return thread

    with door.visit() as (theirs, ours):
        thread = wait_in_line()
        theirs.close()
        ours.close()  # as the server does
        places.pop().release()
        thread.join(60)
        assert (gone.is_set(), begun.is_set(), flights.abandoned) == (True, False, 1)
    with door.visit():
        places.append(shares.take("127.0.0.1"))
        thread = wait_in_line()
        places.pop().release()
        thread.join(60)
        assert (begun.is_set(), flights.abandoned) == (True, 1)


def test_a_refusal_is_held_back_until_its_request_is_of_an_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who asks again at once is refused thousands of times a second, and has the interpreter for himself."""
    flights = Flights(1)
    old, new = flights.begin("127.0.0.1"), flights.begin("127.0.0.1")
    old.began -= inflight.REFUSAL_SECONDS
    flights.hold_back(old)  # who waited as long already is told at once
    monkeypatch.setattr(inflight, "REFUSAL_SECONDS", 60.0)
    thread = threading.Thread(target=flights.hold_back, args=(new,), daemon=True)
    thread.start()
    wait_until(lambda: new.phase is Phase.REFUSED, message="it to be held back")
    thread.join(0.2)
    assert thread.is_alive()


def test_of_an_address_no_more_refusals_are_held_back_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has gone has no connection any more, and its request a thread all the same."""
    monkeypatch.setattr(inflight, "REFUSAL_SECONDS", 60.0)
    flights = Flights(1)
    for _ in range(REFUSALS.each):
        flights.places.of(REFUSALS).take("127.0.0.2")
    flights.hold_back(flights.begin("127.0.0.2"))
    thread = threading.Thread(target=flights.hold_back, args=(flights.begin("127.0.0.3"),), daemon=True)
    thread.start()
    wait_until(lambda: flights.places.of(REFUSALS).held_by("127.0.0.3") == 1, message="one from elsewhere to be")


def test_turns_are_taken_once_more_than_a_few_requests_are_under_way() -> None:
    flights = Flights(1)
    few = [flights.begin("127.0.0.2") for _ in range(FEW)]
    for flight in few:
        flights.begin_turn(flight)
    assert flights.requests.count == 0
    one_more = flights.begin("127.0.0.2")
    flights.begin_turn(one_more)
    assert flights.requests.count == 1
    flights.end(few[0])
    flights.end(one_more)  # its turn ends with it, however few are left
    assert flights.requests.count == 0


def test_a_request_has_its_turn_until_it_waits_or_is_worked_on() -> None:
    flights = Flights(1)
    requests = flights.requests
    looked_at = [flights.begin("127.0.0.2") for _ in range(REQUESTS.each)]
    for flight in looked_at:
        flight.begin_turn(requests)
    more = [flights.begin("127.0.0.2") for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        turns = [pool.submit(flight.begin_turn, requests) for flight in more]
        wait_until(lambda: requests.waiting == 3, message="them to wait")
        flights.begin("127.0.0.3").begin_turn(requests)
        with flights.reading(looked_at[0], 10):  # its body may be long in coming
            turns[0].result(60)
        flights.work(looked_at[1], flights.places.of(SHORT_READS)).release()
        turns[1].result(60)
        flights.end(more[0])
        turns[2].result(60)
    assert (requests.held_by("127.0.0.2"), requests.waiting) == (REQUESTS.each, 0)


@linux
def test_a_request_that_is_held_back_keeps_no_slow_body_of_its_client_alive(door: Door) -> None:
    flights = Flights(door.port, deadline=0.5)
    refused = flights.begin("127.0.0.1")
    refused.enter(Phase.REFUSED)
    with door.visit() as (_, ours):
        flight = flights.begin("127.0.0.1")
        with pytest.raises(TooSlow), flights.reading(flight):
            assert ours.recv(10) == b""


@linux
def test_for_a_call_of_a_few_rows_nobody_looks_whether_its_caller_is_there(door: Door) -> None:
    """The look costs more than the call."""
    flights = Flights(door.port)
    shares = flights.places.of(SHORT_READS)
    places = [shares.take("127.0.0.1") for _ in range(SHORT_READS.each)]
    with ThreadPoolExecutor(1) as pool:
        gone = flights.begin("127.0.0.1")  # on no connection at all
        waits = pool.submit(flights.work, gone, shares)
        wait_until(lambda: shares.waiting == 1, message="it to wait")
        time.sleep(0.6)  # as above
        places.pop().release()
        waits.result(60).release()
    assert flights.abandoned == 0
