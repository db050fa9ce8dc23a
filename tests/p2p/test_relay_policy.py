"""What is told to a peer about the main chain: the two decisions that links and the simulation share."""

from __future__ import annotations

from moneyer.node.p2p.gossip.relay_policy import MAX_PATH, is_news, path_to


def parent_of(block: int) -> int | None:
    """Blocks 1, 2, … stand on each other; 1 stands on genesis."""
    return block - 1 or None


def test_only_a_tip_that_a_peer_lacks_and_that_has_more_work_than_it_claims_is_news() -> None:
    assert is_news(5, has_tip=False, peer_work=4)
    assert not is_news(5, has_tip=True, peer_work=4)
    assert not is_news(5, has_tip=False, peer_work=5)


def test_a_peer_gets_what_it_lacks_oldest_first() -> None:
    assert path_to(9, parent_of, {6}.__contains__, MAX_PATH) == [7, 8, 9]
    assert path_to(9, parent_of, {8}.__contains__, MAX_PATH) == [9]
    assert path_to(3, parent_of, set[int]().__contains__, MAX_PATH) == [1, 2, 3]


def test_a_peer_that_lacks_more_than_is_pushed_gets_the_tip_alone() -> None:
    assert path_to(MAX_PATH, parent_of, set[int]().__contains__, MAX_PATH) == [*range(1, MAX_PATH + 1)]
    assert path_to(MAX_PATH + 1, parent_of, set[int]().__contains__, MAX_PATH) == [MAX_PATH + 1]
