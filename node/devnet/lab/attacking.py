"""Runs attacks against a node, tells what happens, and looks whether anything has changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ...core import codec
from ...core.types import Block
from .attack_ground import Answer, Ground
from .attacks import Attack
from .block_fields import Field, marked
from .lab_entry import LabRun
from .throwaway import ThrowawayNode

_SHOWN = 40
"""Bytes of a field that are shown in a line."""
_MOST_FIELDS = 40
"""Fields of a block that are shown in lines."""
_TRIES = 5
"""Of one attack, where the tip changes meanwhile."""
_MOST_FIELDS_JSON = 1_000
_MOST_BYTES_JSON = 20_000
"""What is longer is cut in the JSON: one attack is a block of a megabyte."""


def run_attacks(attacks: Sequence[Attack], run: LabRun) -> dict[str, Any]:
    """Run these one after the other on one node. Raises NoGround, NoAnswer and Refused.

    The result: `node`, `attacks` (each as `_attack` says), `before`, `after`, `unchanged`, and `held`: each attack was
    answered by its rule, and nothing has changed.
    """
    with ExitStack() as opened:
        url = run.node
        if url is None:
            run.say("A development node is started on a temporary folder, for this run only.")
            url = opened.enter_context(ThrowawayNode()).url
        ground = Ground(url)
        before = ground.state()
        run.say(f"The node is at height {before.height}, its tip is {before.tip}.")
        results = [_attack(attack, ground, run, is_brief=len(attacks) > 1) for attack in attacks]
        after = ground.state()
    is_unchanged = before == after
    run.say("")
    if is_unchanged:
        run.say(f"The node is still at height {after.height}, on the same tip, and all balances are what they were.")
    else:
        run.say(
            f"The node is at height {after.height} now: blocks of its own came meanwhile, or an attack got through."
        )
    held = all(each["held"] for each in results) and (is_unchanged or run.node is not None)
    stopped = sum(each["held"] for each in results)
    run.say(f"Attacks: {len(results)}, stopped by the rule that is named: {stopped}.")
    return {
        "node": url,
        "attacks": results,
        "before": before.as_json(),
        "after": after.as_json(),
        "unchanged": is_unchanged,
        "held": held,
    }


def _attack(attack: Attack, ground: Ground, run: LabRun, *, is_brief: bool) -> dict[str, Any]:
    block, answer = _sent(attack, ground)
    raw = codec.encode_block(block)
    fields = marked(block, ground.honest)
    _tell_attack(attack, raw, fields, run, is_brief=is_brief)
    held = answer.is_refused and answer.code == attack.code
    _tell_answer(attack, answer, run, held=held)
    return {
        "name": attack.name,
        "title": attack.title,
        "story": attack.story,
        "sent": {
            "method": "POST",
            "path": "/p2p/block",
            "size": len(raw),
            "hex": raw[:_MOST_BYTES_JSON].hex(),
            "fields": [each.as_json() for each in fields[:_MOST_FIELDS_JSON]],
        },
        "rule": {
            "code": attack.code,
            "function": attack.function,
            "section": attack.section,
            "sentence": attack.sentence,
        },
        "answer": {
            "status": answer.status,
            "code": answer.code,
            "message": answer.message,
            "details": answer.details,
        },
        "held": held,
    }


def _sent(attack: Attack, ground: Ground) -> tuple[Block, Answer]:
    """The attack's block and what the node said of it.

    On a network that mines, a block may come between the look at the tip and the attack, which then stands on a side
    branch, where no body is looked at in context: it is made again on the new tip.
    """
    for _ in range(_TRIES):
        ground.read()
        block = attack.make(ground)
        answer = ground.send(codec.encode_block(block))
        if answer.is_refused or ground.state().tip == codec.show(ground.tip):
            break
    return block, answer


def _tell_attack(attack: Attack, raw: bytes, fields: Sequence[Field], run: LabRun, *, is_brief: bool) -> None:
    """`is_brief`: only the fields that differ from the honest block's."""
    run.say("")
    run.say(f"{attack.title} ({attack.name})")
    run.say(attack.story)
    run.say(f"  POST /p2p/block, {len(raw):,} bytes; marked is what differs from an honest block:")
    chosen = [each for each in fields if each.mark] if is_brief else list(fields)
    rows = chosen[:_MOST_FIELDS]
    wide = max((len(each.name) for each in rows), default=0)
    for each in rows:
        sign = {"": " ", "follows": "·"}.get(each.mark, "▶")
        run.say(f"  {sign} {each.name:<{wide}}  {_shown(each)}{f'   {each.mark}' if each.mark else ''}")
    if len(fields) > len(rows):
        run.say(f"    … and {len(fields) - len(rows):,} fields more{', as they are' if rows == chosen else ''}")


def _shown(field: Field) -> str:
    digits = field.raw.hex()
    shown = digits if len(field.raw) <= _SHOWN else f"{digits[: 2 * _SHOWN - 8]}…{digits[-8:]}"
    number, before = field.number, field.number_before
    was = "" if before is None or not field.mark else f", was {before}"
    return shown if number is None else f"{shown} = {number}{was}"


def _tell_answer(attack: Attack, answer: Answer, run: LabRun, *, held: bool) -> None:
    run.say(f"  The node: {answer.status} {answer.code}: {answer.message}")
    for name in ("expected", "found"):
        if name in answer.details:
            run.say(f"    {name}: {answer.details[name]}")
    if held:
        run.say(f"  Stopped by {attack.function} ({attack.section}): {attack.sentence}")
    else:
        run.say(f"  NOT stopped by {attack.function}, as it should be: {attack.code} was expected")
