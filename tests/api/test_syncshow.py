"""What a person sees of a sync: lines of the log, or a bar."""

from __future__ import annotations

import io
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from moneyer.node.api.sync_console import SyncShow, line_of
from moneyer.node.p2p.sync.progress import SyncMeter, SyncProgress
from tests.kit.system.terminals import shown_on
from tests.kit.waiting import wait_until


@pytest.fixture
def meter() -> Iterator[SyncMeter]:
    meter = SyncMeter()
    yield meter
    meter.end()


def half_way(meter: SyncMeter) -> None:
    meter.begin(0, 5000)
    meter.headers(5000)
    meter.planned(1, 5000, is_all=True)
    meter.connected(2500, 2500, 100, 3)


def test_a_sync_is_told_in_lines_of_the_log(meter: SyncMeter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "moneyer.sync")
    SyncShow(meter, bar=False, line_seconds=0.05, short_seconds=0).start()
    half_way(meter)
    wait_until(lambda: "blocks 2,500 of 5,000" in caplog.text)
    assert "3 peers" in caplog.text
    meter.end()
    wait_until(lambda: "a sync has ended at block 2500" in caplog.text)


def test_on_a_terminal_a_bar_is_drawn_below_the_log(meter: SyncMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    log = logging.getLogger("moneyer.sync")
    before = io.StringIO()
    handler = logging.StreamHandler(before)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    master, slave = os.openpty()
    screen = Screen(master)
    with os.fdopen(slave, "w") as terminal:
        SyncShow(meter, bar=True, stream=terminal, short_seconds=0).start()
        half_way(meter)
        wait_until(lambda: "2500/5000" in screen.text and "3 peers" in screen.text)
        log.warning("a line of the log")
        wait_until(lambda: "a line of the log" in screen.text)
        meter.end()
        wait_until(lambda: handler.stream is before)


class Screen:
    """What was written to a terminal."""

    def __init__(self, master: int) -> None:
        self.text = ""
        self._master = master
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for part in shown_on(self._master):
            self.text += part


def test_a_short_sync_is_not_worth_a_word(meter: SyncMeter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "moneyer.sync")
    show = SyncShow(meter, bar=False, short_seconds=30)
    show.start()
    half_way(meter)
    meter.end()
    # At once: a show that still looked at the first must see that it is over, though another runs.
    show.short_seconds = 0
    meter.begin(7, 9)
    wait_until(lambda: "of 9" in caplog.text)
    assert "5,000" not in caplog.text


def test_headers_are_named_while_no_block_has_come() -> None:
    assert line_of(SyncProgress(2000, 9000, 0)).startswith("headers 2,000 of 9,000")
    assert line_of(SyncProgress(9000, 9000, 10, 5.0, 0.0, 1)).startswith("blocks 10 of 9,000 · 5 blocks/s · 1 peer")


def test_rates_are_of_the_last_seconds() -> None:
    meter = SyncMeter()
    half_way(meter)
    progress = meter.progress
    assert progress is not None
    assert progress.blocks_per_second == pytest.approx(25 * progress.transfers_per_second, rel=0.01)
    assert (progress.connected_height, progress.headers_height, progress.target_height) == (2500, 5000, 5000)
