"""The attacks on one node: a class each says what is done, makes the block, and names the rule that must stop it.

`make` gets the ground, whose `honest` block breaks no rule, and gives a block that breaks one. To add an attack: one
class here, and its name in `ATTACKS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final

from ...core import codec, ledger, pow, rules
from ...core.types import Block, Coinbase, Transaction, Transfer
from .attack_ground import Ground


class Attack(ABC):
    """One attack. Its attributes are for readers; `make` is what it does."""

    name: ClassVar[str]
    title: ClassVar[str]
    story: ClassVar[str]
    """What is done, and what it would gain."""
    code: ClassVar[str]
    """Of the error that answers it."""
    stage: ClassVar[int]
    """Of docs/protocol.md, section 7."""
    rule: ClassVar[Callable[..., Any]]
    """The function of `node.core` that refuses it."""

    @abstractmethod
    def make(self, ground: Ground) -> Block:
        """The block that is sent."""

    @property
    def sentence(self) -> str:
        """What the rule is for: the first paragraph of its function's docstring."""
        return " ".join((type(self).rule.__doc__ or "").strip().split("\n\n")[0].split())

    @property
    def function(self) -> str:
        """Where the rule stands, as a file and a name."""
        rule = type(self).rule
        path = rule.__module__.partition(".")[2].replace(".", "/")
        return f"{path}.py {rule.__name__}"

    @property
    def section(self) -> str:
        """Where it is written."""
        return f"docs/protocol.md, section 7, stage {self.stage}"


def _transfer(block: Block, number: int) -> Transfer:
    transaction = block.transactions[number]
    assert isinstance(transaction, Transfer)  # noqa: S101 - of a block that was made here
    return transaction


def _coinbase(block: Block) -> Coinbase:
    return ledger.coinbase_of(block)


def _with(block: Block, number: int, transaction: Transaction) -> list[Transaction]:
    """The block's transactions, with another one in one's place."""
    return [*block.transactions[:number], transaction, *block.transactions[number + 1 :]]


def _raised(ground: Ground) -> list[Transaction]:
    """The honest block's transactions, with Alice's payment of 5 coins made one of 500."""
    return _with(ground.honest, 1, replace(_transfer(ground.honest, 1), amount=ground.units(500)))


class Tamper(Attack):
    name = "tamper"
    title = "Tamper with a block"
    story = (
        "Alice's payment of 5 coins in a mined block is made one of 500. The header stays as it is, so its work still "
        "holds: but the header commits to the body, and this is another body."
    )
    code, stage, rule = "bad_merkle_root", 4, rules.check_merkle_root

    def make(self, ground: Ground) -> Block:
        return Block(ground.honest.header, tuple(_raised(ground)))


class TamperRoot(Attack):
    name = "tamper-root"
    title = "Tamper with a block, and mend its Merkle root"
    story = (
        "As `tamper`, and the header commits to the new body. That is another header, with another hash, and the work "
        "that was spent on the old one is worth nothing for it."
    )
    code, stage, rule = "high_hash", 2, rules.check_proof_of_work

    def make(self, ground: Ground) -> Block:
        body = tuple(_raised(ground))
        root = codec.merkle_root([codec.txid(each) for each in body])
        header = replace(ground.honest.header, merkle_root=root)
        return Block(replace(header, nonce=ground.unsolved(header)), body)


class TamperWork(Attack):
    name = "tamper-work"
    title = "Tamper with a block, and mine it again"
    story = (
        "As `tamper-root`, and the work is done once more, as an attacker with enough machines could. But Alice has "
        "signed 5 coins, not 500."
    )
    code, stage, rule = "bad_signature", 5, ledger.bad_signature

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, _raised(ground))


class NoWork(Attack):
    name = "no-work"
    title = "Send a block without work"
    story = "A right block, but for its nonce: none was searched. Were it taken, blocks would cost nothing."
    code, stage, rule = "high_hash", 2, rules.check_proof_of_work

    def make(self, ground: Ground) -> Block:
        header = ground.honest.header
        return replace(ground.honest, header=replace(header, nonce=ground.unsolved(header)))


class SpendTwice(Attack):
    name = "spend-twice"
    title = "Spend the same coins twice"
    story = (
        "Alice signs two payments of her next sequence, one to Bob and one to Carol, and a block holds both. Each is "
        "right by itself. (On two branches they are what a double spend is: `moneyer lab list` has that experiment.)"
    )
    code, stage, rule = "bad_sequence", 5, ledger.check_sequence

    def make(self, ground: Ground) -> Block:
        again = ground.transfer("alice", "carol", ground.units(5))
        return ground.solved(ground.honest, [*ground.honest.transactions, again])


