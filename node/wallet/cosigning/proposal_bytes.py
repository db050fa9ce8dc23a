"""Proposals as bytes: a JSON file, or a line for a chat. Nothing of what they say is believed.

The policy must have the sender's hash, the chosen leaves must allow a spend that is exactly enough, and each signature
must be by a key of the policy over this very transaction. What a person is shown is computed from these bytes, and from
the chain.

**The line** is `moneyer-proposal1:` and base64url of the same content in binary (lengths and counts little-endian):
`chain_id 32 · u16 unsigned · u16 policy · u8 chosen · u8 preimages, 32 each · u8 signatures, key u8 and 64 each ·
checksum 8`, where a key is its number among the policy's keys. The checksum of both forms, the first bytes of a
SHA-256, is against slips of the hand; it protects nothing.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from ...core.codec import decode_spend, encode_unsigned, show, unshow
from ...core.coin import Coin
from ...core.errors import BadWitness, Malformed, RuleError
from ...core.policy import Hash, Key, Shape, decode_policy, payload_of_policy
from ...core.rules import check_amount, check_memo, check_receiver, check_sequence_range
from ...core.signing import verify
from ...core.types import LATEST_RULES, POLICY_KIND, Payment
from ...system.decoding import prepare
from ...system.words import place_of
from ..walletfile import Hex32
from .errors import BadProposal
from .leaf_signing import most_leaves
from .proposals import Proposal
from .receipts import Hex64

LINE_START: Final = "moneyer-proposal1:"
MAX_PROPOSAL: Final = 2**16
"""Bytes of a file."""
MAX_LINE: Final = 16_384
"""Characters of a line; with 20 signatures and the largest policy it has under 6,000."""
_CHECKSUM: Final = 8
"""Bytes."""
_MOST: Final = 64

_TransactionHex = Annotated[
    str, msgspec.Meta(pattern="^([0-9a-f]{2})+$", max_length=10_000, description="bytes in hex")
]
_Checksum = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$", max_length=16, description="16 hex digits")]
_Index = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Hex32
    signature: Hex64


class _ProposalFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file."""

    format: Literal["moneyer-proposal"]
    version: Literal[1]
    chain_id: Hex32
    """As the API shows it."""
    unsigned: _TransactionHex
    """The transaction's bytes before its witness."""
    policy: _TransactionHex
    chosen: Annotated[list[_Index], msgspec.Meta(max_length=_MOST)]
    """Leaves that are named and are no keys, ascending."""
    preimages: Annotated[list[Hex32], msgspec.Meta(max_length=_MOST)]
    signatures: Annotated[list[_Signed], msgspec.Meta(max_length=_MOST)]
    checksum: _Checksum


prepare(_ProposalFile)


def encode_proposal(proposal: Proposal) -> bytes:
    """The file of a proposal."""
    held = _ProposalFile(
        "moneyer-proposal",
        1,
        show(proposal.coin.chain_id),
        encode_unsigned(proposal.spend).hex(),
        proposal.raw_policy.hex(),
        list(proposal.chosen),
        [preimage.hex() for preimage in proposal.preimages.values()],
        [_Signed(key.hex(), signature.hex()) for key, signature in proposal.signatures.items()],
        _checksum(_packed(proposal)).hex(),
    )
    return msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n"


def line_of(proposal: Proposal) -> str:
    """The proposal as one line, for a chat."""
    packed = _packed(proposal)
    text = base64.urlsafe_b64encode(packed + _checksum(packed)).decode().rstrip("=")
    return LINE_START + text


def _packed(proposal: Proposal) -> bytes:
    return _pack(
        proposal.coin.chain_id,
        encode_unsigned(proposal.spend),
        proposal.raw_policy,
        proposal.chosen,
        list(proposal.preimages.values()),
        [(proposal.keys.index(key), signature) for key, signature in proposal.signatures.items()],
    )


