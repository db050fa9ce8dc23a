"""A contract on a real node, and spends of it that name whichever leaves and are signed by whomever, right or wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .....client.errors import Refused
from .....core.policy import Hash, Key, Policy, decode_policy, encode_policy, payload_of_policy
from .....core.signing import sign
from .....core.types import COIN_ASSET, Payment, Spend
from .....wallet.cosigning.leaf_signing import digest_of, with_witness
from .....wallet.derive import development_key

if TYPE_CHECKING:
    from ....live.net_node import NodeHandle


def xonly(name: str) -> bytes:
    """The 32-byte key of a development account."""
    return development_key(name).public_key


@dataclass(frozen=True, slots=True)
class Contract:
    """An address that is a policy, on one node's coin."""

    node: NodeHandle
    policy: Policy

    @property
    def raw(self) -> bytes:
        """The policy's bytes."""
        return encode_policy(self.policy)

    @property
    def address(self) -> str:
        return self.node.client.coin.address(payload_of_policy(self.raw))

    @property
    def held(self) -> int:
        """Base units that it holds, confirmed."""
        return self.node.balance(self.address)

    def spend(self, to: str, signers: Mapping[int, str], others: Sequence[int] = (), secret: bytes = b"") -> Spend:
        """All that it holds, to a development account. It pays no fee: blocks are all but empty here.

        `signers`: leaves that are keys, and the account that signs there. `others`: the other leaves that are named.
        `secret`: shown where a hash is among them.
        """
        shape, coin = decode_policy(self.raw), self.node.client.coin
        account = self.node.client.account(self.address)
        blank = Payment(
            sender=payload_of_policy(self.raw),
            fee=0,
            sequence=int(account["sequence"]),
            memo=b"",
            witness=b"",
            receiver=development_key(to).payload,
            asset=COIN_ASSET,
            amount=int(account["balance"]),
        )
        digest = digest_of(coin, blank, others)
        signatures = {
            leaf.key: sign(development_key(name).secret, digest, os.urandom(32))
            for index, name in signers.items()
            if isinstance(leaf := shape.leaves[index], Key)
        }
        shown = {leaf.digest: secret for leaf in (shape.leaves[index] for index in others) if isinstance(leaf, Hash)}
        return with_witness(blank, self.raw, shape, sorted([*signers, *others]), signatures, shown)


def refusal(node: NodeHandle, spend: Spend) -> tuple[str, str]:
    """The code and the sentence with which a node refuses a spend; both empty where it takes it."""
    try:
        node.client.submit(spend)
    except Refused as error:
        return error.node_code, error.message
    return "", ""
