"""What an experiment writes down, as lines and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from moneyer.node.core import ledger
from moneyer.node.devnet.lab.experiments.notebook import Experiment, Notebook
from moneyer.node.devnet.lab.lab_entry import LabRun
from moneyer.node.devnet.lab.lab_list import run_experiment


def test_what_is_written_is_said_line_by_line_and_kept() -> None:
    lines: list[str] = []
    book = Notebook(lines.append, seed=3)
    book.step("The edge is healed.")
    book.table(("node", "height"), [("a", 5), ("victim", 1234)])
    book.rule("Each number counts once.", "7, stage 5", ledger.check_sequence, code="bad_sequence")
    book.claim("Bob has nothing", True)
    assert lines == [
        "1. The edge is healed.",
        "   node    height",
        "   a            5",
        "   victim   1,234",
        "   Rule: Each number counts once.",
        "         bad_sequence: docs/protocol.md, section 7, stage 5; node/core/ledger.py check_sequence",
        "   So: Bob has nothing",
    ]
    told = book.as_json()
    assert told["held"] is True
    assert told["steps"][0]["rules"][0]["function"] == "node/core/ledger.py check_sequence"
    assert told["claims"] == [{"claim": "Bob has nothing", "held": True}]


def test_a_claim_that_does_not_hold_is_said_and_ends_it_badly() -> None:
    lines: list[str] = []
    book = Notebook(lines.append)
    assert not book.held, "it has shown nothing yet"
    book.claim("all is well", True)
    book.claim("and stays so", False)
    assert lines[-1] == "   NOT so: and stays so"
    assert not book.held


def test_a_seed_repeats_what_is_left_to_chance() -> None:
    first, second = (Notebook(print, seed=11).chance.random() for _ in range(2))
    assert first == second


def test_pictures_are_written_to_the_folder_and_one_that_cannot_be_is_said_before_the_run(tmp_path: Path) -> None:
    book = Notebook(print, folder=tmp_path / "new")
    book.picture("tree", "<svg/>")
    assert (tmp_path / "new" / "tree.svg").read_text("utf-8") == "<svg/>"
    assert book.as_json()["pictures"] == ["tree"]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Notebook(print, folder=tmp_path / "file")


def test_a_run_of_an_experiment_is_told_what_the_command_was_told(tmp_path: Path) -> None:
    def act(book: Notebook) -> None:
        book.fact(seed=book.seed, is_quick=book.is_quick)
        book.picture("p", "<svg/>")
        book.claim("it ran", True)

    told = run_experiment(
        Experiment("trial", "Trial", "Nothing is done.", "Nothing.", act),
        LabRun(print, folder=tmp_path, seed=5, is_quick=True),
    )
    assert told["name"] == "trial"
    assert told["facts"] == {"seed": 5, "is_quick": True}
    assert told["held"] is True
    assert (tmp_path / "p.svg").is_file()
