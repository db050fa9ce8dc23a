"""The tips of many long branches: what they cost, however many ask."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, event

from moneyer.node.api.calls.v1_blocks import tips
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.core import codec
from moneyer.node.service import Node
from moneyer.node.store import blocks
from moneyer.node.store.engine import Store
from moneyer.node.store.explore.tree import Leaves
from moneyer.node.system.threads import in_threads
from tests.kit.callers.handlers import call_of
from tests.kit.chains import ChainBuilder, block_on
from tests.kit.running import RunningNode, running

pytestmark = pytest.mark.both_databases

FORK, DEPTH, TIPS = 3, 100, 60


@pytest.fixture(scope="module")
def branched(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with a branch off FORK, DEPTH blocks long, and TIPS tips on top of it; and one off genesis."""
    with running(tmp_path_factory.mktemp("branched") / "node") as node:
        for _ in range(FORK + DEPTH + 2):
            node.extend()
        side = node.chain.branch(FORK, "side")
        for _ in range(DEPTH):
            assert node.push(codec.encode_block(side.add())).json["status"] == "side_branch"
        for number in range(TIPS):
            tip = block_on(node.coin, side.blocks[-1].header, FORK + DEPTH + 1, extra=number.to_bytes(4, "big"))
            assert node.push(codec.encode_block(tip)).json["status"] == "side_branch"
        assert node.push(codec.encode_block(ChainBuilder(node.coin).add(extra=b"low"))).json["status"] == "side_branch"
        yield node


def test_every_tip_tells_where_it_left_the_main_chain(branched: RunningNode) -> None:
    told = branched.get("/v1/tips").json["tips"]
    top = FORK + DEPTH + 2
    assert [(tip["height"], tip["status"], tip["fork_height"]) for tip in told] == [
        (top, "active", top),
        *[(top - 1, "side_branch", FORK)] * TIPS,
        (1, "side_branch", 0),
    ]


def test_shared_ancestors_are_walked_once(branched: RunningNode) -> None:
    asked: list[str] = []
    with (
        contextlib.closing(Store.open(branched.config, branched.coin, check_file=False)) as store,
        store.read() as conn,
    ):
        rows = Leaves().look(conn)
        event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2]))
        forks = blocks.fork_heights(conn, rows)
        assert len(asked) == 1
        assert forks == [blocks.fork_height(conn, row) for row in rows]
    assert set(forks) == {0, FORK, FORK + DEPTH + 2}


def test_many_who_ask_for_the_tips_share_the_walk(branched: RunningNode) -> None:
    here = Node.open(branched.config)
    call = call_of(ApiParts.of(here))
    at_once: list[int] = []
    walking: set[int] = set()
    others = threading.Event()

    def begin(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
        walking.add(threading.get_ident())
        at_once.append(len(walking))
        if len(walking) > 1:
            others.set()
        others.wait(0.3)  # for one that must not come

    def end(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
        walking.discard(threading.get_ident())

    for when, hook in (("before_cursor_execute", begin), ("after_cursor_execute", end)):
        event.listen(Engine, when, hook)
    try:
        answers = in_threads(lambda number: tips(here, call), range(8), 8)
    finally:
        for when, hook in (("before_cursor_execute", begin), ("after_cursor_execute", end)):
            event.remove(Engine, when, hook)
        here.close()
    assert [len(answer.tips) for answer in answers] == [TIPS + 2] * 8
    assert set(at_once) == {1}
