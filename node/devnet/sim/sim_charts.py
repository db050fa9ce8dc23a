"""Draws findings with matplotlib, the extra `plots`: one simulation, or what a sweep changes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from ...core.errors import quoted
from ..graph.drawing import NoPlots
from .chances import BadScenario
from .findings import Attack, Findings
from .sweeps import Run

KINDS: Final = (".svg", ".png", ".pdf")
_TITLES: Final = (
    "stale blocks, % (dashed: formula)",
    "seconds to reach the nodes",
    "attacker's success, % (dashed: formula)",
)
_WIDE, _HIGH = 5.0, 3.8
"""Inches of a panel."""
_COLOURS: Final = ("#2a6fdb", "#d1495b", "#2e8b57", "#8e5bb5", "#c77d0a", "#167d8c")


def check_plot(path: Path) -> None:
    """Refuse, before anything is computed, a picture that could not be drawn. Raises BadScenario, NoPlots."""
    if path.suffix.lower() not in KINDS:
        raise BadScenario(f"plot must end in {', '.join(KINDS)}, not {quoted(path.name)}", field="plot")
    if not path.parent.is_dir():
        raise BadScenario(f"plot: there is no folder {quoted(str(path.parent))}", field="plot")
    _figure(1)


def draw_one(findings: Findings, kind: str) -> bytes:
    """A picture of one simulation, of `kind` (see KINDS)."""
    panels = [_reaching, _depths]
    panels += [_retarget] if findings.slices else []
    panels += [_miners] if len(findings.groups) > 1 else []
    figure, axes = _figure(len(panels))
    for panel, each in zip(panels, axes, strict=True):
        panel(each, findings)
    scenario = findings.scenario
    figure.suptitle(f"{findings.nodes:,} nodes, {scenario.graph}, {scenario.latency}: {findings.blocks:,} blocks")
    return _written(figure, kind)


def draw_sweep(runs: Sequence[Run], found: Sequence[Findings], kind: str) -> bytes:
    """A picture of a sweep: the last swept field along the bottom, a line for each combination of the others."""
    name = list(runs[0].changes)[-1]
    lines: dict[str, list[tuple[str, Findings]]] = {}
    for run, findings in zip(runs, found, strict=True):
        others = ", ".join(f"{key} {value}" for key, value in run.changes.items() if key != name)
        lines.setdefault(others, []).append((run.changes[name], findings))
    is_attack = any(findings.attack for findings in found)
    figure, axes = _figure(3 if is_attack else 2)
    for number, (label, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        xs, results = _along([value for value, _ in points]), [findings for _, findings in points]
        _stale_line(axes[0], xs, results, label, colour)
        _delay_lines(axes[1], xs, results, label, colour, range(3) if len(lines) == 1 else (1,))
        if is_attack:
            _attack_line(axes[2], xs, [each.attack for each in results], label, colour)
    for each, title in zip(axes, _TITLES, strict=False):
        each.set_title(title)
        each.set_xlabel(name.replace("_", " "))
        each.set_ylim(bottom=0)
        if len(lines) > 1 or each is axes[1]:
            each.legend(fontsize=7, frameon=False)
    return _written(figure, kind)


def _figure(panels: int) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPlots("a plot takes matplotlib: pip install 'moneyer[plots]'") from None
    rows, columns = (2, 2) if panels == 4 else (1, panels)
    figure = Figure(figsize=(_WIDE * columns, _HIGH * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(panels)]
    for each in axes:
        each.grid(alpha=0.3)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _written(figure: Any, kind: str) -> bytes:
    import matplotlib

    target = io.BytesIO()
    stamp = {".svg": "Date", ".pdf": "CreationDate"}.get(kind)
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "moneyer"}):
        warnings.simplefilter("ignore")  # glyphs that a font lacks
        figure.savefig(target, format=kind[1:], dpi=120, metadata={stamp: None} if stamp else None)
    return target.getvalue()


def _reaching(axes: Any, findings: Findings) -> None:
    levels = [level for level in findings.levels if level.median is not None and level.slowest_tenth is not None]
    shares = [100 * level.share for level in levels]
    axes.plot([level.median for level in levels], shares, "o-", color=_COLOURS[0], label="median of the blocks")
    axes.plot([level.slowest_tenth for level in levels], shares, "o:", color=_COLOURS[1], label="slowest tenth")
    axes.set_title("a block reaches the nodes")
    axes.set_xlabel("seconds")
    axes.set_ylabel("% of the nodes")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 105)
    axes.legend(fontsize=7, frameon=False, loc="lower right")


def _depths(axes: Any, findings: Findings) -> None:
    a_node = findings.nodes * findings.blocks / 1_000
    depths = list(findings.reorgs)
    axes.bar(depths, [times / a_node for times in findings.reorgs.values()], color=_COLOURS[0])
    axes.set_title("reorgs of a node in 1,000 blocks")
    axes.set_xlabel("blocks that leave its main chain")
    if depths:
        axes.set_yscale("log")
        axes.set_xticks(range(1, max(depths) + 1, max(1, max(depths) // 10)))


def _retarget(axes: Any, findings: Findings) -> None:
    numbers = [each.first for each in findings.slices]
    axes.step(
        numbers, [each.difficulty for each in findings.slices], where="post", color=_COLOURS[0], label="difficulty"
    )
    wanted = findings.scenario.block_time
    intervals = [each.interval / wanted for each in findings.slices]
    axes.step(numbers, intervals, where="post", color=_COLOURS[1], label="block time, by the wanted one")
    for block, factor in findings.scenario.swings:
        axes.axvline(block, color="#888888", linestyle=":")
        axes.text(block, axes.get_ylim()[1], f"{factor:g}x", ha="center", va="bottom", fontsize=7)
    axes.set_title("retarget", pad=16 if findings.scenario.swings else None)
    axes.set_xlabel("block of the main chain")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)


def _miners(axes: Any, findings: Findings) -> None:
    places = range(len(findings.groups))
    wins = [group.main_share / group.share for group in findings.groups]
    errors = [group.error / group.share for group in findings.groups]
    axes.errorbar(places, wins, yerr=errors, fmt="o", capsize=3, color=_COLOURS[0])
    axes.axhline(1, color="#888888", linestyle=":")
    axes.set_xticks(list(places), [f"{group.miners:,}" for group in findings.groups])
    axes.set_title("blocks by hash rate: 1 is fair")
    axes.set_xlabel("miners of a group, the smallest first")


def _along(values: Sequence[str]) -> list[float] | list[str]:
    """Numbers where all are, else names."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return list(values)


