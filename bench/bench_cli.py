"""How quick the command line is there: `moneyer --help` beside a bare interpreter that imports click."""

from __future__ import annotations

import subprocess
import sys

from bench.common import SHORT, Cost, Figure, below, costs, held, in_turns, of_children, plain, ratios, report, timed

ROUNDS = 11 if SHORT else 41
BARE = [sys.executable, "-c", "import click"]
HELP = [sys.executable, "-c", "from moneyer.node.cli.main import main; main(['--help'])"]
CLIENT = [sys.executable, "-c", "from moneyer import Client"]


def run(command: list[str]) -> Cost:
    """One process, from its start to its end."""
    return costs(1, lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True), of_children)


def took(runs: list[Cost]) -> list[Cost]:
    """Milliseconds in place of the rate."""
    return [timed(each, 1000) for each in runs]


def measure() -> list[Figure]:
    run(HELP)  # compiled once
    bare, ours, client = in_turns(ROUNDS, lambda: run(BARE), lambda: run(HELP), lambda: run(CLIENT))
    return [
        plain("a bare interpreter that imports click", took(bare), "ms"),
        plain("moneyer --help", took(ours), "ms"),
        below("moneyer --help / bare with click", ratios(bare, ours), "×", 2),
        held("moneyer --help by bare with click", ours, bare),
        plain("from moneyer import Client", took(client), "ms"),
        held("from moneyer import Client by bare with click", client, bare),
    ]


if __name__ == "__main__":
    report("command line", measure())
