"""Shows a sync that takes longer than a moment: a bar on a terminal, else lines of the log."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from ..p2p.sync.progress import SyncMeter, SyncProgress

if TYPE_CHECKING:
    from rich.progress import Progress

SHORT_SECONDS: Final = 1.0
"""A sync that is over by then is not shown."""
_BAR_SECONDS: Final = 0.25
_LINE_SECONDS: Final = 10.0

log = logging.getLogger("moneyer.sync")


class SyncShow:
    """A thread that sleeps until `meter` says that a sync runs. `bar`: on `stream`, in place of lines of the log."""

    def __init__(
        self,
        meter: SyncMeter,
        *,
        bar: bool,
        stream: TextIO | None = None,
        line_seconds: float = _LINE_SECONDS,
        short_seconds: float = SHORT_SECONDS,
    ):
        self.short_seconds = short_seconds
        """A sync that is over by then is not shown."""
        self._meter = meter
        self._bar = bar
        self._stream = stream or sys.stderr
        self._line_seconds = line_seconds
        self._thread = threading.Thread(target=self._run, name="sync show", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while True:
            number = self._meter.wait_for_one()
            started = time.monotonic()
            if self._meter.wait_for_end(number, self.short_seconds):
                continue
            if self._bar:
                self._draw(number)
            else:
                self._tell(number)
            if last := self._meter.last:
                seconds = round(time.monotonic() - started)
                log.info("a sync has ended at block %d after %d s", last.connected_height, seconds)

    def _tell(self, number: int) -> None:
        """A line every few seconds until the sync is over."""
        while (now := self._meter.of(number)) is not None:
            log.info("%s", line_of(now))
            self._meter.wait_for_end(number, self._line_seconds)

    def _draw(self, number: int) -> None:
        """A bar that is moved until the sync is over."""
        with _new_bar(self._stream) as bar, _lines_above_it():
            task = bar.add_task("", total=None, rates="")
            while (now := self._meter.of(number)) is not None:
                bar.update(task, total=now.target_height, completed=_shown_height(now))
                bar.update(task, description=_stage(now), rates=rates_of(now))
                bar.refresh()
                self._meter.wait_for_end(number, _BAR_SECONDS)


def line_of(now: SyncProgress) -> str:
    """A sync's progress as a line of the log."""
    return f"{_stage(now)} {_shown_height(now):,} of {now.target_height:,} · {rates_of(now)}"


def rates_of(now: SyncProgress) -> str:
    """How fast, and from how many."""
    transfers = f" · {now.transfers_per_second:,.0f} transfers/s" if now.transfers_per_second else ""
    peers = "1 peer" if now.peers == 1 else f"{now.peers} peers"
    return f"{now.blocks_per_second:,.0f} blocks/s{transfers} · {peers}"


def _stage(now: SyncProgress) -> str:
    return "headers" if _is_at_headers(now) else "blocks"


def _shown_height(now: SyncProgress) -> int:
    return now.headers_height if _is_at_headers(now) else now.connected_height


def _is_at_headers(now: SyncProgress) -> bool:
    return now.blocks_per_second == 0 and now.connected_height < now.headers_height < now.target_height


@contextmanager
def _lines_above_it() -> Iterator[None]:
    """While a bar is drawn, sys.stderr is rich's, which puts what is written there above the bar: the log too."""
    handlers = [each for each in logging.getLogger().handlers if type(each) is logging.StreamHandler]
    streams = [each.setStream(sys.stderr) for each in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)


def _new_bar(stream: TextIO) -> Progress:
    # Here, not above: a node that is told nothing of a terminal needs no rich.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rates]}"),
        TimeRemainingColumn(),
        console=Console(file=stream),
        auto_refresh=False,  # no thread of its own
        transient=True,
    )
