"""People with names and keys, a coin, moments of its chain, and hypothesis strategies for policies."""

from __future__ import annotations

from hypothesis import strategies as st

from moneyer.node.contracts.language import parse_policy, read_policy
from moneyer.node.contracts.moment import Moment
from moneyer.node.core.errors import BadAddress
from moneyer.node.core.policy import AfterHeight, AfterTime, Hash, Key, Policy, Threshold, depth_of, nodes_of
from moneyer.node.core.types import POLICY_KIND
from tests.kit import chains

COIN = chains.easy_coin(clock_tolerance=60)
"""Blocks each 10 seconds: locks lie at least 7 blocks or 61 seconds apart."""
NOW = Moment(height=1_000, median_time_past=1_700_010_000)
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

NAMES = (
    *(
        "alice",
        "bob",
        "carol",
        "dave",
        "erin",
        "Anna Maria",
        "Tom and Jerry",
        "of",
        "2",
        "OR",
        "after",
        "height",
        "hash",
    ),
    *("O'Brien", "2027-01-01", "Ольга", "भारत", "王芳", "x.y_z-1", "time"),
)
PAYLOADS = {name: chains.key(name).payload for name in NAMES}
CONTRACT = "our till"

_names = {payload[1:]: name for name, payload in PAYLOADS.items()}
name_of = _names.get


def key_of(name: str) -> bytes:
    return PAYLOADS[name][1:]


def resolve(name: str) -> bytes:
    if name == CONTRACT:
        return bytes([POLICY_KIND]) + bytes(32)
    if name not in PAYLOADS:
        raise BadAddress(f"there is no account {name}")
    return PAYLOADS[name]


def policy_of(text: str) -> Policy:
    return parse_policy(text, resolve)


def place_of(text: str, node: int) -> int:
    return read_policy(text, resolve).places[node]


_locks = st.builds(AfterHeight, st.integers(0, 2**32 - 1) | st.integers(990, 1_200)) | st.builds(
    AfterTime, st.integers(0, 2**32 - 1) | st.integers(NOW.median_time_past - 100, NOW.median_time_past + 2_000)
)
_leaves = st.just(None) | st.builds(Hash, st.binary(min_size=32, max_size=32) | st.just(bytes(32))) | _locks


@st.composite
def policies(draw: st.DrawFn, deepest: int = 4, widest: int = 4) -> Policy:
    """Policies that can be encoded, with the keys of NAMES; None in a leaf's place stands for the next key."""
    order = list(draw(st.permutations(NAMES)))

    def node(depth: int) -> Policy:
        if depth < deepest and draw(st.integers(0, 2)):
            children = tuple([node(depth + 1) for _ in range(draw(st.integers(2, widest)))])
            return Threshold(draw(st.integers(1, len(children))), children)
        leaf = draw(_leaves)
        if leaf is None:
            return Key(key_of(order.pop())) if order else AfterHeight(draw(st.integers(0, 10)))
        return leaf

    made = node(draw(st.integers(1, 2)))
    return made if nodes_of(made) <= 64 and depth_of(made) <= 4 else Key(key_of("alice"))
