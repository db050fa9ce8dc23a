"""The log: one line an event, whatever stands in it; nothing secret; for people or for programs."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.system import logs
from moneyer.node.system.locks import is_held
from moneyer.node.system.text import is_visible
from tests.kit.running import ALICE, BOB, running
from tests.kit.system import warm
from tests.kit.waiting import END_SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[1]
ODD = "two\nlines\rand \x1b[31mred\x1b[0m \u2028 \udcff \x00 \x9b2J \u202e \u061c \u200b \ufeff \U000e0041 \u3164"


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging as it was, behind the test."""
    root, ours = logging.getLogger(), logging.getLogger(logs.ROOT)
    handlers, level, our_level, raises = root.handlers[:], root.level, ours.level, logging.raiseExceptions
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.raiseExceptions = raises


class Flood:
    """A logger of its own: `lines` are what it has said, at most three of a kind in a minute of `now`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.addFilter(logs.Floods(handler, most=3, clock=lambda: self.now))
        self.log = logging.Logger("moneyer.flood", logging.DEBUG)
        self.log.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    def peers(self, *numbers: int) -> None:
        for number in numbers:
            self.log.info("peer %d: gone", number)


@pytest.mark.parametrize("as_json", [False, True])
def test_an_event_is_one_line_whatever_stands_in_it(restored: None, as_json: bool) -> None:
    stream = io.StringIO()
    logs.configure("info", as_json, stream)
    log = logging.getLogger("moneyer.test")
    log.info("%s", ODD)
    try:
        raise ValueError(ODD)
    except ValueError as error:
        log.error("it failed", exc_info=error)
    first, second = stream.getvalue().removesuffix("\n").split("\n")
    assert is_visible(first)
    assert is_visible(second)
    if as_json:
        plain, traced = json.loads(first), json.loads(second)
        assert (plain["level"], plain["area"]) == ("info", "test")
        assert plain["message"] == ODD.replace("\udcff", "?")
        assert "Traceback" in traced["trace"]
    else:
        assert first.isprintable()
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ test: two\\nlines", first)
        assert " test: error: it failed · Traceback" in second


def test_levels_are_kept_and_others_libraries_are_quiet(restored: None) -> None:
    stream = io.StringIO()
    logs.configure("warning", False, stream)
    logging.getLogger("moneyer.test").info("not worth it")
    logging.getLogger("urllib3").info("chatter")
    logging.getLogger("moneyer.test").warning("worth it")
    assert [line.partition(" ")[2] for line in stream.getvalue().splitlines()] == ["test: warning: worth it"]


def test_of_a_flood_a_few_lines_are_said_and_how_many_more_there_were() -> None:
    flood = Flood()
    flood.peers(*range(9))
    flood.log.info("another kind")
    flood.now = 59.9
    flood.peers(9)
    assert flood.lines == ["peer 0: gone", "peer 1: gone", "peer 2: gone", "another kind"]
    flood.now = 60.0
    flood.peers(*range(10, 15))
    assert flood.lines[4:] == [
        "7 more like it within a minute, the last: peer 9: gone",
        *("peer 10: gone", "peer 11: gone", "peer 12: gone"),
    ]


def test_what_was_held_back_is_told_also_where_nothing_comes_after_it() -> None:
    flood = Flood()
    flood.peers(*range(3))
    flood.now = 59.9
    flood.peers(3)
    wait_until(lambda: flood.lines[3:] == ["1 more like it within a minute, the last: peer 3: gone"], 20, "the line")


def test_whoever_asks_for_debug_has_every_line() -> None:
    flood = Flood()
    for number in range(9):
        flood.log.debug("GET /v1/blocks %d", number)
    assert len(flood.lines) == 9


def test_a_url_is_logged_without_its_password() -> None:
    assert logs.plain_url("http://me:secret@host:5001") == "http://…@host:5001"
    assert logs.plain_url("http://me:se/cr@et@host") == "http://…@host"
    assert len(logs.plain_url("x" * 5_000)) == 200


def lines_of(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_node_speaks_json_when_told(tmp_path: Path) -> None:
    with running(tmp_path / "node", log_json=True) as node:
        begin = lines_of(node.log)
        assert [line["level"] for line in begin] == ["info"]
        assert node.url in begin[0]["message"]
    assert all({"time", "level", "area", "message"} <= line.keys() for line in lines_of(node.log))


def test_requests_stand_in_the_log_at_debug_only(tmp_path: Path) -> None:
    with running(tmp_path / "loud", log_level="debug") as loud:
        loud.get("/v1/blocks?limit=3")
        loud.get("/nowhere%0a2026-01-01T00:00:00Z%20api:%20forged")
        wait_until(lambda: "nowhere" in loud.log, 20, "the line")
        (line,) = [line for line in loud.log.splitlines() if "/v1/blocks" in line]
        assert re.search(r" api: debug: GET /v1/blocks 200, \d+\.\d ms, for 127\.0\.0\.1$", line)
        assert not any(line.endswith("forged") or line.startswith("2026-01-01") for line in loud.log.splitlines())
    with running(tmp_path / "quiet") as quiet:
        quiet.get("/v1/blocks")
    assert "/v1/blocks" not in quiet.log


def test_no_secret_is_in_any_log(tmp_path: Path) -> None:
    with running(
        tmp_path / "node", development=False, log_level="debug", peers=("http://me:hush@127.0.0.1:1",)
    ) as node:
        token = node.token
        transfer = {"sender": ALICE.address(node.coin), "receiver": BOB.address(node.coin), "amount": 1}
        node.post("/add_transaction", transfer, node.bearer)
        node.post("/add_transaction", transfer, {"Authorization": "Bearer wrong-and-secret"})
        node.post("/add_transaction?token=" + token, transfer)
        wait_until(lambda: "is not taken" in node.log, 20, "the peer to be refused")
        secrets = json.loads(node.config.wallet_file.read_text("utf-8"))["secrets"]
    for secret in (token, "wrong-and-secret", "hush", secrets["phrase"], *secrets["keys"].values()):
        assert len(secret) >= 4
        assert secret not in node.log


def test_a_worker_logs_in_the_same_way(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with running(tmp_path / "node") as node, log.open("wb") as output:
        process = warm.Popen(
            [sys.executable, "-m", "moneyer.worker", "--data", str(node.config.data), "--log-json"],
            stderr=output,
            cwd=ROOT,
        )
        try:
            wait_until(lambda: is_held(node.config.worker_lock), 60, "the worker to live")
            assert node.call("GET", "/mine_block").status == 200
            # The node has the block before the worker says so, and one that is told to end may say no more.
            wait_until(lambda: "mined block 1" in log.read_text("utf-8"), 20, "the line")
        finally:
            process.terminate()
            process.wait(END_SECONDS)
    lines = lines_of(log.read_text("utf-8"))
    assert {line["area"] for line in lines} == {"worker"}
    assert any("mined block 1" in line["message"] for line in lines)


@pytest.mark.parametrize("command", ["node", "worker"])
def test_the_command_line_knows_the_options(command: str) -> None:
    said = warm.run(
        [sys.executable, "-m", "moneyer", command, "--help"], capture_output=True, text=True, cwd=ROOT, timeout=60
    ).stdout
    assert "--log-json" in said
    assert "--log-level" in said
    refused = warm.run(
        [sys.executable, "-m", "moneyer", command, "--data", "x", "--log-level", "loud"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert refused.returncode == 2
    assert "--log-level must be debug, info, warning or error" in refused.stderr