class RepeatTransfer(Attack):
    name = "repeat-transfer"
    title = "Collect a payment again and again"
    story = (
        "Bob was paid 5 coins once and puts the payment into the next block too: Alice's signature is as right as it "
        "was. Her sequence has moved on meanwhile. (Where she has paid nothing yet, her own first payment is put in "
        "behind one with a higher number.)"
    )
    code, stage, rule = "bad_sequence", 5, ledger.check_sequence

    def make(self, ground: Ground) -> Block:
        used = ground.accounts["alice"].sequence - 1
        again = ground.transfer("alice", "bob", ground.units(5), sequence=used if used >= 0 else 1)
        return ground.solved(ground.honest, _with(ground.honest, 1, again))


class Overspend(Attack):
    name = "overspend"
    title = "Spend more than there is"
    story = "Alice pays Bob one base unit more than she has, with a right signature and a right sequence."
    code, stage, rule = "insufficient_funds", 5, ledger.check_funds

    def make(self, ground: Ground) -> Block:
        paid = ground.transfer("alice", "bob", ground.accounts["alice"].balance + 1)
        return ground.solved(ground.honest, _with(ground.honest, 1, paid))


class MintTooMuch(Attack):
    name = "mint-too-much"
    title = "Mint too much"
    story = "Erin, who mines the block, pays herself a coin more than the subsidy and the fees."
    code, stage, rule = "bad_coinbase_amount", 5, ledger.check_coinbase_amount

    def make(self, ground: Ground) -> Block:
        coinbase = _coinbase(ground.honest)
        more = replace(coinbase, amount=coinbase.amount + ground.units(1))
        return ground.solved(ground.honest, _with(ground.honest, 0, more))


class MintTwice(Attack):
    name = "mint-twice"
    title = "Mint twice in one block"
    story = "The block has a second coinbase, which pays Erin the same reward once more."
    code, stage, rule = "extra_coinbase", 4, rules.check_one_coinbase

    def make(self, ground: Ground) -> Block:
        again = replace(_coinbase(ground.honest), extra=b"again")
        return ground.solved(ground.honest, [*ground.honest.transactions, again])


class OldCoinbase(Attack):
    name = "old-coinbase"
    title = "Mint for another height"
    story = (
        "The coinbase names the height of the block before. Were it taken, two coinbases could be the same bytes with "
        "the same txid, as it happened in Bitcoin before BIP34."
    )
    code, stage, rule = "bad_coinbase_height", 5, ledger.check_coinbase_height

    def make(self, ground: Ground) -> Block:
        older = replace(_coinbase(ground.honest), height=ground.height)
        return ground.solved(ground.honest, _with(ground.honest, 0, older))


class ForgeSignature(Attack):
    name = "forge-signature"
    title = "Forge a signature"
    story = "Erin pays herself 5 of Alice's coins, and signs with her own key, since she hasn't Alice's."
    code, stage, rule = "bad_signature", 5, ledger.bad_signature

    def make(self, ground: Ground) -> Block:
        stolen = ground.transfer("alice", "erin", ground.units(5), signer="erin")
        return ground.solved(ground.honest, _with(ground.honest, 1, stolen))


class ReplayOtherCoin(Attack):
    name = "replay"
    title = "Replay a payment of another coin"
    story = (
        "Alice has the same key on another coin, and paid Bob 5 there. Bob takes that payment, byte by byte, and puts "
        "it into a block of this coin. What she signed begins with the other coin's chain id."
    )
    code, stage, rule = "bad_signature", 5, ledger.bad_signature

    def make(self, ground: Ground) -> Block:
        other = codec.sha256d(b"another coin's genesis")
        foreign = ground.transfer("alice", "bob", ground.units(5), chain_id=other)
        return ground.solved(ground.honest, _with(ground.honest, 1, foreign))


class Backdate(Attack):
    name = "backdate"
    title = "Backdate a block"
    story = (
        "The block's time is the median of the eleven before it, and so too old by a second. Were time to run "
        "backwards, a miner could make the retarget believe what it likes."
    )
    code, stage, rule = "time_too_old", 3, rules.check_time_not_old

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, timestamp=ground.median_time_past)


