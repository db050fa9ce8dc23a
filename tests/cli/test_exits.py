"""What a script can rely on: the exit status, one JSON document or nothing on stdout, and a repeat that pays once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from moneyer.node.core import codec
from tests.kit.callers.in_front import in_front
from tests.kit.chains import key
from tests.kit.commands import MONEYER, environment, moneyer, no_room, refusal, start
from tests.kit.running import RICH, RunningNode, own_node
from tests.kit.waiting import END_SECONDS

pytestmark = pytest.mark.timeout(300)

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Its wallet is open; nobody mines."""
    with own_node(tmp_path_factory.mktemp("exits") / "data") as running:
        yield running


@pytest.fixture
def node(shared: RunningNode) -> RunningNode:
    """One node for all, as most of a test's time is its start."""
    BEFORE[:] = waiting(shared)
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningNode]:
    """A node of the test's own, like the other."""
    BEFORE.clear()
    with own_node(tmp_path / "data") as running:
        yield running


BEFORE: list[str] = []
"""Txids that waited when the test began."""


def waiting(node: RunningNode) -> list[str]:
    return [each["txid"] for each in node.get("/v1/mempool?limit=1000").json["transactions"]]


def new(node: RunningNode) -> list[str]:
    """Txids of what the test has sent, and waits."""
    return [txid for txid in waiting(node) if txid not in BEFORE]


def send(node: RunningNode, *more: str, amount: str = "10", url: str | None = None) -> list[str]:
    """A command that sends from alice to bob."""
    return ["send", "alice", "bob", amount, "--data", str(node.config.data), "--node", url or node.url, *more]


