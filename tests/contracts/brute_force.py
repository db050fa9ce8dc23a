"""What a policy means, by looking at every set of its leaves: slow, and plain enough to be believed."""

from __future__ import annotations

from itertools import combinations

from moneyer.node.core.errors import BadWitness
from moneyer.node.core.policy import Policy, check_exactly_enough, decode_policy, encode_policy, leaves_of

MAX_LEAVES = 9


def is_small(policy: Policy) -> bool:
    return sum(1 for _ in leaves_of(policy)) <= MAX_LEAVES


def exact_sets(policy: Policy) -> list[tuple[int, ...]]:
    """Every set of leaf indexes that is exactly enough, by the rule of consensus."""
    shape = decode_policy(encode_policy(policy))
    indexes = range(len(shape.leaves))
    found = []
    for count in range(len(indexes) + 1):
        for named in combinations(indexes, count):
            try:
                check_exactly_enough(shape, named)
            except BadWitness:
                continue
            found.append(named)
    return found