def _pack(
    chain_id: bytes,
    unsigned: bytes,
    raw_policy: bytes,
    chosen: Iterable[int],
    preimages: list[bytes],
    signatures: list[tuple[int, bytes]],
) -> bytes:
    """`signatures`: the number of the key among the policy's keys, and the signature."""
    leaves = bytes(chosen)
    return b"".join(
        [
            chain_id,
            struct.pack("<H", len(unsigned)),
            unsigned,
            struct.pack("<H", len(raw_policy)),
            raw_policy,
            bytes([len(leaves)]),
            leaves,
            bytes([len(preimages)]),
            *preimages,
            bytes([len(signatures)]),
            *[bytes([number]) + signature for number, signature in signatures],
        ]
    )


def _checksum(packed: bytes) -> bytes:
    return sha256(packed).digest()[:_CHECKSUM]


def decode_proposal(content: bytes, coin: Coin) -> Proposal:
    """The proposal in a file, or in a line, after all checks. Raises BadProposal with a sentence."""
    if len(content) > MAX_PROPOSAL:
        raise BadProposal(f"this is too large for a proposal: {len(content):,} bytes, and {MAX_PROPOSAL:,} is the most")
    if content.lstrip()[: len(LINE_START)] == LINE_START.encode():
        return _of_line(content, coin)
    try:
        held = msgspec.json.decode(content, type=_ProposalFile)
    except (msgspec.MsgspecError, RecursionError):
        raise BadProposal(
            f"this is no proposal, or it was cut or damaged on its way ({place_of(_ProposalFile, content)})"
        ) from None
    raw_policy = bytes.fromhex(held.policy)
    signatures = [(bytes.fromhex(each.key), bytes.fromhex(each.signature)) for each in held.signatures]
    keys = [leaf.key for leaf in _shape(raw_policy).leaves if isinstance(leaf, Key)]
    strange = next((key for key, _ in signatures if key not in keys), None)
    if strange is not None:
        raise BadProposal(f"this proposal has a signature by {strange.hex()[:8]}…, a key that is not in its contract")
    read = _Read(
        unshow(held.chain_id),
        bytes.fromhex(held.unsigned),
        raw_policy,
        held.chosen,
        [bytes.fromhex(preimage) for preimage in held.preimages],
        [(keys.index(key), signature) for key, signature in signatures],
    )
    if _checksum(read.packed()).hex() != held.checksum:
        raise BadProposal("this proposal was changed or damaged on its way: its checksum does not fit; ask for it anew")
    return read.checked(coin)


def _of_line(content: bytes, coin: Coin) -> Proposal:
    text = b"".join(content.split())[len(LINE_START) :]  # chats break long lines
    if len(text) > MAX_LINE:
        raise BadProposal(
            f"this line is too long for a proposal: {len(text):,} characters, and {MAX_LINE:,} is the most"
        )
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadProposal(
            "this line has a character that does not belong there: copy it whole, without what stands around it"
        ) from None
    packed, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if _checksum(packed) != checksum:
        raise BadProposal("this line was cut or changed on its way: its checksum does not fit; copy it whole")
    try:
        return _unpacked(packed).checked(coin)
    except (struct.error, IndexError):
        raise BadProposal("this line is no proposal") from None


