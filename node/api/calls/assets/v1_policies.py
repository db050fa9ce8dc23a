"""Policies for tools: a text to an address and bytes, bytes to words; nothing is kept."""

from __future__ import annotations

from ....contracts.errors import BadPolicy
from ....contracts.explain import in_words
from ....contracts.language import NameOf, print_policy
from ....contracts.moment import Moment
from ....contracts.policy_tree import shown_tree
from ....contracts.safety import cautions, check_safe, read_safe_policy
from ....core.errors import BadWitness
from ....core.policy import Policy, decode_policy, encode_policy, payload_of_policy
from ....service import Node
from ....store import blocks
from ...endpoint import Call, endpoint
from ...http.errors import NotFound
from ...shapes.policies import OpeningView, PolicyBytes, PolicyText, PolicyView
from ..identify import find_account


@endpoint(
    "POST",
    "/v1/policies/encode",
    "The address and the bytes of a policy that is written as text",
    reply=PolicyView,
    body=PolicyText,
    errors=(404,),
)
def encode(node: Node, call: Call[None, PolicyText]) -> PolicyView:
    _check_rules(node)
    names = node.wallet.names if call.is_owner else {}

    def resolve(who: str) -> bytes:
        if not call.is_owner and not who.lower().startswith(f"{node.coin.hrp}1"):
            raise BadPolicy("names are for this node's owner: write addresses, or keys of 64 hex digits")
        return find_account(node.coin, node.wallet, who, "policy")

    moment = next_moment(node)
    policy = read_safe_policy(call.body.policy, resolve, node.coin, moment)
    by_key = {payload[1:]: name for name, payload in names.items()}
    return _view(node, policy, moment, by_key.get)


@endpoint(
    "POST",
    "/v1/policies/decode",
    "A policy's bytes in words: its address, who can spend now, what opens when",
    reply=PolicyView,
    body=PolicyBytes,
    errors=(404,),
)
def decode(node: Node, call: Call[None, PolicyBytes]) -> PolicyView:
    _check_rules(node)
    try:
        policy = decode_policy(bytes.fromhex(call.body.raw)).policy
    except BadWitness as error:
        raise BadPolicy(error.message, **error.details) from None
    names = node.wallet.names if call.is_owner else {}
    by_key = {payload[1:]: name for name, payload in names.items()}
    return _view(node, policy, next_moment(node), by_key.get)


def _check_rules(node: Node) -> None:
    """Raises NotFound where the coin has no contracts."""
    if node.coin.rules < 2:
        raise NotFound(
            f"{node.coin.name} has rules {node.coin.rules}: there are contracts under rules 2 only",
            rules=node.coin.rules,
        )


def next_moment(node: Node) -> Moment:
    """Height and median_time_past of the block that follows the tip."""
    with node.store.read() as conn:
        tip = blocks.tip_id(conn)
        return Moment(tip.height + 1, blocks.median_time_past_of(conn, tip.block_hash))


def _view(node: Node, policy: Policy, moment: Moment, name_of: NameOf) -> PolicyView:
    raw = encode_policy(policy)
    words = in_words(policy, node.coin, moment, name_of)
    problem = None
    try:
        check_safe(policy, node.coin)
    except BadPolicy as error:
        problem = error.message
    return PolicyView(
        address=node.coin.address(payload_of_policy(raw)),
        raw=raw.hex(),
        policy=print_policy(policy, name_of),
        means=words.what,
        tree=shown_tree(policy, moment, name_of),
        now=words.now,
        later=[OpeningView(opening.height, opening.time, opening.who) for opening in words.later],
        problem=problem,
        cautions=[caution.message for caution in cautions(policy, node.coin, moment, name_of)],
    )
