"""`moneyer lab` as a person types it."""

from __future__ import annotations

from tests.kit.commands import asked, moneyer


def test_the_lab_lists_shows_and_runs_what_it_has() -> None:
    listed = asked("lab", "list")["entries"]
    assert {"name": "mutated-body", "kind": "attack"}.items() <= next(
        each for each in listed if each["name"] == "mutated-body"
    ).items()
    shown = moneyer("lab", "show", "mutated-body")
    assert "CVE-2012-2459" in shown.stdout
    ran = moneyer("lab", "attack", "tamper")
    assert ran.returncode == 0, ran.stderr
    assert "Stopped by node/core/rules.py check_merkle_root" in ran.stdout
    assert "all balances are what they were" in ran.stdout


def test_a_name_that_the_lab_has_not_is_answered_by_the_one_that_was_meant() -> None:
    refused = moneyer("lab", "show", "mutated-bodie")
    assert refused.returncode == 1
    assert "did you mean mutated-body?" in refused.stderr


def test_an_experiment_is_listed_shown_and_told_that_it_takes_no_node() -> None:
    assert any(each["kind"] == "experiment" for each in asked("lab", "list")["entries"])
    assert "honest link" in moneyer("lab", "show", "eclipse").stdout
    refused = moneyer("lab", "run", "eclipse", "--node", "http://127.0.0.1:1")
    assert refused.returncode == 1
    assert "leave --node out" in refused.stderr
