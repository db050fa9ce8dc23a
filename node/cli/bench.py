"""`moneyer bench`: what this machine can do."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import FOLDER, FloatRange, IntRange, as_json, option


@click.group()
def bench() -> None:
    """Measure what this machine can do."""


@bench.command()
@option("--seconds", type=FloatRange(0.1, 60), default=2.0, show_default=True, help="Of each measurement.")
@option("--processes", type=IntRange(1, 1024), help="Hashing processes.  [default: one a core]")
@option("--data", type=FOLDER, metavar="DIR", help="A data folder, for its cache of compiled code.")
@as_json
def mine(seconds: float, processes: int | None, data: Path | None, json: bool) -> None:
    """Hash rates of the engines: of one core, and of all.

    \b
    moneyer bench mine
    moneyer bench mine --seconds 10 --processes 4
    """
    from dataclasses import asdict

    from node.cli.output import print_json, print_table
    from worker.bench import bench_engines
    from worker.log import shown_rate

    rows = bench_engines(
        seconds, None if data is None else data / "cache", processes, lambda said: click.echo(f"{said} …", err=True)
    )
    if json:
        print_json({"engines": [asdict(row) for row in rows]})
        return
    count = max((row.processes for row in rows), default=0)
    table = [
        (
            row.engine,
            row.self_test,
            "" if row.one_core is None else shown_rate(row.one_core),
            "" if row.all_cores is None else shown_rate(row.all_cores),
            f"{row.all_cores / row.one_core:.2f} ×" if row.one_core and row.all_cores else "",
        )
        for row in rows
    ]
    header = ("engine", "self-test", "one process", "1 process" if count == 1 else f"{count} processes", "ratio")
    print_table(header, table, right=header[2:], drop=("ratio",))
    for note in filter(None, (row.note for row in rows)):
        click.echo(f"\n{note}.")
