"""Experiments on real nodes: each shows what it says, and the same networks serve several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from xml.etree import ElementTree

import pytest

from moneyer.node.devnet.lab.experiments import (
    away,
    double_spend,
    eclipse,
    fork_and_heal,
    hash_swing,
    majority,
    selfish,
    slow_link,
)
from moneyer.node.devnet.lab.experiments.contracts import escrow, two_coins
from moneyer.node.devnet.lab.experiments.notebook import Experiment, Networks, Notebook
from moneyer.node.devnet.lab.lab_list import EXPERIMENTS
from moneyer.node.devnet.live.live_network import Network
from moneyer.node.devnet.live.net_pool import NetPool
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    pool = NetPool()

    def lent(graph: Any, **wishes: Any) -> AbstractContextManager[Network]:
        with pool.lend() as (_, borrow):
            return nullcontext(borrow(graph, **wishes))

    yield lent
    pool.close()


def run(experiment: Experiment, networks: Networks) -> Notebook:
    book = Notebook(print, seed=7, is_quick=True, networks=networks)
    experiment.act(book)
    assert book.claims
    assert all(book.claims.values()), book.claims
    for svg in book.pictures.values():
        ElementTree.fromstring(svg)
    return book


def test_a_fork_heals_to_the_chain_with_more_work_and_a_tie_waits_for_the_next_block(networks: Networks) -> None:
    book = run(fork_and_heal.EXPERIMENT, networks)
    assert book.facts == {"height": 7, "blocks": 11, "tips": 1}


def test_a_payment_on_a_losing_branch_is_gone_and_its_sequence_is_used_up(networks: Networks) -> None:
    book = run(double_spend.EXPERIMENT, networks)
    assert book.facts == {"height": 4, "code": "bad_sequence"}
    svg = book.pictures["double-spend"]
    assert all(note in svg for note in ("Alice pays Bob", "Alice pays Carol", "Dave pays Erin"))


def test_a_node_in_eclipse_believes_the_attacker_until_it_has_one_honest_link(networks: Networks) -> None:
    book = run(eclipse.EXPERIMENT, networks)
    assert book.facts == {"height": 6, "confirmations": 2}


@pytest.mark.slow
def test_a_slow_link_makes_blocks_stale(networks: Networks) -> None:
    book = run(slow_link.EXPERIMENT, networks)
    fast, slow = book.facts["rows"]
    assert fast["ratio"] == 0
    assert slow["stale"] > fast["stale"]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_the_page_of_the_experiments_shows_each(experiment: Experiment) -> None:
    page = (REPOSITORY / "docs" / "experiments.md").read_text("utf-8")
    assert f"$ moneyer lab run {experiment.name} --seed" in page
    assert f"](pictures/experiments/{experiment.name}.svg)" in page


def test_a_majority_takes_a_confirmed_payment_back(networks: Networks) -> None:
    book = run(majority.EXPERIMENT, networks)
    assert (book.facts["height"], book.facts["confirmations"], book.facts["bob"]) == (5, 3, 0)
    assert {(row["share"], row["confirmations"]) for row in book.facts["rows"]} == {
        (0.2, 1),
        (0.2, 6),
        (0.4, 1),
        (0.4, 6),
    }


def test_a_selfish_miner_makes_the_work_of_others_stale(networks: Networks) -> None:
    book = run(selfish.EXPERIMENT, networks)
    assert book.facts["kept"] <= book.facts["found"]
    assert book.facts["stale"] > 0


def test_a_node_that_was_away_fetches_headers_first(networks: Networks) -> None:
    book = run(away.EXPERIMENT, networks)
    assert book.facts["height"] == book.facts["blocks"] + away.KNOWN


def test_the_retarget_follows_the_hash_rate_and_refuses_bits_that_are_too_easy(networks: Networks) -> None:
    book = run(hash_swing.EXPERIMENT, networks)
    assert book.facts["code"] == "bad_bits"
    assert book.facts["height"] == hash_swing.WARM_UP + hash_swing.QUICK_PART * len(hash_swing.SWINGS)


def test_two_of_three_release_an_escrow_and_one_alone_cannot(networks: Networks) -> None:
    book = run(escrow.EXPERIMENT, networks)
    assert book.facts == {"height": 4, "codes": ["bad_witness", "bad_signature", "bad_witness"], "held": [0, 0]}
    svg = book.pictures["escrow"]
    assert all(note in svg for note in ("Alice pays in", "Dave pays in"))


def test_a_swap_ends_with_both_paid_or_with_both_paid_back(networks: Networks) -> None:
    book = run(two_coins.EXPERIMENT, networks)
    assert book.facts["codes"] == ["bad_witness", "locked", "locked"]
    assert len(set(book.facts["heights"])) == 1