class FutureTime(Attack):
    name = "future-time"
    title = "Date a block into the future"
    story = (
        "The block's time is ten minutes beyond what the node's clock allows. Blocks that seem to take long make the "
        "next ones easier."
    )
    code, stage, rule = "time_too_new", 3, rules.check_time_not_new

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, timestamp=ground.now() + ground.coin.clock_tolerance + 600)


class EasyBits(Attack):
    name = "easy-bits"
    title = "Set an easier target than the coin allows"
    story = "The header's bits allow four times as many hashes as the coin's easiest target, `pow_limit`."
    code, stage, rule = "bad_bits", 2, rules.check_bits_allowed

    def make(self, ground: Ground) -> Block:
        easier = min(4 * ground.coin.target_limit, (1 << 256) - 1)
        return ground.solved(ground.honest, bits=pow.encode_bits(easier))


class OwnBits(Attack):
    name = "own-bits"
    title = "Choose one's own difficulty"
    story = (
        "The header's bits ask for twice the work that the retarget does, and the work was done. Harder is no more "
        "right than easier: if miners chose, one could make its blocks count for more whenever that suits it."
    )
    code, stage, rule = "bad_bits", 3, rules.check_bits_in_context

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, bits=pow.encode_bits(pow.decode_bits(ground.bits) // 2))


class OtherVersion(Attack):
    name = "other-version"
    title = "Send a block of another version"
    story = "The header's version is 2, which no rule speaks of."
    code, stage, rule = "bad_version", 2, rules.check_version

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, version=2)


class OtherGenesis(Attack):
    name = "other-genesis"
    title = "Begin the chain anew"
    story = "The block has no parent, as if it was the first of a chain of its own."
    code, stage, rule = "wrong_genesis", 3, rules.check_not_genesis

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, prev_hash=bytes(32))


class WrongRoot(Attack):
    name = "wrong-root"
    title = "Commit to a body that nobody has"
    story = "The header's Merkle root is a made-up hash, and the work was done on it. The body is an honest one."
    code, stage, rule = "bad_merkle_root", 4, rules.check_merkle_root

    def make(self, ground: Ground) -> Block:
        return ground.solved(ground.honest, merkle_root=codec.sha256d(b"no body has this root"))


class MutatedBody(Attack):
    name = "mutated-body"
    title = "Send a good block with a mutated body (CVE-2012-2459)"
    story = (
        "The block's last transaction is repeated. A Merkle tree of three leaves pairs the last one with itself, so "
        "the root, the header, the work and the hash stay what they were. A node that took this for the block, and "
        "remembered its hash as bad, would refuse the true block ever after, as Bitcoin's did until 2012. Moneyer's "
        "says `mutated` before it looks at anything else, and remembers nothing."
    )
    code, stage, rule = "mutated", 4, rules.check_not_mutated

    def make(self, ground: Ground) -> Block:
        body = ground.honest.transactions
        return Block(ground.honest.header, (*body, body[-1]))


class PayNothing(Attack):
    name = "pay-nothing"
    title = "Pay nothing"
    story = "Alice pays Bob 0 coins. Such payments would fill blocks, and cost their sender nothing."
    code, stage, rule = "bad_amount", 4, rules.check_amount

    def make(self, ground: Ground) -> Block:
        nothing = ground.transfer("alice", "bob", 0)
        return ground.solved(ground.honest, _with(ground.honest, 1, nothing))


class TooLarge(Attack):
    name = "too-large"
    title = "Send a block that is too large"
    story = (
        "The block is filled with payments until it is over the coin's `max_block_bytes`. The node counts the bytes "
        "before it decodes one of them."
    )
    code, stage, rule = "block_too_large", 1, rules.check_size

    def make(self, ground: Ground) -> Block:
        filling = _transfer(ground.honest, 1)
        count = ground.coin.max_block_bytes // codec.transaction_size(filling) + 1
        return Block(ground.honest.header, (_coinbase(ground.honest), *[filling] * count))


ATTACKS: Final[tuple[Attack, ...]] = (
    Tamper(),
    TamperRoot(),
    TamperWork(),
    SpendTwice(),
    RepeatTransfer(),
    Overspend(),
    MintTooMuch(),
    MintTwice(),
    OldCoinbase(),
    ForgeSignature(),
    ReplayOtherCoin(),
    Backdate(),
    FutureTime(),
    MutatedBody(),
    WrongRoot(),
    NoWork(),
    EasyBits(),
    OwnBits(),
    OtherVersion(),
    OtherGenesis(),
    PayNothing(),
    TooLarge(),
)
"""In the order in which they are shown."""
