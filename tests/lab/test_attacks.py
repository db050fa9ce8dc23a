"""Each attack of the lab is answered by the rule that it names, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.devnet.lab.attack_ground import Ground, NoGround
from moneyer.node.devnet.lab.attacking import run_attacks
from moneyer.node.devnet.lab.attacks import ATTACKS, Attack
from moneyer.node.devnet.lab.block_fields import fields_of, marked
from moneyer.node.devnet.lab.lab_entry import LabRun
from moneyer.node.devnet.lab.throwaway import ThrowawayNode
from tests.docs.pages import in_backticks, page, rows
from tests.kit.chains import easy_coin
from tests.kit.running import running


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with ThrowawayNode() as node:
        yield Ground(node.url)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_stopped_by_the_rule_that_it_names(attack: Attack, ground: Ground) -> None:
    lines: list[str] = []
    result = run_attacks([attack], LabRun(lines.append, node=ground.url))
    assert result["held"], lines
    assert result["unchanged"]
    (told,) = result["attacks"]
    assert told["answer"]["code"] == attack.code
    sent = bytes.fromhex(told["sent"]["hex"])
    assert b"".join(bytes.fromhex(each["hex"]) for each in told["sent"]["fields"]).startswith(sent[:1000])
    assert any(each["mark"] in ("changed", "added") for each in told["sent"]["fields"])
    assert any(attack.function in line and attack.section in line for line in lines)


def test_the_block_that_attacks_begin_with_breaks_no_rule(ground: Ground) -> None:
    """Else the attacks would be answered by another rule than theirs, or by luck. Runs last: the height changes."""
    ground.read()
    answer = ground.send(codec.encode_block(ground.honest))
    assert (answer.status, answer.code) == (200, "extended")


def test_a_rule_stands_where_an_attack_says() -> None:
    for attack in ATTACKS:
        rule = type(attack).rule
        assert attack.function == f"node/core/{rule.__module__.rpartition('.')[2]}.py {rule.__name__}"
        assert attack.sentence.endswith((".", ")"))


def test_the_page_names_each_attack_with_its_code_and_its_rule() -> None:
    table = [
        (in_backticks(cells[0])[0], in_backticks(cells[2])[0], in_backticks(cells[3])[0])
        for cells in rows(page("docs/lab.md"))
        if len(cells) == 4
    ]
    assert table == [(attack.name, attack.code, type(attack).rule.__name__) for attack in ATTACKS]


def test_the_fields_of_a_block_are_its_bytes_and_only_changes_are_marked(ground: Ground) -> None:
    block = ground.honest
    assert b"".join(each.raw for each in fields_of(block)) == codec.encode_block(block)
    assert not any(each.mark for each in marked(block, block))


def test_a_coin_whose_keys_nobody_knows_is_no_ground(tmp_path: Path) -> None:
    with running(tmp_path / "node", easy_coin()) as node, pytest.raises(NoGround, match="no development node"):
        Ground(node.url)
