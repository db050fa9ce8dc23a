"""Proposals: signed by people who share only files or lines, and refused where they are not what they say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from moneyer.node.core.codec import encode_unsigned
from moneyer.node.core.policy import decode_policy, encode_policy, payload_of_policy
from moneyer.node.core.signing import sign, signature_checks, verify_many
from moneyer.node.core.types import COIN_ASSET, Mint, Payment
from moneyer.node.wallet.cosigning.errors import BadProposal
from moneyer.node.wallet.cosigning.proposal_bytes import (
    LINE_START,
    MAX_LINE,
    MAX_PROPOSAL,
    decode_proposal,
    encode_proposal,
    line_of,
)
from moneyer.node.wallet.cosigning.proposals import Proposal, combined
from tests.contracts.people import COIN, key_of, policy_of
from tests.kit.chains import easy_coin, key

TWO_OF_THREE = "2 of (alice, bob, carol)"
SECRET = b"\x05" * 32
SWAP = f"(bob and hash {sha256(SECRET).hexdigest()}) or (alice and after height 2000)"


def proposal(text: str = TWO_OF_THREE, chosen: tuple[int, ...] = (), **changes: Any) -> Proposal:
    raw = encode_policy(policy_of(text))
    spend = Payment(payload_of_policy(raw), 10, 3, b"for the roof", b"", key("dora").payload, COIN_ASSET, 500)
    return Proposal(COIN, replace(spend, **changes), raw, chosen, {}, {})


def signed(held: Proposal, *names: str) -> Proposal:
    signatures = {key_of(name): sign(key(name).secret, held.digest, bytes(32)) for name in names}
    return held.signed_with(signatures, {})


def read(content: bytes | str) -> Proposal:
    return decode_proposal(content if isinstance(content, bytes) else content.encode(), COIN)


@pytest.mark.parametrize("names", [(), ("bob",), ("carol", "alice"), ("alice", "bob", "carol")])
@pytest.mark.parametrize("form", [encode_proposal, line_of])
def test_what_was_written_reads_back(names: tuple[str, ...], form: Callable[[Proposal], bytes | str]) -> None:
    held = signed(proposal(), *names)
    assert read(form(held)) == held
    assert read(form(held)).is_complete == (len(names) > 1)


def test_a_line_bears_what_chats_do_to_it_and_is_short() -> None:
    line = line_of(signed(proposal(), "alice"))
    assert len(line) < 700
    assert read("  " + "\n> ".join([line[:80], line[80:]]).replace("> ", "") + "\n") == read(line)


def test_any_two_of_three_sign_in_any_order_and_each_pair_makes_one_transaction() -> None:
    for pair in (("alice", "bob"), ("bob", "carol"), ("carol", "alice")):
        one, other = (signed(proposal(), name) for name in pair)
        assert not one.is_complete
        both = combined(one, [other])
        assert combined(other, [one]).finished() == both.finished()
        assert all(verify_many(signature_checks(COIN.chain_id, both.finished())))


def test_a_signature_more_changes_nothing() -> None:
    two = signed(proposal(), "alice", "bob")
    assert signed(two, "carol").finished() == two.finished()
    assert two.useful([key_of("carol")]) == []
    assert signed(proposal(), "alice").useful([key_of("alice"), key_of("bob"), key_of("carol")]) == [key_of("bob")]


def test_a_hash_wants_its_secret_beside_the_signature() -> None:
    held = signed(proposal(SWAP, (1,)), "bob")
    assert not held.is_complete
    assert held.lacking_preimages == [sha256(SECRET).digest()]
    whole = held.signed_with({}, {sha256(SECRET).digest(): SECRET})
    for form in (encode_proposal(whole), line_of(whole)):
        assert read(form).finished() == whole.finished()
    late = signed(proposal(SWAP, (3,)), "alice")
    assert late.is_complete
    assert late.locks.height == 2000
    assert late.useful([key_of("bob")]) == []


def altered(**changes: Any) -> bytes:
    """A file with other fields, and the checksum of these."""
    held = json.loads(encode_proposal(signed(proposal(), "alice")))
    for name, change in changes.items():
        held[name] = change(held[name]) if callable(change) else change
    return json.dumps(held).encode()


def unsigned(**changes: Any) -> bytes:
    """A whole file of another transaction, with the signature of the first one."""
    held = signed(proposal(), "alice")
    return encode_proposal(replace(held, spend=replace(held.spend, **changes)))


def minted() -> bytes:
    held = proposal()
    spend = Mint(held.spend.sender, 10, 3, b"", b"", b"\x11" * 32, key("dora").payload, 5)
    return encode_proposal(replace(held, spend=spend))  # type: ignore[arg-type] # which it is not


def of_a_key() -> bytes:
    held = proposal()
    return encode_proposal(replace(held, spend=replace(held.spend, sender=key("alice").payload)))


def other_policy() -> bytes:
    return encode_proposal(replace(proposal(), raw_policy=encode_policy(policy_of("2 of (alice, bob, dave)"))))


def by_a_stranger() -> bytes:
    held = proposal()
    raw = json.loads(encode_proposal(held))
    signature = sign(key("dave").secret, held.digest, bytes(32)).hex()
    return json.dumps({**raw, "signatures": [{"key": key_of("dave").hex(), "signature": signature}]}).encode()


def twice() -> bytes:
    raw = json.loads(encode_proposal(signed(proposal(), "alice")))
    return json.dumps({**raw, "signatures": raw["signatures"] * 2}).encode()


def of_another_coin() -> bytes:
    other = easy_coin(name="Other Coin")
    return encode_proposal(replace(proposal(), coin=other))


def line_with(packed: bytes) -> bytes:
    whole = packed + sha256(packed).digest()[:8]
    return LINE_START.encode() + base64.urlsafe_b64encode(whole).rstrip(b"=")


def packed_of(held: Proposal) -> bytes:
    text = line_of(held)[len(LINE_START) :]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-8]


def line_signed_twice() -> bytes:
    packed = packed_of(signed(proposal(), "alice"))
    return line_with(packed[:-66] + b"\x02" + packed[-65:] * 2)


REFUSED = {
    "empty": (b"", "no proposal"),
    "a letter": (b"dear bob", "no proposal"),
    "another file": (b'{"format": "moneyer-contract"}', "no proposal"),
    "a newer version": (altered(version=2), "no proposal"),
    "deep": (b"[" * 60_000, "no proposal"),
    "too large": (b" " * (MAX_PROPOSAL + 1), "too large"),
    "cut": (encode_proposal(proposal())[:-40], "cut or damaged"),
    "changed amount": (altered(unsigned=lambda held: held.replace("f401", "f402", 1)), "checksum"),
    "changed, its checksum too": (unsigned(amount=501), "signature by .* is wrong"),
    "another receiver": (unsigned(receiver=key("dave").payload), "signature by .* is wrong"),
    "another fee": (unsigned(fee=11), "signature by .* is wrong"),
    "of another coin": (of_another_coin(), "another coin's chain"),
    "signed twice": (twice(), "two signatures by one key|checksum"),
    "a line that is signed twice": (line_signed_twice(), "two signatures by one key"),
    "by a stranger": (by_a_stranger(), "not in its contract"),
    "not the address's policy": (other_policy(), "not the one of the address"),
    "from a key": (of_a_key(), "not the one of the address|no contract"),
    "no payment": (minted(), "no payment"),
    "nothing paid": (unsigned(amount=0), "no node would take"),
    "a memo of half a letter": (unsigned(memo=b"\xc3"), "no node would take"),
    "reserved receiver": (unsigned(receiver=b"\x07" + bytes(32)), "no node would take"),
    "chosen key": (encode_proposal(proposal(TWO_OF_THREE, (0,))), "chooses a key"),
    "chosen twice": (encode_proposal(proposal(SWAP, (1, 1))), "each once and in order"),
    "not there": (encode_proposal(proposal(SWAP, (9,))), "each once and in order"),
    "two ways at once": (encode_proposal(proposal(SWAP, (1, 3))), "not exactly enough"),
    "no way": (encode_proposal(proposal("alice and after height 5")), "not exactly enough"),
    "line cut": (line_of(proposal()).encode()[:-9], "cut or changed"),
    "line changed": (line_of(proposal()).replace("A", "B", 1).encode(), "cut or changed"),
    "line with more": (line_of(proposal()).encode() + "…".encode(), "a character that does not belong"),
    "line too long": (LINE_START.encode() + b"A" * (MAX_LINE + 1), "too long"),
    "line of nothing": (line_with(b""), "no proposal"),
    "line with a tail": (line_with(packed_of(proposal()) + b"\x00"), "left over"),
    "line that ends early": (line_with(packed_of(proposal())[:-1]), "no proposal"),
    "a policy that is none": (line_with(packed_of(proposal()).replace(b"\x04\x02\x03", b"\x04\x05\x03")), "is none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_proposal_that_is_not_what_it_says_is_refused(case: str) -> None:
    content, words = REFUSED[case]
    with pytest.raises(BadProposal, match=words):
        read(content)


def test_a_secret_that_is_not_asked_for_is_refused() -> None:
    for chosen in ((1,), (3,)):
        wrong = replace(proposal(SWAP, chosen), preimages={b"": b"\x06" * 32})
        with pytest.raises(BadProposal, match="a secret that is not behind"):
            read(encode_proposal(wrong))


def test_every_cut_and_every_flipped_bit_of_a_line_is_refused() -> None:
    packed = packed_of(signed(proposal(), "alice"))
    for size in range(len(packed)):
        with pytest.raises(BadProposal):
            read(line_with(packed[:size]))
    for bit in range(len(packed) * 8):
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadProposal):
            read(line_with(bytes(flipped)))


def test_only_signatures_of_one_payment_are_put_together() -> None:
    with pytest.raises(BadProposal, match="another payment"):
        combined(signed(proposal(), "alice"), [signed(proposal(amount=501), "bob")])
    with pytest.raises(BadProposal, match="another way"):
        combined(proposal(SWAP, (1,)), [proposal(SWAP, (3,))])


def test_unfinished_is_not_submitted() -> None:
    with pytest.raises(BadProposal, match="not signed by enough"):
        signed(proposal(), "alice").finished()
    assert decode_policy(proposal().raw_policy)
    assert len(encode_unsigned(proposal().spend)) < 200
