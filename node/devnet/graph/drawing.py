"""Draws a network as it stands: nodes in the colour of their tip, cut edges dashed and red, what is slow says so.

`draw` gives SVG, `draw_png` PNG by matplotlib (the extra `plots`). Both are drawn from one list of strokes, so that
they show the same. Names are text of strangers: SVG is made of markup that escapes all else.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from ...core.errors import MoneyerError
from ...network_file import NetPlan
from ...system.text import lettered, shown
from .graph import EdgeSpec, NetworkGraph, NodeSpec
from .placing import places

COLOURS: Final = ("#1c5bb0", "#b3560f", "#1a7a4c", "#9a2f7f", "#5b4bb5", "#0f7480", "#7d5f00", "#a32b3a")
"""Of tips: those of the pages (`--c0` to `--c7` of `node/web/static/app.css`), in which white text can be read."""
INK: Final = "#1d2530"
QUIET: Final = "#6b7683"
PAPER: Final = "#ffffff"
RED: Final = "#c62828"

_RADIUS: Final = 22
_LINK: Final = 135
"""Pixels between two linked nodes; less where they are many."""
_LEAST_LINK: Final = 64
_MARGIN: Final = 70
_TEXT: Final = 13
_ROW: Final = 24
_MOST_TIPS: Final = 8
"""Tips that have a row of the legend."""
_LONGEST_NAME: Final = 16


class NoPlots(MoneyerError):
    """matplotlib is not installed."""

    code = "no_plots"


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node is doing."""

    state: str = "up"
    """`up`; anything else is written below it, and it is drawn hollow."""
    height: int | None = None
    tip: str | None = None
    """Of its main chain; nodes of one tip have one colour."""


@dataclass(frozen=True, slots=True)
class Line:
    start: tuple[float, float]
    end: tuple[float, float]
    colour: str
    width: float
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Circle:
    at: tuple[float, float]
    radius: float
    fill: str
    border: str
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Diamond:
    """The mark of a miner."""

    at: tuple[float, float]
    size: float
    fill: str


@dataclass(frozen=True, slots=True)
class Text:
    at: tuple[float, float]
    """The middle of it, or with `is_left` its left end; its middle in height."""
    text: str
    colour: str = INK
    size: int = _TEXT
    is_bold: bool = False
    is_left: bool = False
    has_paper: bool = False
    """It stands on a line, so paper is put behind it."""


