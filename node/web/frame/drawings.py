"""Small pictures drawn on the server, as SVG that reads without JavaScript: a line beside its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Protocol

from markupsafe import Markup, escape

WIDTH: Final = 160
HEIGHT: Final = 40
_GAP: Final = 60
"""From a level of a tree to the next."""
_BOX: Final = 190
_COLUMNS: Final = (110, 330)
"""Middles of the left and the right box of a pair."""
_MIDDLE: Final = 220
_CHART_WIDTH: Final = 720
_CHART_HEIGHT: Final = 220
_EDGE: Final = 2.0
"""Left free above and below, for the line's width."""


class ProofLevel(Protocol):
    """A pair of hashes of a Merkle tree, as shown; which of the two is on the way."""

    @property
    def left(self) -> str: ...
    @property
    def right(self) -> str: ...
    @property
    def is_right(self) -> bool: ...


def sparkline(values: Sequence[float], about: str, aim: float | None = None) -> Markup:
    """A line through `values`, the oldest first, scaled to fit; `aim`: a dashed line at that value.

    `about`: what it shows, for those who cannot see it.
    """
    if len(values) < 2:
        return Markup('<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true"></svg>').format(WIDTH, HEIGHT)
    low, high = min(values), max(values)
    if aim is not None:
        low, high = min(low, aim), max(high, aim)
    step, room = WIDTH / (len(values) - 1), HEIGHT - 2 * _EDGE

    def y(value: float) -> float:
        return HEIGHT / 2 if high == low else HEIGHT - _EDGE - (value - low) / (high - low) * room

    points = " ".join(f"{i * step:.1f},{y(value):.1f}" for i, value in enumerate(values))
    line = "" if aim is None else Markup('<path class="aim" d="M0,{0:.1f}H{1}"/>').format(y(aim), WIDTH)
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{about}">'
        '<polygon class="area" points="0,{h} {points} {w},{h}"/>{line}<polyline points="{points}"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, about=escape(about), points=points, line=line)


def qr_code(text: str, about: str) -> Markup:
    """A QR code as SVG, dark on light in either theme, as cameras want it. `about`: what it holds, in words."""
    import segno  # where no code is shown, it is not loaded

    out = BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(out, kind="svg", xmldecl=False, svgns=True, nl=False, omitsize=True, border=3, light="#fff", title=about)
    svg = Markup(out.getvalue().decode())  # noqa: S704 - made by segno, which escapes the title
    return Markup('<span class="qr" role="img" aria-label="{}">{}</span>').format(about, svg)


def merkle_proof(levels: Sequence[ProofLevel], root: str) -> Markup:
    """A Merkle proof as the tree that it is: the transaction below, the root above, beside each step its sibling.

    What is on the way is marked; the hash of each pair, joined by lines, stands in the box above it.
    """
    boxes, lines = [], []
    bottom = _GAP * len(levels)

    def box(column: float, row: int, text: str, kind: str) -> None:
        x, y = column - _BOX / 2, bottom - row * _GAP
        boxes.append(
            Markup('<g class="{}"><rect x="{}" y="{}" width="{}" height="30" rx="6"/>').format(kind, x, y, _BOX)
            + Markup('<text x="{}" y="{}">{}</text><title>{}</title></g>').format(column, y + 20, _cut(text), text)
        )

    for row, level in enumerate(levels):
        above = _MIDDLE if row + 1 == len(levels) else _COLUMNS[levels[row + 1].is_right]
        for side, text in enumerate((level.left, level.right)):
            is_way = side == level.is_right
            kind = "leaf way" if is_way and row == 0 else "way" if is_way else "sibling"
            box(_COLUMNS[side], row, text, kind)
            y = bottom - row * _GAP
            lines.append(
                Markup('<path class="{}" d="M{} {}C{} {},{} {},{} {}"/>').format(
                    "way" if is_way else "", _COLUMNS[side], y, _COLUMNS[side], y - 22, above, y - 8, above, y - 30
                )
            )
    box(_MIDDLE, len(levels), root, "way root")
    about = (
        f"The transaction's txid, hashed with {len(levels)} others one after the other, gives the Merkle root {root}."
    )
    return Markup('<svg class="merkle" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        2 * _MIDDLE, bottom + 32, about, Markup("").join(lines), Markup("").join(boxes)
    )


def _cut(text: str) -> str:
    return f"{text[:10]}…{text[-8:]}"


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, each (x, y) in the chart's own units, x rising. `kind`: its class in the style sheet."""

    points: Sequence[tuple[float, float]]
    kind: str
    is_stepped: bool = False
    """Whether a value holds until the next point."""


def chart(curves: Sequence[Curve], about: str, mark: tuple[float, float] | None = None) -> Markup:
    """Lines on common axes; the numbers beside them are the page's. `mark`: a dot.

    The upright axis begins at zero, or where all values lie close together a little below the lowest of them.
    """
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    if len(xs) < 2:
        return Markup("")
    left, width = min(xs), (max(xs) - min(xs)) or 1
    low, top = min(ys), max(ys) or 1
    foot = max(0, low - (top - low) / 4) if low > top / 2 else 0
    height = (top - foot) or 1

    def place(x: float, y: float) -> tuple[float, float]:
        return (x - left) / width * _CHART_WIDTH, _CHART_HEIGHT - 4 - (y - foot) / height * (_CHART_HEIGHT - 12)

    shapes = []
    for curve in curves:
        spots = [place(x, y) for x, y in curve.points]
        path = f"M{spots[0][0]:.1f} {spots[0][1]:.1f}"
        for x, y in spots[1:]:
            path += f"H{x:.1f}V{y:.1f}" if curve.is_stepped else f"L{x:.1f} {y:.1f}"
        shapes.append(Markup('<path class="{}" d="{}"/>').format(curve.kind, path))
    if mark is not None:
        # A line of no length with round ends: a dot that stays round however the chart is stretched.
        shapes.append(Markup('<path class="mark" d="M{:.1f} {:.1f}h0"/>').format(*place(*mark)))
    start = Markup(
        '<svg class="curve" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    )
    return start.format(_CHART_WIDTH, _CHART_HEIGHT, about, Markup("").join(shapes))


def line_over_time(points: Sequence[tuple[float, float]], about: str) -> Markup:
    """A value that holds until it changes, over Unix seconds."""
    return chart([Curve(points, "value", is_stepped=True)], about, mark=points[-1] if points else None)
