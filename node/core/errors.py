"""One class a rule, each with the stable `code` of `docs/protocol.md`.

Every error says in a sentence what was wrong, and carries `details` (`expected`, `found`, `field`, …)
for a program to read. Values in `details` are JSON-ready.
"""

from __future__ import annotations

from typing import Any, ClassVar


def quoted(text: str) -> str:
    """Somebody's text in a sentence: in quotes, and escaped where it cannot be printed."""
    return f'"{"".join(each if each.isprintable() else _escaped(each) for each in text)}"'


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


class MoneyerError(Exception):
    """Root of every error that is an answer and not a bug."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class RuleError(MoneyerError):
    """A block or transfer broke a rule of consensus or of the mempool's policy."""

    code: ClassVar[str] = "invalid"


class BlockTooLarge(RuleError):
    code = "block_too_large"


class Malformed(RuleError):
    code = "malformed"


class BadVersion(RuleError):
    code = "bad_version"


class BadBits(RuleError):
    code = "bad_bits"


class HighHash(RuleError):
    code = "high_hash"


class WrongGenesis(RuleError):
    code = "wrong_genesis"


class InvalidParent(RuleError):
    code = "invalid_parent"


class TimeTooOld(RuleError):
    code = "time_too_old"


class TimeTooNew(RuleError):
    code = "time_too_new"


class Mutated(RuleError):
    code = "mutated"


class BadMerkleRoot(RuleError):
    code = "bad_merkle_root"


class NoCoinbase(RuleError):
    code = "no_coinbase"


class ExtraCoinbase(RuleError):
    code = "extra_coinbase"


class BadReceiver(RuleError):
    code = "bad_receiver"


class BadSender(RuleError):
    code = "bad_sender"


class BadAmount(RuleError):
    code = "bad_amount"


class BadMemo(RuleError):
    code = "bad_memo"


class BadSequence(RuleError):
    code = "bad_sequence"


class BadSignature(RuleError):
    code = "bad_signature"


class InsufficientFunds(RuleError):
    code = "insufficient_funds"


class BadAsset(RuleError):
    code = "bad_asset"


class BadWitness(RuleError):
    code = "bad_witness"


class Locked(RuleError):
    code = "locked"


class UnknownAsset(RuleError):
    code = "unknown_asset"


class NotIssuer(RuleError):
    code = "not_issuer"


class OverMaxSupply(RuleError):
    code = "over_max_supply"


class InsufficientAsset(RuleError):
    code = "insufficient_asset"


class BadCoinbaseHeight(RuleError):
    code = "bad_coinbase_height"


class BadCoinbaseAmount(RuleError):
    code = "bad_coinbase_amount"


class PolicyError(RuleError):
    """Refused by this node's policy; another node may think otherwise."""


class SequenceGap(PolicyError):
    code = "sequence_gap"


class FeeTooLow(PolicyError):
    code = "fee_too_low"


class MempoolFull(PolicyError):
    code = "mempool_full"


class TooDeep(PolicyError):
    code = "too_deep"


class BadAddress(MoneyerError):
    code = "bad_address"


class NoTimestamp(MoneyerError):
    """No block can be made now: its timestamp would not fit a header's 32 bits."""

    code = "no_timestamp"


class BadCoin(MoneyerError):
    """A field of `coin.toml` is missing, unknown, of another type or out of range."""

    code = "bad_coin"


def _subclasses(cls: type[RuleError]) -> list[type[RuleError]]:
    return [cls, *(deeper for sub in cls.__subclasses__() for deeper in _subclasses(sub))]


RULES: dict[str, type[RuleError]] = {
    cls.code: cls for cls in _subclasses(RuleError) if cls not in (RuleError, PolicyError)
}
"""By code, the two roots left out."""

# A relay could pair a true header with a false body: these never condemn the header's hash.
NOT_THE_HEADERS_FAULT: frozenset[str] = frozenset({"malformed", "mutated", "bad_merkle_root"})
