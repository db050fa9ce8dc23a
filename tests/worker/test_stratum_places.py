"""Who holds the server's places: a share an address, and those that bring no shares make room."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.worker.reports import Sparing
from tests.kit.chains import easy_coin
from tests.kit.mining.miners import Miner
from tests.kit.mining.stratum import Stratum, serving
from tests.kit.mining.workers import HOPELESS
from tests.kit.waiting import wait_until

COIN = easy_coin(pow_limit=HOPELESS)
EASY_SHARES = ("--difficulty", "0.000001")


def flood(server: Stratum, stack: ExitStack, source: str, count: int) -> None:
    """So many connections that authorize and never bring a share."""
    for number in range(count):
        stack.enter_context(server.started(f"miner.idle{number}", source=source))


def is_served(miner: Miner) -> bool:
    return miner.submit(miner.search(miner.jobs[-1], extranonce2=len(miner.jobs))) is True


@pytest.mark.parametrize("hostile", [["127.0.0.66"], ["127.0.0.66", "127.0.0.67", "127.0.0.68", "127.0.0.69"]])
def test_idle_connections_from_a_few_addresses_keep_no_miner_out(tmp_path: Path, hostile: list[str]) -> None:
    """A hundred and more at a server of twenty: one address has five places, four of them all."""
    with serving(tmp_path / "node", COIN, "--max-connections", "20", *EASY_SHARES) as (_, server), ExitStack() as stack:
        first = stack.enter_context(server.started(source="127.0.0.2"))
        assert is_served(first)
        for _ in range(3):
            for source in hostile:
                flood(server, stack, source, 40 // len(hostile))
        late = stack.enter_context(server.started(source="127.0.0.3"))
        assert is_served(late)
        flood(server, stack, hostile[-1], 30)
        assert first.call("mining.ping", []) is True
        assert late.call("mining.ping", []) is True
        assert server.log.count("mines here") < 60
        assert server.log.count("made room") < 20


def test_an_address_that_is_full_makes_room_among_its_own_and_only_among_the_idle(tmp_path: Path) -> None:
    with serving(tmp_path / "node", COIN, "--max-connections", "16", *EASY_SHARES) as (_, server), ExitStack() as stack:
        idle_elsewhere = stack.enter_context(server.started(source="127.0.0.2"))
        own = [stack.enter_context(server.started()) for _ in range(4)]
        for miner in own[1:]:
            assert is_served(miner)
        stack.enter_context(server.started())  # the first one's place
        with pytest.raises((EOFError, ConnectionError)):
            own[0].call("mining.ping", [])
        stack.enter_context(newest := server.started())
        assert is_served(newest)
        with pytest.raises((EOFError, ConnectionError)), server.miner() as surplus:
            surplus.subscribe()
        for miner in [idle_elsewhere, *own[1:], newest]:
            assert miner.call("mining.ping", []) is True
        assert "is not taken" in server.log


def test_a_place_is_free_again_when_its_miner_has_gone(tmp_path: Path) -> None:
    with serving(tmp_path / "node", COIN, "--max-connections", "4", *EASY_SHARES) as (_, server):
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(4):
                    assert is_served(stack.enter_context(server.started()))
            wait_until(lambda: server.status().get("connections") == 0, 20, "all of them to be gone")


def test_a_flood_of_lines_becomes_one_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = Sparing(logging.getLogger("flood"), few=3)
    for number in range(6000):
        lines.say(f"miner {number}", number / 20)  # five minutes
    lines.flush(360)
    said = [each.getMessage() for each in caplog.records]
    assert said[:3] == ["miner 0", "miner 1", "miner 2"]
    assert said[3] == "1197 more like it within a minute, the last: miner 1199"
    assert len(said) == 8
    assert sum(int(each.split()[0]) for each in said[3:]) == 5997


def test_after_a_quiet_minute_each_event_has_its_line_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = Sparing(logging.getLogger("flood"), few=2)
    for now in (0, 1, 100, 101, 300):
        lines.say(f"at {now}", now)
    assert [each.getMessage() for each in caplog.records] == ["at 0", "at 1", "at 100", "at 101", "at 300"]
