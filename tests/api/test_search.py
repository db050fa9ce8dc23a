"""`GET /v1/search`: what a text may mean, whole or by its first digits, and nothing that it may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.wallet.contacts import add_contact
from tests.kit.chains import key, transfer
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, own_node, running

pytestmark = pytest.mark.both_databases

HEIGHT = 12


@pytest.fixture(scope="module")
def told(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A development node with some blocks, a branch, confirmed transfers and one that waits."""
    with running(tmp_path_factory.mktemp("told") / "node") as node:
        for height in range(1, HEIGHT + 1):
            node.extend(transfers=[node.chain.transfer(ALICE, BOB, height, 1)])
        side = node.chain.branch(5, "side")
        node.push(codec.encode_block(side.add()))
        for waiting in (transfer(node.coin, CAROL, BOB, 5, 1), transfer(node.coin, CAROL, BOB, 5, 1, 7)):
            assert node.post("/v1/transactions", {"raw": codec.encode_transaction(waiting).hex()}).status == 201
        yield node


def ask(node: RunningNode, text: str, headers: dict[str, str] | None = None) -> Any:
    answer = node.get(f"/v1/search?q={quote(text, safe='')}", headers)
    assert answer.status == 200, answer.body
    found = answer.json
    assert found["query"] == text
    return found


def kinds(found: Any) -> list[tuple[str, str]]:
    return [(each["kind"], each["url"]) for each in found["results"]]


@pytest.mark.parametrize("text", ["7", "#7", " 7 ", "0,007", "block 7"])
def test_a_height_leads_to_its_block(told: RunningNode, text: str) -> None:
    found = ask(told, text)
    if text.startswith("block"):
        assert found["results"] == []
        return
    block = told.get("/v1/blocks/7").json["hash"]
    first = found["results"][0]
    assert (first["kind"], first["id"], first["url"]) == ("block", block, f"/block/{block}")
    assert (first["height"], first["status"]) == (7, "active")


def test_a_height_above_the_tip_is_said_to_be(told: RunningNode) -> None:
    found = ask(told, "1,234")
    assert ("block", "/block/1234") not in kinds(found)
    assert f"a block of the main chain at height 1,234; the tip is at {HEIGHT}" in found["looked_for"]
    assert any("begins with" in each for each in ask(told, "123456789012345")["looked_for"])


def test_every_block_and_transaction_is_found_by_its_hash_and_by_each_beginning_of_it(told: RunningNode) -> None:
    side = told.get("/v1/tips").json["tips"][1]["hash"]
    names = [("block", show(codec.block_hash(each.header))) for each in told.chain.blocks] + [("block", side)]
    names += [("transaction", show(codec.txid(each))) for block in told.chain.blocks for each in block.transactions]
    names += [("transaction", each["txid"]) for each in told.get("/v1/mempool").json["transactions"]]
    for kind, name in names:
        path = {"block": "/block/", "transaction": "/tx/"}[kind] + name
        assert kinds(ask(told, name)) == [(kind, path)]
        assert kinds(ask(told, f"0x{name.upper()}")) == [(kind, path)]
        for length in (5, 8, 11, 12, 13, 40, 63):
            assert (kind, path) in kinds(ask(told, name[:length])), (kind, name[:length])


def test_digits_that_nothing_begins_with_find_nothing_and_say_what_was_looked_for(told: RunningNode) -> None:
    found = ask(told, "abcdef0123456789")
    assert found["results"] == []
    assert found["looked_for"][:2] == [
        "a block whose hash begins with abcdef0123456789",
        "a transaction whose txid begins with abcdef0123456789",
    ]
    assert ask(told, "abc")["looked_for"][0] == "a hash or txid, of which at least 4 digits are needed"
    assert ask(told, "f" * 64)["looked_for"] == [
        "a block of this hash",
        "a transaction of this txid, confirmed or waiting",
    ]


def test_a_waiting_transfer_says_that_it_waits(told: RunningNode) -> None:
    states = {each["txid"]: each["status"] for each in told.get("/v1/mempool").json["transactions"]}
    assert sorted(states.values()) == ["ready", "waiting"]
    for txid, state in states.items():
        (found,) = ask(told, txid[:20])["results"]
        assert (found["id"], found["status"], found["height"]) == (txid, state, None)


