"""How quick the command line is there: `moneyer --help` beside a bare interpreter that imports click."""

from __future__ import annotations

import subprocess
import sys

from bench.common import SHORT, Figure, below, in_turns, plain, ratios, report, seconds

ROUNDS = 11 if SHORT else 41
BARE = [sys.executable, "-c", "import click"]
HELP = [sys.executable, "-c", "from moneyer.node.cli.main import main; main(['--help'])"]
CLIENT = [sys.executable, "-c", "from moneyer import Client"]


def run(command: list[str]) -> float:
    """Seconds of one process."""
    return seconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))


def measure() -> list[Figure]:
    run(HELP)  # compiled once
    bare, ours, client = in_turns(ROUNDS, lambda: run(BARE), lambda: run(HELP), lambda: run(CLIENT))
    return [
        plain("a bare interpreter that imports click", [1000 * each for each in bare], "ms"),
        plain("moneyer --help", [1000 * each for each in ours], "ms"),
        below("moneyer --help / bare with click", ratios(ours, bare), "×", 2),
        plain("from moneyer import Client", [1000 * each for each in client], "ms"),
    ]


if __name__ == "__main__":
    report("command line", measure())
