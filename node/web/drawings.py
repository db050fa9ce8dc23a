"""Small pictures drawn on the server, as SVG that reads without JavaScript: a line beside its number."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 160
HEIGHT: Final = 40
_EDGE: Final = 2.0
"""Left free above and below, for the line's width."""


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
