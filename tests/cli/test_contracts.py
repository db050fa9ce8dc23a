"""`moneyer contract` on real nodes: people who share only files, and every proposal that is not what it says."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.cli.commands.contracts.contract_find import Found
from moneyer.node.core import codec
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.signing import sign_spend
from moneyer.node.core.types import Issue
from moneyer.node.wallet.cosigning.contract_book import Contract
from moneyer.node.wallet.derive import Key
from moneyer.node.wallet.keystore import create_wallet
from tests.kit.chains import key
from tests.kit.commands import moneyer, refusal, start, talk
from tests.kit.mining.workers import mining
from tests.kit.running import RunningNode, own_coin, own_node
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(240)

COIN = own_coin(rules=2, clock_tolerance=60)


class Person:
    """One of several people: a data folder with one key and contacts, and a folder that files come to."""

    def __init__(self, name: str, home: Path, node: RunningNode) -> None:
        self.name, self.home, self.node = name, home, node
        self.data = home / "wallet"
        self.data.mkdir(parents=True)
        (self.data / "coin.toml").write_text(coin_to_toml(node.coin))
        create_wallet(self.data / "wallet.json", {name: Key.from_secret(key(name).secret)}, development=False)

    def knows(self, *names: str) -> Person:
        for name in names:
            if name != self.name:
                done = moneyer("wallet", "contact", name, key(name).address(self.node.coin), "--data", self.data)
                assert done.returncode == 0, done.stderr
        return self

    @property
    def where(self) -> tuple[str, ...]:
        return ("--data", str(self.data), "--node", self.node.url)

    def done(self, *words: str | Path, offline: bool = False) -> str:
        """What a command said, which must have worked."""
        where = ("--data", self.data) if offline else self.options(*words)
        done = moneyer(*words, *where, cwd=self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def options(self, *words: str | Path) -> tuple[str, ...]:
        has_node = not (words[0] == "contract" and words[1] in ("receipt", "export"))
        return self.where if has_node else self.where[:2]

    def asked(self, *words: str | Path) -> Any:
        done = moneyer(*words, *self.options(*words), "--json", cwd=self.home)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str | Path, status: int = 1) -> str:
        done = moneyer(*words, *self.options(*words), cwd=self.home)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr

    def give(self, name: str, other: Person, as_name: str | None = None) -> Path:
        """Copy a file to somebody else: nothing else is shared."""
        target = other.home / (as_name or name)
        shutil.copy(self.home / name, target)
        return target


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Alice and bob are rich; blocks come when `mined` asks for them."""
    data = tmp_path_factory.mktemp("contracts") / "data"
    with own_node(data, COIN) as running, mining(data, "demand"):
        wait_until(lambda: running.get("/v1/mining").json["worker"]["alive"], 60, "the worker")
        yield running


@pytest.fixture
def people(tmp_path: Path, node: RunningNode) -> dict[str, Person]:
    names = ("alice", "bob", "carol")
    return {name: Person(name, tmp_path / name, node).knows(*names) for name in names}


def mined(node: RunningNode, count: int = 1) -> None:
    """Blocks with what waits in the pool."""
    done = moneyer("mine", str(count), "--data", node.config.data)
    assert done.returncode == 0, done.stderr


def balance(node: RunningNode, address: str) -> int:
    return int(node.get(f"/v1/accounts/{address}").json["balance"])


def paid_into(node: RunningNode, person: Person, name: str, amount: str = "100") -> str:
    """The address of a contract that got something, confirmed."""
    address = str(person.asked("contract", "show", name)["address"])
    person.done("send", person.name, address, amount)
    mined(node)
    return address


def ready_till(people: dict[str, Person], name: str, order: tuple[str, ...] = ("alice", "bob", "carol")) -> None:
    """A 2 of 3 of alice, bob and carol, which each of them holds, and has shown to alice."""
    alice, bob, carol = people.values()
    made = alice.done("contract", "multisig", "2", *order, "--name", name)
    assert f"any 2 of {', '.join(order)}" in made
    others = ", ".join([each for each in order if each != "alice"])
    assert f"no: not shown yet by {others}" in made
    assert "Don't pay into it yet" in made
    for other in (bob, carol):
        alice.give(f"{name}-for-{other.name}.json", other)
        kept = other.done("contract", "accept", f"{name}-for-{other.name}.json", "--yes")
        assert f"your key       {other.name}" in kept
        other.give(f"{name}-receipt-{other.name}.json", alice)
        said = alice.done("contract", "receipt", f"{name}-receipt-{other.name}.json")
    assert "Ready: yes" in said


