"""Draws curves on axes, as lines, dots or both: a measured table beside its formula.

Panels stand one below the other over one x axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .canvas import COLOURS, DASHES, FAINT, QUIET, Canvas, width_of

_LEFT: Final = 84
_RIGHT: Final = 28
_TITLE: Final = 46
_WIDTH: Final = 560
_HEIGHT: Final = 250
_PANEL_GAP: Final = 34
_TICKS: Final = 5
"""About as many on an axis."""
_ROW: Final = 22


@dataclass(frozen=True, slots=True)
class Series:
    """Points in the units of the axes, x rising."""

    name: str
    points: Sequence[tuple[float, float]]
    has_line: bool = True
    has_dots: bool = False
    is_stepped: bool = False
    """Whether a value holds until the next point."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves on one y axis."""

    y_label: str
    series: Sequence[Series]
    is_percent: bool = False
    """y is a share, written as a percentage."""
    is_log: bool = False
    """y grows tenfold from line to line; values of 0 and less are left out."""


def curve_picture(title: str, x_label: str, panels: Sequence[Panel], *, x_is_percent: bool = False) -> str:
    """The SVG document; every panel has a point at least."""
    xs = [x for panel in panels for series in panel.series for x, _ in series.points]
    across = _Axis(min(xs), max(xs), x_is_percent, is_tight=True)
    canvas = Canvas()
    canvas.text(24, _TITLE / 2, title, size=16, is_bold=True)
    top, colour, rows = float(_TITLE), 0, []
    for panel in panels:
        _draw_panel(canvas, panel, across, top, colour)
        rows += [(series, colour + number) for number, series in enumerate(panel.series)]
        colour += len(panel.series)
        top += _HEIGHT + _PANEL_GAP
    top -= _PANEL_GAP
    for value in across.ticks:
        canvas.text(_x(across, value), top + 14, across.label(value), size=12, colour=QUIET, anchor="middle")
    canvas.text(_LEFT + _WIDTH / 2, top + 36, x_label, size=13, anchor="middle")
    top += 62
    for series, number in rows:
        _draw_sample(canvas, series, number, top)
        canvas.text(_LEFT + 44, top, series.name, size=13)
        top += _ROW
    longest = max((width_of(series.name, 13) for series, _ in rows), default=0)
    width = max(_LEFT + _WIDTH + _RIGHT, 48 + width_of(title, 16), _LEFT + 44 + longest + _RIGHT)
    return canvas.document(width, top + 4, title)


class _Axis:
    """From the lowest to the highest value, and the round values between that are written."""

    def __init__(
        self, low: float, high: float, is_percent: bool, *, is_log: bool = False, is_tight: bool = False
    ) -> None:
        self.is_log, self._is_percent = is_log, is_percent
        if is_log:
            self.low, self.high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
            if self.low == self.high:
                self.high *= 10
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            self.ticks = [10.0**power for power in range(first, last + 1, max(1, (last - first) // 6))]
            return
        if high == low:
            low, high = (min(0.0, low), high) if high else (0.0, 1.0)
        step = _round_step((high - low) / _TICKS)
        if is_tight:
            self.low, self.high = low, high
        else:
            self.low, self.high = math.floor(low / step) * step, math.ceil(high / step) * step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        self.ticks = [number * step for number in range(first, last + 1)]

    def part(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def label(self, value: float) -> str:
        return f"{value * 100:.6g} %" if self._is_percent else f"{value:,.6g}"


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 10.0 ** math.floor(math.log10(least))
    return power * next(step for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _x(across: _Axis, value: float) -> float:
    return _LEFT + across.part(value) * _WIDTH


def _draw_panel(canvas: Canvas, panel: Panel, across: _Axis, top: float, colour: int) -> None:
    values = [y for series in panel.series for _, y in series.points if y > 0 or not panel.is_log]
    lowest = min(values)
    up = _Axis(lowest if panel.is_log else min(0.0, lowest), max(values), panel.is_percent, is_log=panel.is_log)

    def y_of(value: float) -> float:
        return top + (1 - up.part(value)) * _HEIGHT

    for value in up.ticks:
        canvas.line([(_LEFT, y_of(value)), (_LEFT + _WIDTH, y_of(value))], FAINT, width=1)
        canvas.text(_LEFT - 10, y_of(value), up.label(value), size=12, colour=QUIET, anchor="end")
    for value in across.ticks:
        canvas.line([(_x(across, value), top), (_x(across, value), top + _HEIGHT)], FAINT, width=1)
    canvas.line([(_LEFT, top), (_LEFT, top + _HEIGHT), (_LEFT + _WIDTH, top + _HEIGHT)], QUIET, width=1)
    canvas.text(18, top + _HEIGHT / 2, panel.y_label, size=13, anchor="middle", is_upright=True)
    for number, series in enumerate(panel.series, colour):
        spots = [(_x(across, x), y_of(y)) for x, y in series.points if y > 0 or not panel.is_log]
        _draw_series(canvas, series, number, spots)


def _draw_series(canvas: Canvas, series: Series, number: int, spots: Sequence[tuple[float, float]]) -> None:
    colour = COLOURS[number % len(COLOURS)]
    if series.has_line and len(spots) > 1:
        path = list(spots[:1])
        for before, spot in pairwise(spots):
            if series.is_stepped:
                path.append((spot[0], before[1]))
            path.append(spot)
        canvas.line(path, colour, width=2, dashes=DASHES[number % len(DASHES)])
    if series.has_dots or len(spots) == 1:
        for x, y in spots:
            canvas.dot(x, y, 4, colour, is_hollow=number % 2 == 1)


def _draw_sample(canvas: Canvas, series: Series, number: int, y: float) -> None:
    """In the legend: a piece of its line, and a dot."""
    ends = [(_LEFT, y), (_LEFT + 32, y)]
    if series.has_line:
        canvas.line(ends, COLOURS[number % len(COLOURS)], width=2, dashes=DASHES[number % len(DASHES)])
    if series.has_dots:
        canvas.dot(_LEFT + 16, y, 4, COLOURS[number % len(COLOURS)], is_hollow=number % 2 == 1)
