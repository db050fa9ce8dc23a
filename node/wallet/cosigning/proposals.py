"""Proposals: a payment from a contract on its way from signer to signer.

A proposal has the transaction without its witness, the policy, the chosen leaves that are not keys, and the signatures
and preimages so far. `proposal_bytes` reads and writes them, and checks all that bytes can show.

**What the signers agree on** is `Proposal.digest`: transaction and chosen leaves. Which keys sign beside them stays
open. Once enough have signed, no more is asked for: a signature more than is needed would let others make a second
transaction of the same payment. Of the same signatures always the same transaction is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ...contracts.policy_tree import reduced
from ...core.coin import Coin
from ...core.policy import Hash, Key, Leaf, Locks, Policy, Shape, decode_policy, locks_of
from ...core.rules import check_transaction_in_isolation
from ...core.types import LATEST_RULES, Payment
from .errors import BadProposal
from .leaf_signing import completed, digest_of, with_witness

_FAR = 64
"""The price of somebody else's key: more than all of one's own together."""


@dataclass(frozen=True)
class Proposal:
    """A payment from a contract that is being signed; everything in it was checked but what only the chain knows."""

    coin: Coin
    spend: Payment
    """Its witness is empty."""
    raw_policy: bytes
    chosen: tuple[int, ...]
    """The named leaves that are not keys, ascending."""
    preimages: Mapping[bytes, bytes]
    """Hash -> its 32 bytes."""
    signatures: Mapping[bytes, bytes]
    """32-byte key -> signature."""

    @cached_property
    def shape(self) -> Shape:
        return decode_policy(self.raw_policy)

    @cached_property
    def digest(self) -> bytes:
        """What every signer signs."""
        return digest_of(self.coin, self.spend, self.chosen)

    @property
    def number(self) -> str:
        """Hex digits by which two people tell that they speak of the same proposal."""
        return self.digest.hex()[:12]

    @property
    def keys(self) -> list[bytes]:
        """All keys of the policy."""
        return [leaf.key for leaf in self.shape.leaves if isinstance(leaf, Key)]

    @property
    def locks(self) -> Locks:
        """The greatest height and time that the chosen leaves ask for; 0 where none does."""
        return locks_of(self.shape.leaves, self.chosen)

    @property
    def lacking_preimages(self) -> list[bytes]:
        """The hashes of chosen leaves whose preimage was not given yet."""
        digests = [leaf.digest for index in self.chosen if isinstance(leaf := self.shape.leaves[index], Hash)]
        return [digest for digest in digests if digest not in self.preimages]

    @property
    def leaves(self) -> tuple[int, ...] | None:
        """What the transaction names, once enough have signed; None before."""
        return completed(self.shape, self.chosen, dict.fromkeys(self.signatures, 1))

    @property
    def is_complete(self) -> bool:
        """Whether it can be submitted, if its time has come and its place is free."""
        return self.leaves is not None and not self.lacking_preimages

    def lacking(self) -> Policy | bool:
        """What still has to sign, as a policy that is cut down; True for nothing."""

        def truth(leaf: Leaf) -> bool | None:
            if isinstance(leaf, Key):
                return leaf.key in self.signatures or None
            return any(self.shape.leaves[index] is leaf for index in self.chosen)

        return reduced(self.shape.policy, truth)

    def useful(self, own: Collection[bytes]) -> list[bytes]:
        """Of one's own keys those to sign with now: as few as help, and none where enough have signed."""
        prices = {key: 0 if key in self.signatures else 1 if key in own else _FAR for key in self.keys}
        leaves = completed(self.shape, self.chosen, prices)
        named = [leaf.key for index in leaves or () if isinstance(leaf := self.shape.leaves[index], Key)]
        return [key for key in named if key in own and key not in self.signatures]

    def signed_with(self, signatures: Mapping[bytes, bytes], preimages: Mapping[bytes, bytes]) -> Proposal:
        """With more signatures and preimages, which were checked; of one key the first signature stays."""
        return replace(self, signatures={**signatures, **self.signatures}, preimages={**preimages, **self.preimages})

    def finished(self) -> Payment:
        """The whole transaction. Raises BadProposal while something is missing, the rule's error for what no node
        takes."""
        leaves = self.leaves
        if leaves is None or self.lacking_preimages:
            raise BadProposal("this proposal is not signed by enough yet")
        spend = with_witness(self.spend, self.raw_policy, self.shape, leaves, self.signatures, self.preimages)
        check_transaction_in_isolation(spend, LATEST_RULES)
        assert isinstance(spend, Payment)  # noqa: S101 - it was one before its witness
        return spend


def combined(first: Proposal, others: Iterable[Proposal]) -> Proposal:
    """One proposal with the signatures of all. Raises BadProposal where they are not of the same payment."""
    for number, other in enumerate(others, 2):
        if other.raw_policy != first.raw_policy or other.spend != first.spend:
            raise BadProposal(
                f"number {number} is another payment (its number is {other.number}, the first one's {first.number}):"
                " only signatures of the same one can be put together"
            )
        if other.chosen != first.chosen:
            raise BadProposal(
                f"number {number} takes another way of the contract than the first one (other heights, times or"
                " secrets), and a signature is good for one way: agree on one of the two"
            )
        first = first.signed_with(other.signatures, other.preimages)
    return first
