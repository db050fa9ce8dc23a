"""`moneyer swap` between two coins, over four real nodes."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from moneyer.node.contracts.swaps.swap_line import read_line, write_line
from moneyer.node.core import codec
from tests.cli.two_coins import TwoCoins, two_coins
from tests.docs.pages import page, section
from tests.kit.chains import key, transfer
from tests.kit.commands import NOWHERE, environment, moneyer, refusal, start
from tests.kit.running import RICH, RunningNode

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCoins]:
    with two_coins(tmp_path_factory.mktemp("swap")) as both:
        yield both


def test_a_swap_from_the_offer_to_its_end(coins: TwoCoins) -> None:
    offer = coins.offered("10", "25", patience=600)
    swap_id = offer["id"]
    assert coins.step("alice", swap_id) == "answer"
    answer = coins.taken(offer)
    assert coins.step("bob", swap_id) == "wait"
    paid = coins.ask("alice", "take", answer["line"], "--yes")
    assert paid["sent"]["kind"] == "pay"
    coins.shore.wait_for(paid["sent"]["txid"])
    assert coins.step("bob", swap_id) == "wait"  # it is in no block yet
    coins.shore.mine()
    assert coins.go("bob", swap_id)["sent"]["kind"] == "pay"
    assert coins.step("alice", swap_id) == "wait"
    coins.moon.mine()
    assert coins.go("alice", swap_id)["sent"]["kind"] == "claim"
    assert coins.go("bob", swap_id)["sent"]["kind"] == "claim"  # the secret is in the mempool
    coins.mine()
    assert coins.step("alice", swap_id) == coins.step("bob", swap_id) == "done"
    assert coins.shore.balance("alice") == RICH - 10_000_000 - 1
    assert coins.moon.balance("alice") == RICH + 25_000_000 - 1
    assert coins.moon.balance("bob") == RICH - 25_000_000 - 1
    assert coins.shore.balance("bob") == RICH + 10_000_000 - 1


def test_the_pages_commands_make_a_swap(coins: TwoCoins, tmp_path: Path) -> None:
    """The block of `docs/swap.md`, each with a folder of their own, in which `shore` and `moon` are."""
    block = section(page("docs/swap.md"), "## How it goes").split("```")[1]
    lines = [re.split(r"\$ +moneyer ", line) for line in block.strip().splitlines()]
    assert [words.split()[1] for _, words in lines] == ["offer", "take", "take", "run", "run"]
    for who in ("alice", "bob"):
        (tmp_path / who).mkdir()
        (tmp_path / who / "shore").symlink_to(getattr(coins.shore, who).config.data)
        (tmp_path / who / "moon").symlink_to(getattr(coins.moon, who).config.data)
    before = coins.moon.balance("alice"), coins.shore.balance("bob")
    runs, swap_id = [], ""
    with coins.shore.mining(0.7), coins.moon.mining(0.7):
        for who, words in lines:
            order = [*words.split(), *(["--yes"] if " take " in words else [])]
            if " run " in words:
                order[-1] = str(tmp_path / who / order[-1])
                # A reader has one swap in the folder; this module's nodes have others too.
                runs.append(start(*order, "--timeout", "200", "--", swap_id))
                continue
            done = moneyer(*order, cwd=tmp_path / who)
            assert done.returncode in (0, 3), done.stderr
            for path in (tmp_path / who).glob("*.txt"):
                (tmp_path / ("bob" if who == "alice" else "alice") / path.name).write_bytes(path.read_bytes())
            swap_id = read_line((tmp_path / "alice" / "offer.txt").read_text()).swap_id
        assert [each.wait(220) for each in runs] == [0, 0], [each.communicate() for each in runs]
    after = coins.moon.balance("alice"), coins.shore.balance("bob")
    assert (after[0] - before[0], after[1] - before[1]) == (24_999_999, 9_999_999)


KILLED = """
import os, signal, sys
from moneyer.node.client.client import Client
submit = Client.submit
def killed(self, *arguments, **options):
    if sys.argv[1] == "behind":
        submit(self, *arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
Client.submit = killed
from moneyer.node.cli.main import main
main(sys.argv[2:])
"""
"""`moneyer`, ended by SIGKILL when a transaction is signed and kept: before it is sent, or behind that."""


def kill(coins: TwoCoins, who: str, when: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, when, "swap", *words, *map(str, coins.folders(who))],
        env=environment(),
        cwd=NOWHERE,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def killed_and_repeated(coins: TwoCoins, who: str, swap_id: str, kind: str) -> None:
    """The same step, killed before it is sent, killed behind that, and given again: one transaction comes of it."""
    kill(coins, who, "before", "run", swap_id, "--once")
    assert coins.step(who, swap_id) == kind
    kept = kept_by(coins, who, swap_id)
    kill(coins, who, "behind", "run", swap_id, "--once")
    coins.go(who, swap_id)
    assert kept_by(coins, who, swap_id) == kept


def kept_by(coins: TwoCoins, who: str, swap_id: str) -> dict[str, str]:
    """What was signed, in the swap's file."""
    file = Path(coins.folders(who)[1]) / "swaps" / f"{swap_id}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    held = json.loads(file.read_bytes())
    return {kind: held[kind] for kind in ("payment", "claim", "refund")}


def test_either_side_killed_at_each_step_goes_on_and_pays_once(coins: TwoCoins) -> None:
    before = [coins.shore.balance("alice"), coins.moon.balance("alice"), coins.shore.balance("bob")]
    offer = coins.offered("3", "4", patience=600)
    swap_id = offer["id"]
    answer = coins.taken(offer)
    assert coins.taken(offer)["line"] == answer["line"]
    kill(coins, "alice", "before", "take", answer["line"], "--yes")
    killed_and_repeated(coins, "alice", swap_id, "pay")
    coins.shore.mine()
    killed_and_repeated(coins, "bob", swap_id, "pay")
    coins.moon.mine()
    killed_and_repeated(coins, "alice", swap_id, "claim")
    killed_and_repeated(coins, "bob", swap_id, "claim")
    coins.mine()
    assert coins.step("alice", swap_id) == coins.step("bob", swap_id) == "done"
    after = [coins.shore.balance("alice"), coins.moon.balance("alice"), coins.shore.balance("bob")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [-3_000_001, 3_999_999, 2_999_999]


@pytest.mark.crash
@pytest.mark.timeout(600)
def test_who_stops_costs_the_other_side_no_coins(coins: TwoCoins) -> None:
    """Two swaps at once: in one bob never pays, in the other alice never claims.

    It waits nearly three minutes for locks to open, so it is of `make test-crash`.
    """
    alices, bobs = coins.shore.balance("alice"), coins.moon.balance("bob")
    swaps = []
    for _ in range(2):
        offer = coins.offered("1", "1", patience=20)
        swaps.append(offer["id"])
        coins.ask("alice", "take", coins.taken(offer)["line"], "--yes")
    lazy, silent = swaps
    coins.shore.mine()
    coins.go("bob", silent)
    coins.moon.mine()
    with coins.shore.mining(0.7), coins.moon.mining(0.7):
        runs = [start("swap", "run", lazy, "--timeout", "420", *coins.folders("alice"))]
        runs.append(start("swap", "run", silent, "--timeout", "420", *coins.folders("bob")))
        assert runs[1].wait(440) == 0, runs[1].communicate()
        last = start("swap", "run", silent, "--timeout", "420", *coins.folders("alice"))
        assert runs[0].wait(440) == last.wait(440) == 0, (runs[0].communicate(), last.communicate())
    assert "have your 1 SHORE back" in last.communicate()[0]
    assert coins.shore.balance("alice") == alices - 4  # two payments' and two refunds' fees
    assert coins.moon.balance("bob") == bobs - 2


def changed(line: str) -> str:
    return line[:60] + ("A" if line[60] != "A" else "B") + line[61:]


def test_bad_offers_are_refused_in_a_sentence(coins: TwoCoins, tmp_path: Path) -> None:
    offer = coins.offered("1", "1", patience=600)
    line, bob = offer["line"], coins.folders("bob")

    def said(text: str, *options: str | Path) -> str:
        return refusal(moneyer("swap", "take", text, "bob", "--yes", *(options or bob)))

    assert "changed on its way" in said(changed(line))
    assert "cut or lengthened" in said(line[:-5])
    assert "6 are usual" in said(line)
    assert "you give MOON and get SHORE" in said(line, *coins.folders("alice"))
    same = Path(bob[1])
    assert "name the folder of the right coin" in said(line, "--data", same, "--other", same)
    (tmp_path / "large").write_text(line * 100)
    assert "has 366 characters" in said(str(tmp_path / "large"))
    assert "no file" in said(str(tmp_path / "nothing"))
    unasked = moneyer("swap", "take", line, "bob", "--confirmations", "1", *bob)
    assert unasked.returncode == 1
    assert "nobody can be asked" in unasked.stderr
    answer = coins.taken(offer)
    (bob_file := Path(bob[1]) / "swaps" / f"{'0' * 12}.json").write_text("{")
    listed = moneyer("swap", "list", *bob[:2])
    bob_file.unlink()
    assert offer["id"] in listed.stdout
    assert "damaged" in listed.stderr
    other = write_line(replace(read_line(line), patience=601))
    assert "hash of another swap" in said(other)
    bent = write_line(replace(read_line(answer["line"]), patience=601))
    assert "terms were changed" in refusal(moneyer("swap", "take", bent, "--yes", *coins.folders("alice")))
    nothing = moneyer("swap", "offer", "alice", "0", "1", *coins.folders("alice"))
    assert "more than 1 base unit" in refusal(nothing)
    twice = moneyer("swap", "offer", "alice", "1", "1", "--data", same, "--other", same)
    assert "same chain" in refusal(twice)


def crowd(node: RunningNode, count: int, fee: int) -> None:
    """Bob's transfers behind his first, more than a block holds, each for this fee."""
    for sequence in range(1, count + 1):
        spend = transfer(node.coin, key("bob"), key("carol"), 1, fee, sequence, b"m" * 140)
        assert node.post("/v1/transactions", {"raw": codec.encode_transaction(spend).hex()}).status == 201


def test_a_claim_that_waits_in_a_crowd_pays_more(tmp_path: Path) -> None:
    with two_coins(tmp_path, max_block_bytes=10_000) as coins:
        offer = coins.offered("3", "4", patience=600)
        swap_id = offer["id"]
        coins.ask("alice", "take", coins.taken(offer)["line"], "--yes")
        coins.shore.mine()
        coins.go("bob", swap_id)
        coins.moon.mine()
        first = coins.go("alice", swap_id)["sent"]["txid"]
        assert "sent" not in coins.ask("alice", "run", swap_id, "--once")  # nobody pays more: it waits
        crowd(coins.moon.alice, 40, 1_000)
        second = coins.go("alice", swap_id)["sent"]["txid"]
        assert first != second
        assert [coins.moon.alice.get(f"/v1/transactions/{txid}").status for txid in (first, second)] == [404, 200]
        assert "sent" not in coins.ask("alice", "run", swap_id, "--once")