def test_an_address_is_found_whole_by_its_beginning_and_with_a_typing_error(told: RunningNode) -> None:
    whole = BOB.address(told.coin)
    path = ("address", f"/address/{whole}")
    assert kinds(ask(told, whole)) == [path]
    assert kinds(ask(told, whole.upper())) == [path]
    for length in range(len(told.coin.hrp) + 3, len(whole)):
        assert path in kinds(ask(told, whole[:length])), length
    wrong = whole[:-1] + ("q" if whole[-1] != "q" else "p")
    found = ask(told, wrong)
    assert kinds(found) == [path]
    assert "typing error" in found["looked_for"][0]
    never = key("nobody").address(told.coin)
    assert kinds(ask(told, never)) == [("address", f"/address/{never}")]
    assert ask(told, never[:20])["results"] == []
    assert "easy1b" in ask(told, "easy1b")["looked_for"][0]


def test_many_results_are_cut(told: RunningNode) -> None:
    found = ask(told, f"{told.coin.hrp}1")
    assert not found["truncated"]
    assert len(found["results"]) == 4  # three people and the miner


def test_more_results_than_a_page_has_are_cut_and_said_to_be(fresh: RunningNode) -> None:
    people = [key(f"receiver {number}") for number in range(12)]
    fresh.extend(transfers=[transfer(fresh.coin, ALICE, who, 1, 1, at) for at, who in enumerate(people)])
    found = ask(fresh, f"{fresh.coin.hrp}1")
    assert found["truncated"]
    assert len(found["results"]) == 10


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE blocks; --",
        '" OR 1=1 --',
        "%%%%____",
        "<script>alert(1)</script>",
        "\u202egnp.exe",
        "\x00\x1b[2J",
        "ß" * 200,
        "Ⅷ⑨٣",
        "7\ud7ff",
        "0x",
        "g" * 64,
        "-1",
        "1e9",
        "4294967296",
        "99999999999",
        "🪙" * 100,
    ],
)
def test_junk_finds_nothing_says_so_and_harms_nothing(told: RunningNode, text: str) -> None:
    before = told.state()
    found = ask(told, text)
    assert found["results"] == []
    assert len(found["looked_for"]) >= 1
    assert all(each.isprintable() and len(each) < 400 for each in found["looked_for"])
    assert told.state() == before


def test_nothing_is_found_by_nothing(told: RunningNode) -> None:
    for text in ("", "   ", "\t\n"):
        assert ask(told, text)["looked_for"] == ["nothing: the text is empty"]


@pytest.mark.parametrize("length", [201, 1_000, 1_990])
def test_a_text_longer_than_anything_here_is_refused(told: RunningNode, length: int) -> None:
    answer = told.get(f"/v1/search?q={'a' * length}")
    assert answer.status == 400
    assert "200" in answer.json["error"]["message"]


def test_ten_kilobytes_are_refused_and_the_node_lives(told: RunningNode) -> None:
    assert told.get(f"/v1/search?q={'a' * 10_000}").status in (400, 414)
    assert told.get("/v1/search?q=7").status == 200
    assert told.get("/v1/search").status == 400


def test_names_are_told_to_the_owner_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("own") / "node"
    with own_node(folder) as node:
        friend = key("friend").address(node.coin)
        add_contact(folder, "Bobby Tables", friend)
        stranger = ask(node, "bob")
        assert stranger["results"] == []
        assert "name" not in str(stranger["looked_for"])
        assert ask(node, BOB.address(node.coin))["results"][0]["name"] is None
        found = ask(node, "BOB", node.bearer)
        assert [(each["kind"], each["name"], each["id"]) for each in found["results"]] == [
            ("address", "bob", BOB.address(node.coin)),
            ("address", "Bobby Tables", friend),
        ]
        (by_address,) = ask(node, friend, node.bearer)["results"]
        assert by_address["name"] == "Bobby Tables"
        assert ask(node, "bob", {"Authorization": "Bearer wrong"})["results"] == []


def test_a_damaged_file_of_contacts_hides_the_contacts_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "node"
    with own_node(folder) as node:
        (folder / "contacts.json").write_text("{")
        (folder / "contacts.json").chmod(0o600)
        assert [each["name"] for each in ask(node, "alice", node.bearer)["results"]] == ["alice"]