def test_two_of_three_who_share_only_files(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, carol = people.values()
    ready_till(people, "till")
    address = paid_into(node, alice, "till")
    assert "till" in alice.done("contract", "list")
    dora = key("dora").address(node.coin)
    shown = carol.done("contract", "spend", "till", dora, "2.5", "--memo", "the roof", "--out", "roof.json")
    assert "pays       2.5 EASY" in shown
    assert f"to         {dora} (nobody that is known here)" in shown
    assert f"from       the contract till ({address})" in shown
    assert "memo       the roof" in shown
    assert "missing    any 2 of alice, bob, carol" in shown
    carol.give("roof.json", alice)
    carol.give("roof.json", bob)
    assert "missing    any 2 of alice, bob, carol" in alice.done("contract", "sign", "roof.json", "--yes")
    assert "signed by  alice" in alice.done("contract", "combine", "roof.json")
    bob.done("contract", "sign", "roof.json", "--yes")
    assert "it still needs alice or carol" in bob.refused("contract", "submit", "roof.json")
    alice.give("roof.json", bob, "from-alice.json")
    assert "nothing: it can be submitted" in bob.done("contract", "combine", "roof.json", "from-alice.json")
    before = (bob.home / "roof.json").read_bytes()
    again = bob.asked("contract", "sign", "roof.json", "--yes")
    assert again["complete"]
    assert (bob.home / "roof.json").read_bytes() == before
    assert (bob.home / "roof.json").stat().st_mode & 0o077 == 0
    sent = bob.asked("contract", "submit", "roof.json")
    assert bob.asked("contract", "submit", "roof.json")["txid"] == sent["txid"]
    mined(node)
    assert bob.asked("contract", "submit", "roof.json")["status"] == "confirmed"
    assert balance(node, dora) == 2_500_000
    found = node.get(f"/v1/transactions/{sent['txid']}").json
    assert (found["kind"], found["memo"]) == ("payment", "the roof")
    assert "another payment of this contract took this one's place" in carol.refused(
        "contract", "sign", "roof.json", "--yes"
    )


def test_two_of_three_through_a_chat(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, carol = people.values()
    ready_till(people, "chat")
    paid_into(node, alice, "chat")
    line = alice.asked("contract", "spend", "chat", "bob", "1")["line"]
    said = bob.done("contract", "sign", line, "--yes")
    assert "to         bob (" in said
    from_bob = said.splitlines()[-1]
    assert from_bob.startswith("moneyer-proposal1:")
    assert len(from_bob) < 2_000  # what a chat takes in one message
    broken = "\n".join([from_bob[:300], from_bob[300:]])
    from_carol = carol.asked("contract", "sign", broken, "--yes")
    assert from_carol["complete"]
    assert alice.asked("contract", "submit", from_carol["line"])["status"] == "ready"
    mined(node)


def test_a_person_is_asked_before_anything_is_signed(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "mine", "alice or (bob and after height 100000)")
    paid_into(node, alice, "mine")
    alice.done("contract", "spend", "mine", "bob", "1", "--out", "p.json")
    before = (alice.home / "p.json").read_bytes()
    assert "nobody can be asked here" in alice.refused("contract", "sign", "p.json")
    assert "look without it first" in alice.refused("contract", "sign", "p.json", "--json", status=2)
    words: list[str | Path] = ["contract", "sign", "p.json", *alice.where]
    status, shown = talk(words, [("Sign it as alice?", "n")], cwd=alice.home)
    assert (status, (alice.home / "p.json").read_bytes()) == (1, before)
    assert "nothing was signed" in shown
    status, shown = talk(words, [("Sign it as alice?", "y")], cwd=alice.home)
    assert status == 0, shown
    assert (alice.home / "p.json").read_bytes() != before


def test_a_fee_that_eats_the_payment_is_said(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "dear", "alice or (bob and after height 100001)")
    paid_into(node, alice, "dear")
    words = ("contract", "spend", "dear", "bob", "1", "--sequence", "0")
    warned = [
        "more than a tenth" in alice.done(*words, "--fee", fee, "--out", f"{fee}.json") for fee in ("0.1", "0.100001")
    ]
    assert warned == [False, True]


def test_of_contracts_that_strangers_made_only_some_are_kept() -> None:
    """Anybody can pay from contracts with somebody's key in them, and fill his book."""
    found = Found({bytes([number]): Contract("", b"", {}, {}) for number in range(150)})
    found.leave_out_strange({b"\x95"})
    assert (len(found.contracts), found.left_out, b"\x95" in found.contracts) == (101, 49, True)


def proposal_of(people: dict[str, Person], node: RunningNode, name: str) -> dict[str, Any]:
    alice = people["alice"]
    alice.done("contract", "new", name, "2 of (alice, bob, carol)")
    paid_into(node, alice, name, "10")
    alice.done("contract", "spend", name, "bob", "1", "--out", "p.json")
    alice.done("contract", "sign", "p.json", "--yes")
    found: dict[str, Any] = json.loads((alice.home / "p.json").read_bytes())
    return found


def test_no_proposal_is_signed_that_is_not_what_it_says(people: dict[str, Person], node: RunningNode) -> None:
    """Each is refused with a sentence before anything is signed; `tests/wallet/test_proposals.py` has more of them."""
    bob = people["bob"]
    whole = proposal_of(people, node, "bad")
    text = json.dumps(whole)
    unsigned = whole["unsigned"]
    cases = {
        "changed": (text.replace(unsigned, f"{unsigned[:-2]}{int(unsigned[-2:], 16) ^ 1:02x}"), "no node|checksum|cut"),
        "cut": (text[: len(text) // 2], "cut or damaged"),
        "of another chain": (text.replace(whole["chain_id"], "ab" * 32), "checksum|another coin"),
        "signed twice": (json.dumps({**whole, "signatures": whole["signatures"] * 2}), "checksum|two signatures"),
        "too large": (text + " " * 70_000, "too large"),
        "with another policy": (json.dumps({**whole, "policy": "00" + "11" * 32}), "not in its contract|checksum"),
        "no file": ("", "no proposal"),
    }
    for case, (content, words) in cases.items():
        path = bob.home / "bad.json"
        path.write_text(content)
        said = bob.refused("contract", "sign", "bad.json", "--yes")
        assert re.search(words, said), (case, said)
        assert path.read_text() == content


def test_a_proposal_of_another_coin_is_refused(people: dict[str, Person], node: RunningNode, tmp_path: Path) -> None:
    proposal_of(people, node, "far")
    other = own_coin(rules=2, clock_tolerance=60, name="Other Coin")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "coin.toml").write_text(coin_to_toml(other))
    create_wallet(stranger / "wallet.json", {"bob": Key.from_secret(key("bob").secret)}, development=False)
    done = moneyer("contract", "sign", people["alice"].home / "p.json", "--yes", "--data", stranger)
    assert "of another coin's chain" in refusal(done)


def test_who_was_killed_between_signing_and_submitting_submits_the_same(
    people: dict[str, Person], node: RunningNode
) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "solo", "alice or (bob and after height 100000)")
    paid_into(node, alice, "solo", "10")
    alice.done("contract", "spend", "solo", "bob", "1", "--out", "p.json")
    alice.done("contract", "sign", "p.json", "--yes")
    for _ in range(3):
        racer = start("contract", "submit", alice.home / "p.json", "--json", *alice.where)
        racer.kill()
        racer.wait()
    first = alice.asked("contract", "submit", "p.json")
    assert alice.asked("contract", "submit", "p.json")["txid"] == first["txid"]
    mined(node)
    address = alice.asked("contract", "show", "solo")["address"]
    assert node.get(f"/v1/accounts/{address}").json["sequence"] == 1


def test_a_vault_before_and_after_its_height(people: dict[str, Person], node: RunningNode) -> None:
    """The key in the drawer at once, the one in daily use from the height on."""
    alice, bob, _ = people.values()
    height = node.height + 12
    alice.done("contract", "vault", "bob", "alice", "--after", f"height {height}", "--name", "vault")
    alice.give("vault-for-bob.json", bob)
    bob.done("contract", "accept", "vault-for-bob.json", "--yes")
    paid_into(node, alice, "vault", "10")
    shown = bob.done("contract", "show", "vault")
    assert "can spend now  alice alone" in shown
    assert f"from block {height} on" in shown
    alice.done("contract", "spend", "vault", "bob", "1", "--out", "cold.json")
    assert "chosen" in alice.asked("contract", "sign", "cold.json", "--yes")
    alice.done("contract", "submit", "cold.json")
    mined(node, height - node.height)
    late = bob.asked("contract", "spend", "vault", "bob", "1", "--out", "hot.json")
    assert late["locks"] == {"height": height, "time": 0}
    bob.done("contract", "sign", "hot.json", "--yes")
    assert bob.asked("contract", "submit", "hot.json")["status"] == "ready"
    mined(node)
    assert "can spend now  alice alone or bob alone" in bob.done("contract", "show", "vault")


def test_a_signed_payment_is_taken_back_by_another_in_its_place(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "back", "alice or (bob and after height 900001)")
    paid_into(node, alice, "back", "10")
    for number, fee in ((1, "0.001"), (2, "0.002")):
        file = f"{number}.json"
        alice.done("contract", "spend", "back", "bob", "1", "--sequence", "0", "--fee", fee, "--out", file)
        alice.done("contract", "sign", file, "--yes")
    alice.done("contract", "submit", "1.json")
    assert "another payment in the same place waits" in alice.done("contract", "sign", "2.json")
    alice.refused("contract", "submit", "2.json")
    sent = alice.asked("contract", "submit", "2.json", "--replace")
    mined(node)
    assert node.get(f"/v1/transactions/{sent['txid']}").json["status"] == "confirmed"
    assert "took this one's place" in alice.refused("contract", "submit", "1.json")


def test_a_proposal_is_signed_without_a_node_which_is_said(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "cold", "alice or (bob and after height 900002)")
    paid_into(node, alice, "cold", "10")
    alice.done("contract", "spend", "cold", "bob", "1", "--out", "p.json")
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = moneyer("contract", "sign", alice.home / "p.json", "--yes", "--data", alice.data, "--node", nowhere)
    assert done.returncode == 0, done.stderr
    assert "no node answers" in done.stdout
    assert alice.asked("contract", "submit", "p.json")["status"] == "ready"
    mined(node)


def test_the_fee_suffices_for_whoever_signs(people: dict[str, Person], node: RunningNode) -> None:
    """Nine signatures are over 512 bytes: each started 512 cost the least fee once more."""
    alice = people["alice"]
    others = [key(f"signer {number}").payload[1:].hex() for number in range(10)]
    alice.done("contract", "new", "many", f"alice or 9 of ({', '.join(others)})")
    paid_into(node, alice, "many", "10")
    proposal = alice.asked("contract", "spend", "many", "bob", "1", "--out", "p.json")
    assert proposal["fee"] == 3  # 350 bytes of policy, 585 of signatures, 145 of the rest


def test_a_name_is_a_key_a_contact_or_a_contract(people: dict[str, Person]) -> None:
    """Else what is sent to a till would go to somebody of that name."""
    alice = people["alice"]
    assert "is a key or a contact already" in alice.refused("contract", "new", "Bob", "alice or carol")
    alice.done("contract", "new", "till", "alice or carol")
    address = key("dora").address(alice.node.coin)
    for words in (("wallet", "contact", "Till", address), ("wallet", "rename", "alice", "till")):
        done = moneyer(*words, "--data", alice.data)
        assert done.returncode == 1
        assert "till is a contract already" in done.stderr


def test_nothing_is_proposed_from_what_is_locked(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "vesting", "alice", "--after", "2090-01-01", "--name", "later")
    paid_into(node, alice, "later", "10")
    said = alice.refused("contract", "spend", "later", "bob", "1")
    assert "it is locked until 2090-01-01 00:00 UTC" in said


def test_an_escrow_is_paid_out_by_buyer_and_arbiter(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, carol = people.values()
    alice.done("contract", "escrow", "alice", "bob", "carol", "--name", "deal")
    for other in (bob, carol):
        alice.give(f"deal-for-{other.name}.json", other)
        other.done("contract", "accept", f"deal-for-{other.name}.json", "--yes")
    paid_into(node, alice, "deal", "10")
    line = alice.asked("contract", "spend", "deal", "alice", "9")["line"]
    for person in (alice, carol):
        line = person.asked("contract", "sign", line, "--yes")["line"]
    assert carol.asked("contract", "submit", line)["status"] == "ready"
    mined(node)


def test_an_heir_takes_over_from_a_time_on(tmp_path: Path) -> None:
    """The chain's clock is that of its blocks: before the first one it stands at genesis."""
    data = tmp_path / "data"
    with own_node(data, COIN) as node, mining(data, "demand"):
        wait_until(lambda: node.get("/v1/mining").json["worker"]["alive"], 60, "the worker")
        alice, bob = (Person(name, tmp_path / name, node).knows("alice", "bob") for name in ("alice", "bob"))
        time = COIN.timestamp + 3_600
        assert "has come already" in alice.refused(
            "contract", "inherit", "alice", "bob", "--after", "2020-01-01", status=2
        )
        alice.done("contract", "inherit", "alice", "bob", "--after", f"time {time}", "--name", "will")
        alice.give("will-for-bob.json", bob)
        bob.done("contract", "accept", "will-for-bob.json", "--yes")
        assert "can spend now  alice alone" in bob.done("contract", "show", "will")
        early = bob.asked("contract", "spend", "will", "bob", "1", "--out", "early.json")
        assert early["chosen"] == []  # alice's way: the only one that is open
        assert "your key has no part" in bob.refused("contract", "sign", "early.json", "--yes")
        paid_into(node, alice, "will", "10")
        late = bob.asked("contract", "spend", "will", "bob", "1", "--out", "late.json")
        assert late["locks"] == {"height": 0, "time": time}
        bob.done("contract", "sign", "late.json", "--yes")
        assert "takes another way" in bob.refused("contract", "combine", "late.json", "early.json")
        assert bob.asked("contract", "submit", "late.json")["status"] == "ready"
        mined(node)


def test_assets_are_paid_from_a_contract(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "box", "alice or (bob and after height 100000)")
    address = paid_into(node, alice, "box", "10")
    asset = issued(node, coin_payload(node, address))
    mined(node)
    assert f"3 TICKET (asset {asset})" in alice.done("contract", "show", "box")
    shown = alice.done("contract", "spend", "box", "bob", "2", "TICKET", "--out", "tickets.json")
    assert f"pays       2 TICKET (asset {asset})" in shown
    alice.done("contract", "sign", "tickets.json", "--yes")
    alice.done("contract", "submit", "tickets.json")
    mined(node)
    bobs = node.get(f"/v1/accounts/{key('bob').address(node.coin)}/assets").json["assets"]
    assert [each["amount"] for each in bobs if each["asset"] == asset] == [2]
    assert "there is no asset" in alice.refused("contract", "spend", "box", "bob", "2", "NOTHING")


def coin_payload(node: RunningNode, address: str) -> bytes:
    return node.coin.payload(address)


def issued(node: RunningNode, receiver: bytes) -> str:
    """The id of an asset of which a receiver has three."""
    sequence = node.get(f"/v1/accounts/{key('bob').address(node.coin)}").json["pending"]["next_sequence"]
    unsigned = Issue(key("bob").payload, 1, sequence, b"", b"", receiver, 3, 3, 0, b"TICKET", b"a ticket", bytes(32))
    spend = sign_spend(key("bob").secret, node.coin.chain_id, unsigned, aux_rand=bytes(32))
    assert isinstance(spend, Issue)
    answer = node.post("/v1/transactions", {"raw": codec.encode_transaction(spend).hex()})
    assert answer.status == 201, answer.body
    return codec.asset_id(node.coin.chain_id, spend).hex()


def test_a_secret_opens_a_way_and_is_never_an_argument(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, _ = people.values()
    digest = sha256(b"\x09" * 32).hexdigest()
    text = f"(bob and hash {digest}) or (alice and after height 100000)"
    alice.done("contract", "new", "half", text)
    alice.give("half-for-bob.json", bob)
    bob.done("contract", "accept", "half-for-bob.json", "--yes")
    paid_into(node, alice, "half", "10")
    assert "the secret of" in bob.refused("contract", "spend", "half", "bob", "9")
    (bob.home / "secret").write_text("09" * 32 + "\n")
    bob.done("contract", "spend", "half", "bob", "9", "--preimage-file", "secret", "--out", "claim.json")
    bob.done("contract", "sign", "claim.json", "--yes")
    assert bob.asked("contract", "submit", "claim.json")["status"] == "ready"
    mined(node)
    (bob.home / "secret").write_text("no secret")
    said = bob.refused("contract", "spend", "half", "bob", "9", "--preimage-file", "secret")
    assert "64 hex digits" in said


# a contract is given, kept, lost and found


def test_receipts_have_the_makers_names_for_the_signers(people: dict[str, Person], node: RunningNode) -> None:
    """Whoever joined a coin calls his own key `miner`: files of that name would be written over one another."""
    alice, bob, carol = people.values()
    alice.done("contract", "new", "twins", "2 of (alice, bob, carol) and after height 2")
    for other in (bob, carol):
        done = moneyer("wallet", "rename", other.name, "mine", "--data", other.data)
        assert done.returncode == 0, done.stderr
        alice.give(f"twins-for-{other.name}.json", other)
        kept = other.done("contract", "accept", f"twins-for-{other.name}.json", "--yes")
        assert "your key       mine" in kept
        other.give(f"twins-receipt-{other.name}.json", alice)
    said = alice.done("contract", "receipt", "twins-receipt-bob.json", "twins-receipt-carol.json")
    assert "Ready: yes" in said


def test_a_contract_is_found_again(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, carol = people.values()
    ready_till(people, "lost", ("carol", "alice", "bob"))  # an address of its own on this chain
    address = paid_into(node, alice, "lost", "10")
    shutil.rmtree(alice.data / "contracts")
    found = alice.asked("contract", "recover")
    assert address not in [each["address"] for each in found["contracts"]]
    assert address in found["hidden"]
    carol.done("contract", "export", "lost", "copy.json")
    carol.give("copy.json", alice)
    assert "lost" in alice.done("contract", "recover", "copy.json")
    assert alice.asked("contract", "show", "lost")["address"] == address
    line = alice.asked("contract", "spend", "lost", "alice", "1")["line"]
    for person in (alice, carol):
        line = person.asked("contract", "sign", line, "--yes")["line"]
    carol.done("contract", "submit", line)
    mined(node)
    for person, words in ((alice, ("contract", "recover")), (bob, ("contract", "recover", address))):
        shutil.rmtree(person.data / "contracts")
        person.done(*words)
        names = [each["name"] for each in person.asked("contract", "list")["contracts"] if each["address"] == address]
        assert names, "a spend shows the policy to everybody"


def test_a_contract_is_found_in_a_proposal_too(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, _ = people.values()
    alice.done("contract", "new", "asked", "(alice and bob) or (carol and after height 900003)")
    alice.done("contract", "spend", "asked", "bob", "1", "--out", "p.json")
    alice.give("p.json", bob)
    found = bob.asked("contract", "recover", "p.json", "--name", "of alice")
    assert [each["name"] for each in found["contracts"]] == ["of alice"]
    assert bob.asked("contract", "show", "of alice")["address"] == alice.asked("contract", "show", "asked")["address"]


BAD_POLICIES = [
    ("alice or after height 5", "without a key"),
    ("alice and alice", "stands in the policy already"),
    ("alice and bob or carol", "put brackets"),
    ("2 of (alice, bbo)", 'no "bbo"'),
    ("3 of (alice, bob)", "1 to 2 can be asked for"),
]


@pytest.mark.parametrize(("text", "words"), BAD_POLICIES)
def test_a_policy_that_would_lose_money_is_not_made(people: dict[str, Person], text: str, words: str) -> None:
    alice = people["alice"]
    assert words in alice.refused("contract", "new", "bad", text)
    assert not (alice.data / "contracts").exists()


def test_all_of_all_is_warned_of_and_one_key_more_helps(people: dict[str, Person]) -> None:
    alice = people["alice"]
    said = alice.done("contract", "multisig", "2", "alice", "bob", "--name", "both")
    assert "if one of them is lost, so is the money" in said
    assert "--spare WHO" in said
    said = alice.done("contract", "multisig", "2", "alice", "bob", "--spare", "carol", "--name", "safer")
    assert "any 2 of alice, bob, carol" in said


def test_a_contract_is_not_accepted_that_was_changed_or_made_for_others(people: dict[str, Person]) -> None:
    alice, bob, carol = people.values()
    alice.done("contract", "multisig", "2", "alice", "bob", "--name", "pair")
    path = alice.give("pair-for-bob.json", carol)
    assert "none of the keys of this contract is in this wallet" in carol.refused(
        "contract", "accept", "pair-for-bob.json", "--yes"
    )
    held = json.loads(path.read_text())
    signature = {key("bob").payload[1:].hex(): "11" * 64}
    (bob.home / "x.json").write_text(json.dumps({**held, "receipts": signature}))
    assert "was changed" in bob.refused("contract", "accept", "x.json", "--yes")
    (bob.home / "x.json").write_text(json.dumps({**held, "policy": "0400"}))
    assert "the policy in this file is none" in bob.refused("contract", "accept", "x.json", "--yes")
    keyless = "040102" + "00" + key("bob").payload[1:].hex() + "0205000000"
    anybody = {**held, "policy": keyless, "names": {}, "receipts": {}}
    (bob.home / "x.json").write_text(json.dumps(anybody))
    assert "without a key" in bob.refused("contract", "accept", "x.json", "--yes")
    assert not (bob.data / "contracts").exists()


def test_a_receipt_is_good_for_one_contract(people: dict[str, Person]) -> None:
    alice, bob, _ = people.values()
    for name, text in (("one", "2 of (alice, bob)"), ("two", "2 of (bob, alice)")):
        alice.done("contract", "new", name, text.replace("2 of (", "").replace(", ", " and ").replace(")", ""))
        alice.give(f"{name}-for-bob.json", bob)
        bob.done("contract", "accept", f"{name}-for-bob.json", "--yes")
    one, two = (json.loads((bob.home / f"{name}-receipt-bob.json").read_text()) for name in ("one", "two"))
    (alice.home / "x.json").write_text(json.dumps({**one, "address": two["address"]}))
    assert "the signature of this receipt is wrong" in alice.refused("contract", "receipt", "x.json")
    bob.give("one-receipt-bob.json", alice)
    alice.done("contract", "receipt", "one-receipt-bob.json")
    ready = {each["name"]: each["ready"] for each in alice.asked("contract", "list")["contracts"]}
    assert ready == {"one": True, "two": False}


def test_a_damaged_book_gives_a_sentence(people: dict[str, Person]) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "whole", "alice or bob")
    alice.done("contract", "new", "broken", "alice or carol")
    path = alice.data / "contracts" / "broken.json"
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:50])
    assert "A co-signer's copy puts it right" in alice.refused("contract", "show", "broken")
    done = moneyer("contract", "list", *alice.where)
    assert "whole" in done.stdout
    assert "broken" in done.stderr


def test_no_name_of_a_file_passes_for_ones_own(people: dict[str, Person]) -> None:
    """Mallory calls her key carol: who knows another carol sees the key's digits."""
    alice, bob, _ = people.values()
    mallory = key("mallory").payload[1:]
    alice.done("contract", "new", "trap", f"2 of (alice, bob, {mallory.hex()})")
    held = json.loads((alice.home / "trap-for-bob.json").read_text())
    held["names"][mallory.hex()] = "carol"
    (bob.home / "trap.json").write_text(json.dumps(held))
    shown = bob.done("contract", "accept", "trap.json", "--yes")
    assert f"key {mallory.hex()[:8]}" in shown
    assert "carol" not in shown


def test_no_secret_is_in_any_file(people: dict[str, Person], node: RunningNode) -> None:
    alice = people["alice"]
    alice.done("contract", "new", "plain", "alice or bob")
    paid_into(node, alice, "plain", "5")
    alice.done("contract", "spend", "plain", "bob", "1", "--out", "p.json")
    alice.done("contract", "sign", "p.json", "--yes")
    secret = key("alice").secret
    for path in (*alice.home.glob("*.json"), *(alice.data / "contracts").iterdir()):
        content = path.read_bytes()
        assert secret.hex().encode() not in content
        assert secret not in content


def test_send_says_which_contract_it_pays_and_whether_it_is_ready(people: dict[str, Person], node: RunningNode) -> None:
    alice, bob, _ = people.values()
    alice.done("contract", "new", "unready", "(bob and carol) or (alice and after height 900000)")
    done = moneyer("send", "alice", "unready", "1", *alice.where, cwd=alice.home)
    assert done.returncode == 0
    assert "unready is the contract unready of this wallet's folder: bob and carol together" in done.stderr
    assert "it is not ready: no receipt of bob, carol yet" in done.stderr
    address = alice.asked("contract", "show", "unready")["address"]
    done = moneyer("send", "bob", address, "1", *bob.where, cwd=bob.home)
    assert "This wallet does not know the contract" in done.stderr
    mined(node)


def test_a_coin_of_rules_1_has_no_contracts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "coin.toml").write_text(coin_to_toml(own_coin()))
    assert "has rules 1" in refusal(moneyer("contract", "list", "--data", data))