def onto(stdout: int | IO[bytes], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command whose stdout is `stdout`."""
    return subprocess.run(
        [*MONEYER, *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment(),
        timeout=60,
        check=False,
    )


def breaks_posts(request: bytes, forward: Callable[[], None]) -> bool:
    return request.startswith(b"GET")


def test_a_transfer_that_is_not_confirmed_in_time_is_status_3_and_a_json_document(node: RunningNode) -> None:
    done = moneyer(*send(node, "--wait", "--timeout", "1", "--json"))
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert (report["status"], report["confirmations"]) == ("ready", 0)
    assert new(node) == [report["txid"]]
    assert f"moneyer tx {report['txid']} --data" in done.stderr
    assert "it still waits for a block" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_waiting_is_told_the_txid_and_that_it_still_waits(node: RunningNode, sign: int) -> None:
    with start(*send(node, "--wait", "--confirmations", "2")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = list(iter(process.stdout.readline, "waiting for a block …\n"))
        process.send_signal(sign)
        said = process.stderr.read()
    txid = shown[1].split()[1]
    assert process.returncode == 3, said
    assert said.startswith(f"moneyer: stopped. Transfer {txid} was accepted, and it still waits for a block: ")


def test_who_stops_waiting_gets_the_json_document_too(node: RunningNode) -> None:
    waits = threading.Event()

    def watch(request: bytes, forward: Callable[[], None]) -> bool:
        if request.startswith(b"GET /v1/events"):
            waits.set()
        return True

    with in_front(node, watch) as url, start(*send(node, "--wait", "--json", url=url)) as process:
        assert waits.wait(60)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 3, said
    assert json.loads(out)["txid"] == new(node)[0]
    assert json.loads(out)["status"] == "ready"


def test_a_node_that_ends_while_a_transfer_waits_leaves_it_accepted(own: RunningNode) -> None:
    with start(*send(own, "--wait", "--timeout", "3")) as process:
        assert process.stdout is not None
        for _ in iter(process.stdout.readline, "waiting for a block …\n"):
            pass
        own.stop()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 3, said
    assert "was accepted" in said
    assert "no node answers" in refusal(moneyer(*send(own, "--json"))), "and one that isn't there takes nothing"


@needs_full
@pytest.mark.parametrize("more", [(), ("--json",), ("--wait", "--timeout", "1", "--json")])
def test_a_full_stdout_does_not_make_a_sent_transfer_refused(node: RunningNode, more: tuple[str, ...]) -> None:
    with FULL.open("wb") as full:
        done = onto(full, *send(node, *more))
    assert done.returncode == 3, done.stderr
    assert f"Transfer {new(node)[0]} was accepted" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_has_gone_does_not_make_a_sent_transfer_refused(node: RunningNode) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = onto(write, *send(node))
    finally:
        os.close(write)
    assert done.returncode == 3, done.stderr
    assert f"Transfer {new(node)[0]} was accepted" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_is_nobody_who_reads(node: RunningNode) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *MONEYER, *send(node)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(new(node)) == 1


@needs_full
def test_what_was_made_is_never_said_to_be_refused(tmp_path: Path) -> None:
    """Each of these changes something, and cannot say so."""
    data = tmp_path / "data"
    with own_node(data) as node:
        bob = key("bob").address(node.coin)
        changes = (
            ("wallet", "contact", "ben", bob),
            ("wallet", "rename", "bob", "rob"),
            ("token", "--renew"),
            ("mining", "continuous"),
            ("db", "backup", tmp_path / "copy.db"),
        )
        for change in changes:
            with FULL.open("wb") as full:
                done = onto(full, *change, "--data", data)
            assert done.returncode == 4, (change, done.stderr)
            assert done.stderr.splitlines()[-1].startswith("moneyer: No space left on device. "), change
        for look in (("status",), ("balance",), ("wallet", "list"), ("mining",)):
            with FULL.open("wb") as full:
                done = onto(full, *look, "--data", data)
            assert (done.returncode, done.stderr) == (1, "moneyer: No space left on device\n"), look
        assert node.get("/v1/mining").json["mode"] == "continuous"


def test_a_connection_that_breaks_behind_the_request_is_unknown(node: RunningNode) -> None:
    def swallow_the_answer(request: bytes, forward: Callable[[], None]) -> bool:
        if request.startswith(b"GET"):
            return True
        forward()
        return False

    with in_front(node, swallow_the_answer) as url:
        done = moneyer(*send(node, "--json", url=url))
        assert done.returncode == 4, done.stderr
        report = json.loads(done.stdout)
        assert report["status"] == "unknown"
        assert new(node) == [report["txid"]]
        assert f"moneyer tx {report['txid']} --data" in done.stderr
        assert "is it a node, and not just ending? Transfer " in done.stderr
        assert told_doubt(done.stderr) == 1, done.stderr


def told_doubt(said: str) -> int:
    """How often a text says that something may have been done."""
    return said.count(" may have been ")


def test_a_write_that_may_have_come_to_the_disk_is_unknown_and_the_doubt_is_told_once(node: RunningNode) -> None:
    said = json.dumps({"error": {"code": "storage_failed", "message": "the disk is full.", "details": {}}}).encode()
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Length: {len(said)}\r\n\r\n".encode()
    with in_front(node, breaks_posts, instead=head + said) as url:
        done = moneyer(*send(node, "--json", url=url))
    assert done.returncode == 4, done.stderr
    txid = json.loads(done.stdout)["txid"]
    assert done.stderr.startswith(f"moneyer: the disk is full. Transfer {txid} may have been taken: `moneyer tx ")
    assert told_doubt(done.stderr) == 1, done.stderr


def test_a_change_without_an_answer_is_unknown_for_every_command(node: RunningNode) -> None:
    with in_front(node, breaks_posts) as url:
        for change in (("mining", "continuous"), ("peers", "--add", node.url), ("peers", "--remove", "1.2.3.4:5001")):
            done = moneyer(*change, "--json", "--node", url)
            assert done.returncode == 4, (change, done.stderr)
            assert done.stdout == ""
            assert f"moneyer {change[0]}" in done.stderr
            assert told_doubt(done.stderr) == 1, done.stderr


@pytest.mark.parametrize("amount", ["abc", "-1", "1.0000001", ""])
def test_an_amount_that_is_none_is_usage_however_it_is_wrong(node: RunningNode, amount: str) -> None:
    assert "amount" in refusal(moneyer(*send(node, amount=amount)), 2)
    assert new(node) == []


@pytest.mark.parametrize(
    "command",
    [
        ("mining", "sometimes"),
        ("up", "--mode", "sometimes"),
        ("worker", "--data", "here", "--mode", "sometimes"),
        ("worker", "--data", "here", "--limit", "200%"),
        ("worker", "--data", "here", "--engine", "warp"),
        ("status", "--node", "http://"),
        ("send", "alice", "bob", "1", "--idempotency", ""),
        ("send", "alice", "bob", "1", "--memo", "m" * 141, "--data", "here"),
    ],
)
def test_an_option_that_can_never_be_right_is_usage(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    refusal(moneyer(*command, cwd=tmp_path), 2)


def test_with_json_a_contact_is_a_document_too(tmp_path: Path) -> None:
    with own_node(tmp_path / "data") as node:
        bob = key("bob").address(node.coin)
        made = moneyer("wallet", "contact", "ben", bob, "--json", "--data", tmp_path / "data")
        assert json.loads(made.stdout) == {"contacts": {"ben": bob}}
        gone = moneyer("wallet", "contact", "ben", "--remove", "--json", "--data", tmp_path / "data")
        assert json.loads(gone.stdout) == {"removed": {"ben": bob}}


# --idempotency


def repeat(node: RunningNode, *more: str, amount: str = "10", name: str = "invoice 1417") -> dict[str, Any]:
    done = moneyer(*send(node, "--json", "--idempotency", name, *more, amount=amount))
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_payment_with_a_key_is_made_once_however_often_it_is_asked_for(own: RunningNode) -> None:
    """Its repeat needs no funds: 900 of 1000 are spoken for by then."""
    first = repeat(own, amount="900")
    assert "are missing" in refusal(moneyer(*send(own, amount="900")))
    assert repeat(own, amount="900") == first
    own.extend(transfers=[codec.decode_spend(own.get("/p2p/mempool").body)])
    assert repeat(own, "--wait", amount="900")["status"] == "confirmed"
    assert own.get(f"/v1/accounts/{first['receiver']}").json["balance"] == RICH + 900_000_000
    assert own.get(f"/v1/accounts/{first['sender']}").json["sequence"] == 1


def test_a_key_that_was_used_for_another_payment_is_refused(node: RunningNode) -> None:
    first = repeat(node, name="other")
    for other in (send(node, amount="11"), send(node, "--memo", "another")):
        said = refusal(moneyer(*other, "--idempotency", "other"))
        assert first["txid"] in said
        assert "Nothing was sent" in said
    assert len(new(node)) == 1


@pytest.mark.parametrize("reaches_the_node", [False, True])
def test_a_command_that_is_killed_between_signing_and_the_answer_pays_once(
    node: RunningNode, reaches_the_node: bool
) -> None:
    asked, killed, bodies = threading.Event(), threading.Event(), list[str]()

    def hold(request: bytes, forward: Callable[[], None]) -> bool:
        if request.startswith(b"GET"):
            return True
        bodies.append(json.loads(request.partition(b"\r\n\r\n")[2])["raw"])
        if reaches_the_node:
            forward()
        asked.set()
        killed.wait(60)
        return False

    with in_front(node, hold) as url:
        name = f"killed {reaches_the_node}"
        process = start(*send(node, "--idempotency", name, url=url))
        assert asked.wait(60)
        process.kill()
        process.communicate(timeout=END_SECONDS)
        killed.set()
    report = repeat(node, name=name)
    assert new(node) == [report["txid"]]
    assert bodies[0] in node.get("/p2p/mempool").body.hex()


def test_many_at_once_with_one_key_are_one_payment(node: RunningNode) -> None:
    racers = [start(*send(node, "--json", "--idempotency", "once")) for _ in range(4)]
    said = [racer.communicate(timeout=90) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4, said
    assert {json.loads(out)["txid"] for out, _ in said} == {new(node)[0]}
    assert len(new(node)) == 1


def test_what_can_be_taken_no_more_is_not_signed_anew_under_its_key(node: RunningNode) -> None:
    """A second transfer under one key could be paid beside the first, where that turns up again."""
    with in_front(node, breaks_posts) as url:
        assert moneyer(*send(node, "--idempotency", "late", url=url)).returncode == 4
    assert moneyer(*send(node, amount="3")).returncode == 0
    said = refusal(moneyer(*send(node, "--idempotency", "late")))
    assert "another transfer of the same sender came first" in said
    assert len(new(node)) == 1


def test_a_damaged_record_is_no_new_key(node: RunningNode) -> None:
    before = set((node.config.data / "sent").glob("*"))
    repeat(node, name="damaged")
    (record,) = set((node.config.data / "sent").iterdir()) - before
    record.write_bytes(record.read_bytes()[:40])
    assert "is damaged" in refusal(moneyer(*send(node, "--idempotency", "damaged")))
    assert len(new(node)) == 1


def test_a_key_that_cannot_be_kept_sends_nothing(node: RunningNode) -> None:
    said = refusal(moneyer(*send(node, "--idempotency", "no room"), first=no_room))
    assert "too large" in said.lower()
    assert new(node) == []