def _stale_line(axes: Any, xs: Any, results: Sequence[Findings], label: str, colour: str) -> None:
    rates, errors = [100 * each.stale_rate for each in results], [100 * each.stale_error for each in results]
    axes.errorbar(xs, rates, yerr=errors, fmt="o-", capsize=3, color=colour, label=label or None)
    axes.plot(xs, [100 * each.expected_stale_rate for each in results], "--", color=colour, alpha=0.6)


def _delay_lines(
    axes: Any, xs: Any, results: Sequence[Findings], label: str, colour: str, levels: Iterable[int]
) -> None:
    for level in levels:
        share = f"{100 * results[0].levels[level].share:g} %"
        named = ", ".join(part for part in (label, share) if part)
        medians = [each.levels[level].median for each in results]
        axes.plot(xs, medians, ("o:", "o--", "o-")[level], color=colour, label=named)


def _attack_line(axes: Any, xs: Any, attacks: Sequence[Attack | None], label: str, colour: str) -> None:
    known = [(x, each) for x, each in zip(xs, attacks, strict=True) if each is not None]
    places = [x for x, _ in known]
    got = [100 * (each.main_share if each.strategy == "selfish" else each.rate) for _, each in known]
    errors = [100 * each.error for _, each in known]
    axes.errorbar(places, got, yerr=errors, fmt="o", capsize=3, color=colour, label=label or None)
    axes.plot(places, [100 * each.expected for _, each in known], "--", color=colour, alpha=0.6)