Stroke = Line | Circle | Diamond | Text


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, in pixels; what comes later lies above."""

    title: str
    width: int
    height: int
    strokes: tuple[Stroke, ...]


def draw(
    graph: NetworkGraph, states: Mapping[str, NodeState] | None = None, cut: Collection[tuple[str, str]] = ()
) -> str:
    """The network as an SVG document. `states`: of nodes by name; without, only the graph. `cut`: edges, either way."""
    return svg(picture_of(graph, states, cut))


def draw_png(
    graph: NetworkGraph, states: Mapping[str, NodeState] | None = None, cut: Collection[tuple[str, str]] = ()
) -> bytes:
    """The same as a PNG file. Raises NoPlots."""
    return png(picture_of(graph, states, cut))


def picture_of_plan(plan: NetPlan, nodes: Iterable[Mapping[str, Any]]) -> Picture:
    """A network from a graph. `nodes`: the `name`, `state`, `height` and `tip` of each, as of `moneyer net status`."""
    graph = NetworkGraph(
        plan.graph,
        tuple(NodeSpec(node.name, node.miner) for node in plan.nodes),
        tuple(EdgeSpec(edge.a, edge.b, edge.latency_ms, edge.loss, edge.rate) for edge in plan.edges),
    )
    states = {row["name"]: NodeState(row["state"], row["height"], row["tip"]) for row in nodes}
    return picture_of(graph, states, [(edge.a, edge.b) for edge in plan.edges if edge.is_cut])


# --- what is drawn -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tip:
    letter: str
    colour: str
    height: int
    nodes: int


def _tips(states: Mapping[str, NodeState]) -> dict[str, _Tip]:
    """The tips of nodes that are up: the highest first, of equal ones that of more nodes."""
    heights: dict[str, int] = {}
    nodes: dict[str, int] = {}
    for state in states.values():
        if state.tip is not None and state.state == "up":
            heights[state.tip] = state.height or 0
            nodes[state.tip] = nodes.get(state.tip, 0) + 1
    order = sorted(heights, key=lambda tip: (-heights[tip], -nodes[tip], tip))
    return {
        tip: _Tip(lettered(number), COLOURS[number % len(COLOURS)], heights[tip], nodes[tip])
        for number, tip in enumerate(order)
    }


def picture_of(
    graph: NetworkGraph, states: Mapping[str, NodeState] | None, cut: Collection[tuple[str, str]]
) -> Picture:
    at = places(graph)
    crowded = max(1.0, len(graph.nodes) / 40)
    link = max(_LEAST_LINK, _LINK / crowded)
    left, top = min(x for x, _ in at.values()), min(y for _, y in at.values())
    points = {name: (_MARGIN + (x - left) * link, _MARGIN + (y - top) * link) for name, (x, y) in at.items()}
    tips = _tips(states or {})
    is_cut = {frozenset(pair) for pair in cut}
    strokes: list[Stroke] = []
    labels: list[Stroke] = []
    for edge in graph.edges:
        ends = points[edge.a], points[edge.b]
        isolated = frozenset((edge.a, edge.b)) in is_cut
        strokes.append(Line(*ends, RED if isolated else "#9aa4b0", 2.5 if isolated else 1.5, is_dashed=isolated))
        middle = ((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)
        said = ["cut"] if isolated else _conditions(edge)
        labels += [
            Text(
                (middle[0], middle[1] + (row - (len(said) - 1) / 2) * 13),
                text,
                RED if isolated else INK,
                11,
                has_paper=True,
            )
            for row, text in enumerate(said)
        ]
    for node in graph.nodes:
        state = None if states is None else states.get(node.name, NodeState("stopped"))
        strokes += _node(node, points[node.name], state, tips)
    strokes += labels
    bottom = max(y for _, y in points.values()) + _MARGIN
    legend = list(_legend(graph, states, tips, bottom, bool(is_cut)))
    width = max(max(x for x, _ in points.values()) + _MARGIN, 300)
    height = bottom + _ROW * (1 + sum(isinstance(each, Text) for each in legend))
    return Picture(graph.text, math.ceil(width), math.ceil(height), (*strokes, *legend))


def _conditions(edge: EdgeSpec) -> list[str]:
    """`300 ms`, `10 % lost`, `10 kB/s`: a line each."""
    said = []
    if edge.latency_ms:
        said.append(f"{edge.latency_ms:,.4g} ms")
    if edge.loss:
        said.append(f"{edge.loss * 100:.3g} % lost")
    if edge.rate is not None:
        power = min((len(str(edge.rate)) - 1) // 3, 4)
        said.append(f"{edge.rate / 1000**power:.3g} {('', 'k', 'M', 'G', 'T')[power]}B/s")
    return said


def _node(node: NodeSpec, at: tuple[float, float], state: NodeState | None, tips: Mapping[str, _Tip]) -> list[Stroke]:
    x, y = at
    tip = tips.get(state.tip) if state is not None and state.tip is not None and state.state == "up" else None
    is_hollow = state is not None and state.state != "up"
    fill = PAPER if is_hollow else tip.colour if tip else QUIET
    strokes: list[Stroke] = [Circle(at, _RADIUS, fill, QUIET if is_hollow else fill, is_dashed=is_hollow)]
    name = shown(node.name, _LONGEST_NAME)
    fits = len(name) <= 3
    under = []
    if fits:
        strokes.append(Text(at, name, QUIET if is_hollow else PAPER, 15, is_bold=True))
    else:
        if tip:
            strokes.append(Text(at, tip.letter, PAPER, 15, is_bold=True))
        under.append(name)
    if is_hollow and state is not None:
        under.append(state.state)
    elif tip and state is not None:
        under.append(f"{tip.letter} · {state.height or 0:,}")
    strokes += [
        Text((x, y + _RADIUS + 11 + 15 * row), text, QUIET if is_hollow else INK, has_paper=True)
        for row, text in enumerate(under)
    ]
    if node.miner:
        strokes.append(Diamond((x + _RADIUS * 0.75, y - _RADIUS * 0.75), 8, QUIET if is_hollow else "#e0a100"))
    return strokes


def _legend(
    graph: NetworkGraph,
    states: Mapping[str, NodeState] | None,
    tips: Mapping[str, _Tip],
    top: float,
    has_cuts: bool,
) -> Iterator[Stroke]:
    """A row each: a sign, and what it means."""
    rows: list[tuple[Stroke | None, str]] = []
    x = _MARGIN / 2

    def y() -> float:
        return top + _ROW * (len(rows) + 0.5)

    for tip in list(tips.values())[:_MOST_TIPS]:
        count = f"{tip.nodes:,} {'node' if tip.nodes == 1 else 'nodes'}"
        rows.append((Circle((x, y()), 8, tip.colour, tip.colour), f"tip {tip.letter}: block {tip.height:,}, {count}"))
    if len(tips) > _MOST_TIPS:
        rows.append((None, f"and {len(tips) - _MOST_TIPS:,} more tips"))
    if states is not None and any(states.get(name, NodeState("stopped")).state != "up" for name in graph.names):
        rows.append((Circle((x, y()), 8, PAPER, QUIET, is_dashed=True), "does not run"))
    if any(node.miner for node in graph.nodes):
        rows.append((Diamond((x, y()), 8, "#e0a100"), "mines"))
    if has_cuts:
        rows.append((Line((x - 10, y()), (x + 10, y()), RED, 2.5, is_dashed=True), "connection that is cut"))
    for number, (sign, text) in enumerate(rows):
        if sign is not None:
            yield sign
        yield Text((x + 20, top + _ROW * (number + 0.5)), text, is_left=True)


# --- SVG ---------------------------------------------------------------------------------------------------------

_SVG: Final = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    'role="img" font-family="system-ui, sans-serif">\n<title>{title}</title>\n'
    '<rect width="100%" height="100%" fill="{paper}"/>\n{strokes}\n</svg>\n'
)


def svg(picture: Picture) -> str:
    """As an SVG document."""
    strokes = Markup("\n").join(_svg_stroke(each) for each in picture.strokes)
    return str(
        _SVG.format(width=picture.width, height=picture.height, title=picture.title, paper=PAPER, strokes=strokes)
    )


def _svg_stroke(stroke: Stroke) -> Markup:
    dashes = Markup(' stroke-dasharray="6 5"') if getattr(stroke, "is_dashed", False) else ""
    if isinstance(stroke, Line):
        (x1, y1), (x2, y2) = stroke.start, stroke.end
        return Markup(
            '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{:g}"{}/>'
        ).format(x1, y1, x2, y2, stroke.colour, stroke.width, dashes)
    x, y = stroke.at
    if isinstance(stroke, Circle):
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:g}" fill="{}" stroke="{}" stroke-width="2"{}/>').format(
            x, y, stroke.radius, stroke.fill, stroke.border, dashes
        )
    if isinstance(stroke, Diamond):
        return Markup(
            '<path d="M{x:.1f} {top:.1f}l{s} {s}l-{s} {s}l-{s} -{s}z" fill="{fill}" stroke="{paper}"/>'
        ).format(x=x, top=y - stroke.size, s=f"{stroke.size:g}", fill=stroke.fill, paper=PAPER)
    halo = Markup(' paint-order="stroke" stroke="{}" stroke-width="4"').format(PAPER) if stroke.has_paper else ""
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" font-size="{}" fill="{}" text-anchor="{}" dominant-baseline="central"{}{}>'
        "{}</text>"
    ).format(
        x,
        y,
        stroke.size,
        stroke.colour,
        "start" if stroke.is_left else "middle",
        Markup(' font-weight="700"') if stroke.is_bold else "",
        halo,
        stroke.text,
    )


# --- PNG ---------------------------------------------------------------------------------------------------------

_DOTS: Final = 100
"""An inch: matplotlib thinks in inches and points (72 an inch)."""


def png(picture: Picture) -> bytes:
    """As a PNG file of the same size. Raises NoPlots."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPlots(
            "PNG is drawn by matplotlib, which is not installed: `pip install 'moneyer[plots]'`, or name a file that "
            "ends with .svg"
        ) from None
    figure = Figure(figsize=(picture.width / _DOTS, picture.height / _DOTS), dpi=_DOTS, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    axes.axis("off")
    for order, stroke in enumerate(picture.strokes):
        _plot(axes, stroke, order)
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()


def _plot(axes: Any, stroke: Stroke, order: int) -> None:
    from matplotlib import patheffects
    from matplotlib.patches import Circle as Disc
    from matplotlib.patches import Polygon

    points = 72 / _DOTS
    style: dict[str, Any] = {
        "linestyle": (0, (3, 2)) if getattr(stroke, "is_dashed", False) else "solid",
        "zorder": order,
    }
    if isinstance(stroke, Line):
        xs, ys = zip(stroke.start, stroke.end, strict=True)
        axes.plot(xs, ys, color=stroke.colour, linewidth=stroke.width * points, **style)
    elif isinstance(stroke, Circle):
        disc = Disc(stroke.at, stroke.radius, facecolor=stroke.fill, edgecolor=stroke.border, linewidth=1.5, **style)
        axes.add_patch(disc)
    elif isinstance(stroke, Diamond):
        (x, y), s = stroke.at, stroke.size
        corners = [(x, y - s), (x + s, y), (x, y + s), (x - s, y)]
        axes.add_patch(Polygon(corners, facecolor=stroke.fill, edgecolor=PAPER, **style))
    else:
        halo = [patheffects.withStroke(linewidth=3, foreground=PAPER)] if stroke.has_paper else []
        axes.text(
            *stroke.at,
            stroke.text.replace("$", r"\$"),  # between two of them stands a formula
            color=stroke.colour,
            fontsize=stroke.size * points,
            fontweight="bold" if stroke.is_bold else "normal",
            ha="left" if stroke.is_left else "center",
            va="center",
            zorder=order,
            path_effects=halo,
        )
