"""`moneyer sim`: simulate a network past one machine, or many of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...options import FILE, FloatRange, IntRange, as_json, option

if TYPE_CHECKING:
    from ....devnet.sim.findings import Attack, Findings
    from ....devnet.sim.sweeps import Run

_MOST = 10**9


@click.command()
@option("--nodes", type=IntRange(1, _MOST), default=100, show_default=True, help="Nodes, where the graph does not say.")
@option(
    "--graph",
    default="random:8",
    show_default=True,
    metavar="GRAPH",
    help="random:8 or smallworld:4 (links of a node), ring, line, star, complete, tree, grid; or a file.",
)
@option("--block-time", type=IntRange(1, 86_400), default=5, show_default=True, help="Seconds wanted between blocks.")
@option(
    "--latency",
    default="lognormal:80ms",
    show_default=True,
    metavar="TIME",
    help="One way, drawn for each link: constant:80ms, uniform:10ms:100ms, lognormal:80ms[:SIGMA], exponential:80ms.",
)
@option("--blocks", type=IntRange(1, 10**8), default=1000, show_default=True, help="Blocks that are found in all.")
@option("--seed", type=IntRange(0, 2**63), default=1, show_default=True, help="The same seed, the same outcome.")
@option("--block-bytes", type=IntRange(81, _MOST), default=1000, show_default=True, help="Bytes of a block.")
@option("--rate", type=IntRange(0, 10**12), default=0, help="Bytes a second of a link.  [default: no limit]")
@option("--loss", type=FloatRange(0, 0.99), default=0.0, help="Share of messages that are lost, and sent again.")
@option("--parallel", is_flag=True, help="A link carries any number of blocks at once, as in published formulas.")
@option("--validation-ms", type=FloatRange(0, 86_400_000), default=0.0, help="Until a node passes a block on.")
@option(
    "--hashrate",
    default="equal",
    show_default=True,
    metavar="SHARES",
    help="equal, pareto, pareto:1.5, or the weights of the first nodes: 4,2,1.",
)
@option("--retarget", is_flag=True, help="Let the difficulty follow the hash rate.")
@option("--difficulty-window", type=IntRange(3, 1000), default=45, show_default=True, help="Of the retarget.")
@option("--swing", default="", metavar="SWING", help="The hash rate from a block on: 2x@500,0.5x@1000; with retarget.")
@option("--attacker", type=FloatRange(0, 0.99), default=0.0, help="Share of the hash rate of a node that attacks.")
@option(
    "--strategy",
    type=click.Choice(("double-spend", "selfish")),
    default="double-spend",
    show_default=True,
    help="What the attacker does.",
)
@option("--confirmations", type=IntRange(1, 1000), default=6, show_default=True, help="That the merchant waits for.")
@option("--premined", type=IntRange(0, 1), default=1, show_default=True, help="Blocks the attacker has when it pays.")
@option(
    "--sweep",
    multiple=True,
    metavar="NAME=V,V,…",
    help="Run each value: block_time=1,2,5.",
)
@option("--processes", type=IntRange(1, 1024), help="Of a sweep at once.  [default: one a core]")
@option("--workers", metavar="HOST:PORT", help="Run a sweep on the machines of this Dask scheduler; auto: on this one.")
@option("--plot", type=FILE, metavar="FILE", help="Draw the findings into this file: .svg, .png or .pdf.")
@as_json
def sim(
    sweep: tuple[str, ...],
    processes: int | None,
    workers: str | None,
    plot: Path | None,
    json: bool,
    **chosen: Any,
) -> None:
    """Simulate a network of thousands of nodes on a virtual clock.

    Chain rules, fork choice, retarget and relay policy are those of the node; links, clocks and hash rates are
    virtual. Nothing is mined, no port is opened, no folder is made. docs/simulation.md says what it leaves out.

    \b
    moneyer sim --nodes 1000 --graph random:8 --latency lognormal:80ms --seed 7
    moneyer sim --sweep block_time=1,2,5,10 --sweep latency=constant:80ms
    moneyer sim --nodes 20 --blocks 20000 --attacker 0.3 --confirmations 6
    moneyer sim --nodes 50 --blocks 3000 --swing 4x@1000 --plot swing.svg
    """
    from ....devnet.sim.scenario import Scenario
    from ....devnet.sim.sweeps import runs_of
    from ...options import usage
    from ...output import print_json

    runs = usage(lambda _: runs_of(Scenario(**chosen), sweep), "")
    if plot is not None:
        _check_plot(plot)
    found = _run(runs, processes, workers)
    if plot is not None:
        _draw(plot, runs, found)
    if json:
        results = [{"changes": run.changes, **findings.as_json()} for run, findings in zip(runs, found, strict=True)]
        print_json(results if sweep else results[0])
    elif sweep:
        _print_sweep(runs, found)
    else:
        _print_one(found[0])


def _run(runs: list[Run], processes: int | None, workers: str | None) -> list[Findings]:
    """All of them, in order; a line on stderr says how far it is, where that is a terminal."""
    import os
    import sys

    from ....devnet.sim.cluster import run_on_cluster
    from ....devnet.sim.sweeps import run_here

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    scenarios = [run.scenario for run in runs]
    shown = sys.stderr.isatty() and len(runs) > 1
    found: dict[int, Findings] = {}
    at_once = processes or cores
    at_once = processes or cores
    answers = run_on_cluster(scenarios, workers, at_once) if workers else run_here(scenarios, at_once)
    for number, findings in answers:
        found[number] = findings
        if shown:
            click.echo(f"\r{len(found)} of {len(runs)}", nl=len(found) == len(runs), err=True)
    return [found[number] for number in range(len(runs))]


def _check_plot(path: Path) -> None:
    """Before all is computed. Raises UsageError, NoPlots."""
    from ....devnet.sim.chances import BadScenario
    from ....devnet.sim.sim_charts import check_plot

    try:
        check_plot(path)
    except BadScenario as error:
        raise click.UsageError(error.message) from None


def _draw(path: Path, runs: list[Run], found: list[Findings]) -> None:
    from ....devnet.sim.sim_charts import draw_one, draw_sweep
    from ....system.files import write_whole
    from ...exits import effect

    kind = path.suffix.lower()
    picture = draw_sweep(runs, found, kind) if runs[0].changes else draw_one(found[0], kind)
    write_whole(path, picture, mode=0o644, durable=False)
    effect().done(f"The picture is in {path}")


def _print_one(findings: Findings) -> None:
    from ...output import print_pairs

    scenario, stale = findings.scenario, _percent(findings.stale_rate, findings.stale_error)
    print_pairs(
        [
            ("network", f"{findings.nodes:,} nodes, {scenario.graph}, {findings.degree:.3g} links each"),
            ("latency", scenario.latency),
            ("blocks", f"{findings.blocks:,}, one every {findings.interval:.3g} s"),
            ("main chain", f"{findings.main_chain:,} blocks, one every {findings.main_interval:.3g} s"),
            ("stale", f"{stale}; formula {_percent(findings.expected_stale_rate)}"),
            ("heights with rivals", f"{_percent(findings.fork_rate)}; formula {_percent(findings.expected_fork_rate)}"),
            ("blocks sent", f"{findings.pushes_a_block:,.0f} times each, over all links"),
            ("a block reaches", f"the mean hash rate after {_seconds(findings.delay)}"),
        ]
    )
    _print_levels(findings)
    _print_reorgs(findings)
    _print_groups(findings)
    _print_slices(findings)
    if findings.attack is not None:
        _print_attack(findings, findings.attack)
    _print_left_out(findings)


def _print_levels(findings: Findings) -> None:
    from ...output import print_table

    click.echo("")
    print_table(
        ("reaches", "median", "slowest tenth", "blocks"),
        [
            (_percent(level.share), _seconds(level.median), _seconds(level.slowest_tenth), f"{level.blocks:,}")
            for level in findings.levels
        ],
        right=("reaches", "median", "slowest tenth", "blocks"),
    )


def _print_reorgs(findings: Findings) -> None:
    from ...output import print_table

    if not findings.reorgs:
        return
    click.echo("")
    columns = ("reorg of", "times", "a node, in 1,000 blocks")
    a_node = findings.nodes * findings.blocks / 1_000
    deep = {depth: times for depth, times in findings.reorgs.items() if depth > 6}
    rows = [
        (f"{depth}", f"{times:,}", f"{times / a_node:.3g}") for depth, times in findings.reorgs.items() if depth <= 6
    ]
    if deep:
        times = sum(deep.values())
        rows.append((f"7 to {max(deep)}", f"{times:,}", f"{times / a_node:.3g}"))
    print_table(columns, rows, right=columns)


def _print_groups(findings: Findings) -> None:
    from ...output import print_table

    groups = findings.groups
    if len(groups) < 2 or len({(group.largest, round(group.links, 3)) for group in groups}) == 1:
        return  # all miners are alike
    click.echo("")
    columns = ("miners", "links", "hash rate of one", "together", "of the main chain", "fairness")
    print_table(
        columns,
        [
            (
                f"{group.miners:,}",
                f"{group.links:.3g}",
                _percent(group.smallest)
                if group.smallest == group.largest
                else f"{_percent(group.smallest)} to {_percent(group.largest)}",
                _percent(group.share),
                _percent(group.main_share, group.error),
                f"{group.main_share / group.share:.3f}",
            )
            for group in groups
        ],
        right=columns,
        drop=("links", "together"),
    )


def _print_slices(findings: Findings) -> None:
    from ...output import print_table

    if not findings.slices:
        return
    click.echo("")
    columns = ("from block", "seconds a block", "difficulty")
    print_table(
        columns,
        [(f"{each.first:,}", f"{each.interval:.3g}", f"{each.difficulty:.3g}") for each in findings.slices],
        right=columns,
    )


def _print_attack(findings: Findings, attack: Attack) -> None:
    from ...output import print_pairs

    click.echo("")
    scenario = findings.scenario
    if attack.strategy == "selfish":
        followers = "?" if attack.followers is None else f"{attack.followers:.3f}"
        print_pairs(
            [
                ("selfish miner", f"{_percent(attack.share)} of the hash rate"),
                ("of the main chain", _percent(attack.main_share, attack.error)),
                ("formula", f"{_percent(attack.expected)} (Eyal and Sirer, with gamma {followers})"),
                ("races", f"{attack.races:,}, of which honest miners decided {followers} for it (gamma)"),
            ]
        )
        return
    print_pairs(
        [
            ("double spend", f"{_percent(attack.share)} of the hash rate, {scenario.confirmations} confirmations"),
            ("succeeded", f"{attack.successes:,} of {attack.attempts:,}: {_percent(attack.rate, attack.error)}"),
            ("formula", f"{_percent(attack.expected)} (Rosenfeld, {scenario.premined} premined, no delays)"),
            ("Nakamoto's", _percent(attack.nakamoto)),
        ]
    )


def _print_sweep(runs: list[Run], found: list[Findings]) -> None:
    from ...output import print_table

    swept = list(runs[0].changes)
    is_attack = any(findings.attack for findings in found)
    columns = [*swept, "stale", "formula", "50 %", "90 %", "99 %", "deepest reorg"]
    columns += ["attack", "its formula"] if is_attack else []
    rows = []
    for run, findings in zip(runs, found, strict=True):
        half, most, nearly = (_seconds(level.median) for level in findings.levels[:3])
        row = [*run.changes.values(), _percent(findings.stale_rate, findings.stale_error)]
        row += [_percent(findings.expected_stale_rate), half, most, nearly, str(max(findings.reorgs, default=0))]
        if is_attack:
            row += _attack_cells(findings.attack)
        rows.append(row)
    print_table(columns, rows, right=columns)
    _print_left_out(found[0])


def _attack_cells(attack: Attack | None) -> list[str]:
    if attack is None:
        return ["", ""]
    value = attack.main_share if attack.strategy == "selfish" else attack.rate
    return [_percent(value, attack.error), _percent(attack.expected)]


def _print_left_out(findings: Findings) -> None:
    from ...output import fitted

    click.echo("\nLeft out:")
    for sentence in findings.left_out:
        click.echo(fitted(f"  {sentence}"))


def _percent(share: float, error: float | None = None) -> str:
    text = f"{100 * share:.3g}"
    return f"{text} %" if error is None else f"{text} ± {100 * error:.2g} %"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
