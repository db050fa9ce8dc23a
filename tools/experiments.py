"""Runs the lab's experiments and writes what they show into docs/experiments.md: python -m tools.experiments [NAME …]

Pictures go to docs/pictures/experiments; what a run prints goes behind its mark in the page. The record of the same run
is kept for the experiment's page on a node (`lab_pages`). Takes some minutes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from moneyer.node.devnet.lab.experiments.notebook import Experiment, Notebook
from moneyer.node.devnet.lab.lab_list import EXPERIMENTS

from .lab_pages import keep_experiment

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "experiments.md"
PICTURES = DOCS / "pictures" / "experiments"
SEED = 7
MARK = "<!-- tools/experiments.py: {} -->"


def transcript(experiment: Experiment) -> str:
    """What a run prints. Its pictures are written, and it must show what it says."""
    lines: list[str] = []
    book = Notebook(lines.append, seed=SEED)
    experiment.act(book)
    print(*lines, sep="\n")
    if not book.held:
        sys.exit(f"{experiment.name} did not show what it should; nothing was written")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, svg in book.pictures.items():
        (PICTURES / f"{name}.svg").write_text(svg, "utf-8")
    keep_experiment(experiment, book)
    return "\n".join([f"$ moneyer lab run {experiment.name} --seed {SEED}", *lines])


def with_transcript(page: str, name: str, text: str) -> str:
    """The page, with a new text behind the experiment's mark."""
    mark = re.escape(MARK.format(name))
    after, count = re.subn(
        rf"({mark}\n\n```console\n).*?(```\n)", lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL
    )
    if count != 1:
        sys.exit(f"{PAGE.name} has no mark of {name}: {MARK.format(name)}, an empty line and a console block")
    return after


def main(names: list[str]) -> None:
    """Run these, or all."""
    for experiment in EXPERIMENTS:
        if not names or experiment.name in names:
            text = transcript(experiment)
            PAGE.write_text(with_transcript(PAGE.read_text("utf-8"), experiment.name, text), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
