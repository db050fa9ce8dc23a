"""An SVG document, stroke by stroke. Colours and texts go into attributes, so no style sheet is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from ....system.text import shown

INK: Final = "#1d2530"
QUIET: Final = "#5d6874"
FAINT: Final = "#d5dbe1"
PAPER: Final = "#ffffff"
COLOURS: Final = ("#1c5bb0", "#b3560f", "#1a7a4c", "#9a2f7f", "#5b4bb5", "#0f7480", "#7d5f00", "#a32b3a")
"""Those of tips on the pages (`--c0` to `--c7` of `node/web/static/app.css`): white text on them can be read."""
DASHES: Final = ("", "7 4", "2 3", "9 3 2 3")
"""Of lines: the first is unbroken."""

_LETTER: Final = 0.6
"""A letter's width by its size: more than usual fonts need."""

_DOCUMENT: Final = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    'role="img" font-family="system-ui, sans-serif">\n<title>{title}</title>\n'
    '<rect width="100%" height="100%" fill="{paper}"/>\n{strokes}\n</svg>\n'
)


def width_of(text: str, size: float) -> float:
    """Pixels that a text takes at most."""
    return len(text) * size * _LETTER


class Canvas:
    """What has been drawn so far; what comes later lies above. Lengths are pixels, y grows downwards."""

    def __init__(self) -> None:
        self._strokes: list[Markup] = []

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = INK, *, width: float = 1.5, dashes: str = ""
    ) -> None:
        """A line through points, with round corners."""
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._add(
            '<path d="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linejoin="round"{}/>',
            path,
            colour,
            f"{width:g}",
            _dashed(dashes),
        )

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        *,
        fill: str = PAPER,
        border: str = INK,
        dashes: str = "",
        corner: float = 5,
        title: str = "",
    ) -> None:
        """A rectangle. `title`: what a browser shows when it is pointed at."""
        self._add(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{:g}" fill="{}" stroke="{}"{}>{}</rect>',
            left,
            top,
            width,
            height,
            corner,
            fill,
            border,
            _dashed(dashes),
            Markup("<title>{}</title>").format(shown(title)) if title else "",
        )

    def dot(self, x: float, y: float, radius: float, colour: str, *, is_hollow: bool = False) -> None:
        self._add(
            '<circle cx="{:.1f}" cy="{:.1f}" r="{:g}" fill="{}" stroke="{}" stroke-width="1.5"/>',
            x,
            y,
            radius,
            PAPER if is_hollow else colour,
            colour,
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = INK,
        size: float = 13,
        anchor: str = "start",
        is_bold: bool = False,
        is_upright: bool = False,
    ) -> None:
        """`x` is its start, middle or end (`anchor`), `y` its middle. `is_upright`: it runs from below to above."""
        self._add(
            '<text x="{0:.1f}" y="{1:.1f}" font-size="{2:g}" fill="{3}" text-anchor="{4}" '
            'dominant-baseline="central"{5}{6}>{7}</text>',
            x,
            y,
            size,
            colour,
            anchor,
            Markup(' font-weight="700"') if is_bold else "",
            Markup(' transform="rotate(-90 {:.1f} {:.1f})"').format(x, y) if is_upright else "",
            shown(text),
        )

    def document(self, width: float, height: float, title: str) -> str:
        """The whole as an SVG document; `title` says what it shows, for those who cannot see it."""
        return str(
            _DOCUMENT.format(
                width=round(width),
                height=round(height),
                title=shown(title),
                paper=PAPER,
                strokes=Markup("\n").join(self._strokes),
            )
        )

    def _add(self, form: str, *values: object) -> None:
        self._strokes.append(Markup(form).format(*values))  # noqa: S704 - forms are this file's; values are escaped


def _dashed(dashes: str) -> Markup:
    return Markup(' stroke-dasharray="{}"').format(dashes) if dashes else Markup("")