@dataclass(frozen=True, slots=True)
class _Read:
    """The parts of a proposal as they were read."""

    chain_id: bytes
    unsigned: bytes
    raw_policy: bytes
    chosen: list[int]
    preimages: list[bytes]
    signatures: list[tuple[int, bytes]]
    """The number of the key among the policy's keys, and the signature."""

    def packed(self) -> bytes:
        return _pack(self.chain_id, self.unsigned, self.raw_policy, self.chosen, self.preimages, self.signatures)

    def checked(self, coin: Coin) -> Proposal:
        """The proposal. Raises BadProposal."""
        if self.chain_id != coin.chain_id:
            raise BadProposal(
                f"this proposal is of another coin's chain ({show(self.chain_id)[:12]}…), and this is {coin.symbol}"
                f" ({show(coin.chain_id)[:12]}…)"
            )
        spend = _payment(self.unsigned)
        shape = _shape(self.raw_policy)
        if payload_of_policy(self.raw_policy) != spend.sender:
            raise BadProposal("the policy in this proposal is not the one of the address that pays: it was changed")
        keys = [leaf.key for leaf in shape.leaves if isinstance(leaf, Key)]
        numbers = [number for number, _ in self.signatures]
        if any(number >= len(keys) for number in numbers):
            raise BadProposal("this proposal has a signature by a key that is not in its contract")
        if len(set(numbers)) != len(numbers):
            raise BadProposal("this proposal has two signatures by one key: it was put together wrongly")
        proposal = Proposal(
            coin=coin,
            spend=spend,
            raw_policy=self.raw_policy,
            chosen=_chosen(shape, self.chosen),
            preimages=_preimages(shape, self.chosen, self.preimages),
            signatures={keys[number]: signature for number, signature in self.signatures},
        )
        for key, signature in proposal.signatures.items():
            if not verify(key, proposal.digest, signature):
                raise BadProposal(
                    f"the signature by {key.hex()[:8]}… in this proposal is wrong: it was made for another payment, or"
                    " changed"
                )
        return proposal


def _unpacked(packed: bytes) -> _Read:
    """Raises struct.error or IndexError where bytes are missing, BadProposal where some are left."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        if at + size > len(packed):
            raise IndexError
        at += size
        return packed[at - size : at]

    chain_id = take(32)
    unsigned = take(*struct.unpack("<H", take(2)))
    raw_policy = take(*struct.unpack("<H", take(2)))
    chosen = list(take(take(1)[0]))
    preimages = [take(32) for _ in range(take(1)[0])]
    signatures = [(take(1)[0], take(64)) for _ in range(take(1)[0])]
    if at != len(packed):
        raise BadProposal("bytes are left over behind this proposal: it was put together wrongly")
    return _Read(chain_id, unsigned, raw_policy, chosen, preimages, signatures)


def _payment(unsigned: bytes) -> Payment:
    try:
        spend = decode_spend(unsigned + bytes(2))
    except Malformed:
        raise BadProposal("the transaction in this proposal cannot be read: it was cut or changed") from None
    if not isinstance(spend, Payment):
        raise BadProposal("the transaction in this proposal is no payment, and only payments are signed this way")
    if spend.sender[0] != POLICY_KIND:
        raise BadProposal("this proposal pays from an address that is no contract")
    try:
        for check in (check_amount, check_memo, check_sequence_range):
            check(spend)
        check_receiver(spend, LATEST_RULES)
    except RuleError as error:
        raise BadProposal(f"no node would take the payment in this proposal: {error.message}") from None
    return spend


def _shape(raw_policy: bytes) -> Shape:
    try:
        return decode_policy(raw_policy)
    except BadWitness as error:
        raise BadProposal(f"the policy in this proposal is none: {error.message}") from None


def _chosen(shape: Shape, indexes: list[int]) -> tuple[int, ...]:
    if indexes != sorted(set(indexes)) or any(index >= len(shape.leaves) for index in indexes):
        raise BadProposal("the leaves that this proposal chooses are no leaves of its policy, each once and in order")
    if any(isinstance(shape.leaves[index], Key) for index in indexes):
        raise BadProposal("this proposal chooses a key as a leaf: keys choose themselves when they sign")
    if most_leaves(shape, indexes) is None:
        raise BadProposal(
            "the leaves that this proposal chooses are not exactly enough: whoever signs, the contract would not pay"
        )
    return tuple(indexes)


def _preimages(shape: Shape, chosen: list[int], given: list[bytes]) -> dict[bytes, bytes]:
    wanted = {leaf.digest for index in chosen if isinstance(leaf := shape.leaves[index], Hash)}
    found = {sha256(preimage).digest(): preimage for preimage in given}
    if len(found) != len(given) or not set(found) <= wanted:
        raise BadProposal("this proposal shows a secret that is not behind any hash that it chooses")
    return found
