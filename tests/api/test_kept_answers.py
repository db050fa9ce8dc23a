"""Answers that are kept are the ones that the rows would give, whoever changed these; and a client may keep them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from moneyer.node.api.app import App, build_app
from moneyer.node.api.endpoint import ENDPOINTS, Reply
from moneyer.node.api.parts.answers import KeptAnswers, Rendered
from moneyer.node.chain.accept import KeyedLock
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.service import Node
from moneyer.node.store import meta
from moneyer.node.store.engine import Store
from tests.kit.chains import ChainBuilder, easy_coin, transfer
from tests.kit.databases import examples, node_config
from tests.kit.nodes import NOW, place_coin
from tests.kit.nodes import Node as Parts
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin
from tests.kit.statements import statements
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

COIN = rich_coin()
PATHS = (
    f"/v1/accounts/{ALICE.address(COIN)}",
    f"/v1/accounts/{BOB.address(COIN)}",
    f"/v1/accounts/{BOB.address(COIN)}/transactions?limit=2",
    "/v1/blocks?limit=3",
    "/v1/blocks/0",
    "/v1/blocks/2",
    "/v1/mempool",
    "/v1/tree?depth=3",
    "/v1/stats?points=2",
    "/v1/rich?limit=2",
    "/v1/coin",
)


def ask(app: App, path: str, etag: str | None = None, remote: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
    """A GET of an application in this process, past any HTTP server."""
    told: list[Any] = []
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": remote,
        "HTTP_HOST": "127.0.0.1",
        "wsgi.input": BytesIO(),
        **({} if etag is None else {"HTTP_IF_NONE_MATCH": etag}),
    }
    body = b"".join(app.wsgi(environ, lambda status, headers: told.extend((status, headers))))
    return int(told[0][:3]), {name.lower(): value for name, value in told[1]}, body


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Node, App]]:
    """A node in this process, and its application."""
    place_coin(tmp_path / "node", COIN)
    node = Node.open(node_config(tmp_path / "node", development=True, min_fee=0, manual=True))
    yield node, build_app(node)
    node.close()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.booleans()),
        st.tuples(st.just("send"), st.booleans()),
        st.tuples(st.just("reorg"), st.integers(1, 2)),
        st.tuples(st.just("nothing"), st.booleans()),
    ),
    max_size=12,
)


@examples(15, 5, steps, st.lists(st.sets(st.sampled_from(PATHS)), min_size=12, max_size=12))
def test_a_kept_answer_is_what_the_rows_say_whichever_process_changed_them(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]], asked: list[set[str]]
) -> None:
    """Each step by this node or by another one on its file; a fresh application, which has kept nothing, is the judge.

    Not everything is asked for after every step, so that answers of several ages lie about.
    """
    folder = tmp_path_factory.mktemp("kept") / "node"
    place_coin(folder, COIN)
    with ExitStack() as stack:
        node = Node.open(node_config(folder, development=True, min_fee=0, manual=True))
        stack.callback(node.close)
        other = stack.enter_context(Parts(folder, COIN, min_fee=0))
        app = build_app(node)
        chain, sent = ChainBuilder(COIN), 0
        for (what, how), paths in zip(steps, asked, strict=False):
            accepting, mempool = (other.chain, other.mempool) if how is True else (node.chain, node.mempool)
            if what == "block":
                accepting.accept_block(codec.encode_block(chain.add()), NOW)
            elif what == "send":
                sequence = chain.account(ALICE).sequence + sent
                mempool.accept_transfer(transfer(COIN, ALICE, BOB, 1, 0, sequence))
                sent += 1
            elif what == "reorg" and chain.height >= how:
                chain = chain.branch(chain.height - how, f"{chain.height} {how}")
                for _ in range(how + 1):
                    other.chain.accept_block(codec.encode_block(chain.add()), NOW)
            judge = build_app(node)
            for path in paths:
                status, headers, body = ask(app, path)
                fresh = ask(judge, path)
                assert (status, body) == (fresh[0], fresh[2])
                if status == 200:
                    assert headers["etag"] == fresh[1]["etag"]
                    assert ask(app, path, headers["etag"])[::2] == (304, b"")


def test_an_answer_that_many_want_at_once_is_put_together_once(served: tuple[Node, App]) -> None:
    node, app = served
    making = app.parts.answers.making = KeyedLock(60)
    path, bodies = PATHS[0], list[bytes]()

    def caller(number: int) -> threading.Thread:
        """One at an address of its own: of an address one is worked on at a time."""
        return threading.Thread(target=lambda: bodies.append(ask(app, path, remote=f"127.0.0.{number}")[2]))

    callers = [caller(number) for number in range(2, 5)]
    with statements(node.store) as seen:
        with making.of(path.encode()):
            for each in callers:
                each.start()
            wait_until(lambda: making.snapshot() == (1, len(callers)), 30, "all of them to wait")
        for each in callers:
            each.join(30)
        asked = [each for each in seen if "FROM accounts" in each]
    assert len(bodies) == len(callers)
    assert len(set(bodies)) == 1
    assert len(asked) == 1


def test_no_answer_is_older_than_what_was_acknowledged_before_it_was_asked_for(served: tuple[Node, App]) -> None:
    node, app = served
    chain, acknowledged, problems = ChainBuilder(COIN), 0, []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            least = acknowledged
            for path in ("/v1/blocks?limit=1", f"/v1/accounts/{ALICE.address(COIN)}/transactions?limit=1"):
                body = ask(app, path)[2].decode()
                found = max((int(part.split(",")[0]) for part in body.split('"height":')[1:]), default=0)
                if found < least:
                    problems.append((path, found, least))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for each in readers:
        each.start()
    for height in range(1, 40):
        paid = transfer(COIN, ALICE, BOB, 1, 0, height - 1)
        node.chain.accept_block(codec.encode_block(chain.add([paid])), NOW)
        acknowledged = height
    done.set()
    for each in readers:
        each.join()
    assert not problems


def test_an_answer_is_rendered_once_while_nothing_is_committed(served: tuple[Node, App]) -> None:
    node, app = served
    kept = app.parts.answers
    first = ask(app, PATHS[0])
    size = kept.size
    assert size > 0
    assert all(ask(app, PATHS[0]) == first for _ in range(3))
    assert kept.find(PATHS[0], kept.version()) is kept.find(PATHS[0], kept.version()) is not None
    node.store.write(lambda conn: meta.replace(conn, "something", b"else"))
    assert kept.find(PATHS[0], kept.version()) is None
    assert ask(app, PATHS[0]) == first
    assert kept.size == size


def test_an_answer_of_another_status_is_kept_for_nobody(served: tuple[Node, App]) -> None:
    node, app = served
    coin = next(each for each in ENDPOINTS if each.path == "/v1/coin")
    odd = replace(coin, path="/odd", handler=lambda node, call: Reply(202, Rendered(b"{}")))
    app = build_app(node, more=[odd])
    told = [ask(app, "/odd") for _ in range(2)]
    assert [(status, headers["cache-control"]) for status, headers, _ in told] == [(202, "no-store")] * 2
    assert app.parts.answers.size == 0


def test_a_confirmed_transaction_is_kept_through_what_leaves_the_chain_alone(served: tuple[Node, App]) -> None:
    node, app = served
    chain = ChainBuilder(COIN)
    paid = transfer(COIN, ALICE, BOB, 1, 0, 0)
    node.chain.accept_block(codec.encode_block(chain.add([paid])), NOW)
    paths = (f"/v1/transactions/{show(codec.txid(paid))}", "/v1/blocks/1", "/v1/blocks", PATHS[2])
    before = [ask(app, path) for path in paths]
    kept = app.parts.answers
    node.mempool.accept_transfer(transfer(COIN, ALICE, BOB, 1, 0, 1))
    assert all(kept.find(path, kept.version()) is not None for path in paths)
    assert [ask(app, path) for path in paths] == before
    node.chain.accept_block(codec.encode_block(chain.add()), NOW)
    assert all(kept.find(path, kept.version()) is None for path in paths)
    assert all(ask(app, path)[1]["etag"] != old[1]["etag"] for path, old in zip(paths, before, strict=True))


def test_a_waiting_transaction_is_told_anew_once_it_is_confirmed_or_gone(served: tuple[Node, App]) -> None:
    node, app = served
    chain = ChainBuilder(COIN)
    paid = transfer(COIN, ALICE, BOB, 1, 0, 0)
    path = f"/v1/transactions/{show(codec.txid(paid))}"
    assert ask(app, path)[0] == 404
    node.mempool.accept_transfer(paid)
    assert b'"status":"ready"' in ask(app, path)[2]
    block = chain.add([paid])
    node.chain.accept_block(codec.encode_block(block), NOW)
    assert b'"confirmations":1' in ask(app, path)[2]
    other = ChainBuilder(COIN).branch(0, "other")
    for _ in range(2):
        node.chain.accept_block(codec.encode_block(other.add()), NOW)
    assert b'"status":"ready"' in ask(app, path)[2]


def test_an_answer_that_a_commit_overtook_is_looked_for_again(tmp_path: Path) -> None:
    """The version is read, then somebody commits, then the rows are read: the answer is newer than its version."""
    store = Store.open(node_config(tmp_path), easy_coin())
    kept = KeptAnswers(store)
    version = kept.version()
    store.write(lambda conn: meta.replace(conn, "something", b"new"))
    kept.keep("/a", version, Rendered(b"new"))
    assert kept.find("/a", kept.version()) is None
    kept.keep("/a", kept.version(), Rendered(b"new"))
    assert kept.find("/a", kept.version()) is not None
    store.close()


def test_what_is_kept_is_bounded_and_the_longest_kept_goes(tmp_path: Path) -> None:
    store = Store.open(node_config(tmp_path), easy_coin())
    kept = KeptAnswers(store, most_bytes=20_000)
    version = kept.version()
    for number in range(100):
        kept.keep(f"/{number}", version, Rendered(b"x" * 1_000))
        kept.keep(f"/{number}", version, Rendered(b"y" * 1_000))
        assert kept.size <= 20_000
    assert kept.find("/0", version) is None
    assert all(kept.find(f"/{number}", version) is not None for number in range(95, 100))
    assert kept.keep("/large", version, Rendered(b"x" * 5_000)).etag is not None
    assert kept.find("/large", version) is None
    assert kept.find("/99", version) is not None
    store.close()


def test_only_endpoints_of_plain_reads_are_kept() -> None:
    for endpoint in ENDPOINTS:
        if endpoint.kept:
            assert endpoint.method == "GET"
            assert not endpoint.changes
            assert not endpoint.token
            assert not endpoint.same_site


def test_a_client_that_has_the_answer_is_told_so_and_no_more(node: RunningNode) -> None:
    answer = node.get("/v1/blocks/0")
    etag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "no-cache"
    for named in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = node.get("/v1/blocks/0", {"If-None-Match": named})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-type" not in again.headers
        assert again.headers["x-content-type-options"] == "nosniff"
    for named in ('"other"', "", etag.strip('"'), etag.upper()):
        again = node.get("/v1/blocks/0", {"If-None-Match": named})
        assert (again.status, again.body) == (200, answer.body)
    assert node.call("HEAD", "/v1/blocks/0", headers={"If-None-Match": etag}).status == 304
    assert node.call("HEAD", "/v1/blocks/0").headers["etag"] == etag


def test_errors_and_what_no_rows_tell_have_no_etag_and_are_kept_by_nobody(node: RunningNode) -> None:
    for path, status in (("/v1/blocks/999", 404), ("/v1/blocks/x", 400), ("/v1/status", 200), ("/v1/peers", 200)):
        answer = node.get(path, {"If-None-Match": "*"})
        assert answer.status == status
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


def test_a_query_is_part_of_what_was_asked_for_and_a_wrong_one_is_refused_each_time(node: RunningNode) -> None:
    node.extend()
    assert len(node.get("/v1/blocks?limit=1").json["blocks"]) == 1
    assert len(node.get("/v1/blocks?limit=2").json["blocks"]) == 2
    assert len(node.get("/v1/blocks").json["blocks"]) == node.height + 1
    for _ in range(2):
        assert node.get("/v1/blocks?limit=0").status == 400
        assert node.get("/v1/blocks?limt=1").status == 400
    assert node.get("/v1/blocks/0?limit=1").body == node.get("/v1/blocks/0").body  # it has no query


def test_a_foreign_host_gets_no_kept_answer_either(node: RunningNode) -> None:
    etag = node.get("/v1/coin").headers["etag"]
    for headers in ({"Host": "elsewhere.example"}, {"Host": "elsewhere.example", "If-None-Match": etag}):
        assert node.get("/v1/coin", headers).status == 403
