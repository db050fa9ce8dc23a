"""Shares of what is scarce, by themselves: totals, shares, reserves, waiting."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from moneyer.node.server import THREADS
from moneyer.node.system.shares import (
    BOUNDS,
    CONNECTIONS,
    HTTP_BOUNDS,
    REFUSALS,
    Bound,
    NoPlace,
    Place,
    Shares,
    address_key,
)
from tests.kit.waiting import wait_until
from tools.bounds_table import PAGE, with_table

BOUND = Bound("tables", "a guest", total=6, each=3, reserve=2)


def in_line(shares: Shares, address: str, came: list[str], held: list[Place]) -> threading.Thread:
    """A caller that waits for a place: once it has it, its address and the place stand in the lists."""

    def wait() -> None:
        place = shares.take(address)
        came.append(address)
        held.append(place)

    before = shares.waiting
    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: shares.waiting == before + 1, message="one more that waits")
    return thread


def test_one_address_holds_no_more_than_its_share() -> None:
    shares = Shares(BOUND)
    for _ in range(3):
        shares.take("127.0.0.1")
    with pytest.raises(NoPlace, match="share of 3"):
        shares.take("127.0.0.1")
    shares.take("127.0.0.2")


def test_the_reserve_is_for_trusted_callers_only() -> None:
    shares = Shares(BOUND)
    for address in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"):
        shares.take(address)
    with pytest.raises(NoPlace, match="all 6"):
        shares.take("127.0.0.3")
    shares.take("127.0.0.3", trusted=True)
    shares.take("127.0.0.4", trusted=True)
    with pytest.raises(NoPlace):
        shares.take("127.0.0.5", trusted=True)


def test_trusted_callers_that_came_first_leave_no_more_than_the_total() -> None:
    shares = Shares(BOUND)
    for number in range(5):
        shares.take(f"10.0.0.{number}", trusted=True)
    shares.take("127.0.0.1")
    with pytest.raises(NoPlace):
        shares.take("127.0.0.2")


def test_a_released_place_is_free_again_and_released_once() -> None:
    shares = Shares(BOUND)
    places = [shares.take("127.0.0.1") for _ in range(3)]
    places[0].release()
    places[0].release()
    assert shares.count == shares.held_by("127.0.0.1") == 2
    with shares.hold("127.0.0.1"):
        assert shares.largest() == ("127.0.0.1", 3)
    assert shares.count == 2


def test_a_caller_waits_for_a_place_where_the_bound_says_so() -> None:
    shares = Shares(replace(BOUND, wait_seconds=60.0))
    places = [shares.take("127.0.0.1") for _ in range(3)]
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(shares.take("127.0.0.1")))
    waiter.start()
    wait_until(lambda: shares.waiting == 1, message="a caller that waits")
    assert not got
    places[0].release()
    waiter.join(60)
    assert len(got) == 1


def test_waiting_is_shared_too() -> None:
    shares = Shares(replace(BOUND, wait_seconds=60.0))
    places = [shares.take("127.0.0.1") for _ in range(3)]
    waiters = [threading.Thread(target=lambda: shares.take("127.0.0.1").release()) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    wait_until(lambda: shares.waiting == 3, message="three callers that wait")
    with pytest.raises(NoPlace):  # at once: a fourth may not even wait
        shares.take("127.0.0.1")
    for place in places:
        place.release()
    for waiter in waiters:
        waiter.join(60)
    assert shares.count == 0


def test_a_place_that_becomes_free_is_handed_to_the_first_who_may_have_it() -> None:
    shares = Shares(Bound("seats", "a guest", total=3, each=2, wait_seconds=60.0, queue=2))
    mine = [shares.take("127.0.0.1"), shares.take("127.0.0.1")]
    theirs = shares.take("127.0.0.2")
    got: list[str] = []

    threads = [in_line(shares, address, got, []) for address in ("127.0.0.1", "127.0.0.3", "127.0.0.2")]
    theirs.release()  # the first has its share already
    threads[1].join(60)
    assert (got, shares.waiting) == (["127.0.0.3"], 2)
    mine[0].release()
    threads[0].join(60)
    assert (got, shares.waiting) == (["127.0.0.3", "127.0.0.1"], 1)
    mine[1].release()
    threads[2].join(60)
    assert (got, shares.waiting, shares.count) == (["127.0.0.3", "127.0.0.1", "127.0.0.2"], 0, 3)


def test_addresses_that_wait_have_their_turns_one_after_the_other() -> None:
    shares = Shares(Bound("seats", "a guest", total=1, each=1, wait_seconds=60.0, queue=9))
    held = [shares.take("127.0.0.1")]
    came: list[str] = []

    threads = [in_line(shares, f"127.0.0.{number}", came, held) for number in (2, 2, 2, 3, 4)]
    for number in range(len(threads)):
        held.pop().release()
        wait_until(lambda: len(came) == number + 1, message="the next one to come")  # noqa: B023
        wait_until(lambda: len(held) == 1, message="its place")
    for thread in threads:
        thread.join(60)
    assert came == [f"127.0.0.{number}" for number in (2, 3, 4, 2, 2)]


def test_a_crowd_of_threads_never_holds_more_than_there_is_and_each_has_its_place() -> None:
    shares = Shares(Bound("seats", "a guest", total=5, each=2, reserve=1, wait_seconds=60.0, queue=20))
    over: list[str] = []

    def come_often(number: int) -> None:
        address = f"127.0.0.{number % 4}"
        for turn in range(100):
            with shares.hold(address, trusted=number == 0 and turn % 2 == 0):
                if shares.held_by(address) > 2 or shares.count > 5:
                    over.append(address)

    threads = [threading.Thread(target=come_often, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert (over, shares.count, shares.waiting, shares.refused) == ([], 0, 0, 0)


def test_a_place_that_gets_free_may_be_two_for_those_who_wait() -> None:
    """One of an address, which a trusted caller of it takes, and one of those for callers that are not trusted."""
    shares = Shares(Bound("seats", "a guest", total=12, each=3, reserve=3, wait_seconds=60.0, queue=3))
    first, *_ = [shares.take(f"127.0.0.{number % 3}") for number in range(9)]
    threads = [
        threading.Thread(target=lambda: shares.take("127.0.0.0", trusted=True)),
        threading.Thread(target=lambda: shares.take("127.0.0.7")),
    ]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda: shares.waiting == number, message="it to wait")  # noqa: B023
    first.release()
    for thread in threads:
        thread.join(60)
    assert (shares.count, shares.waiting) == (10, 0)


def test_who_waits_in_vain_leaves_nothing_behind() -> None:
    shares = Shares(replace(BOUND, wait_seconds=0.01))
    places = [shares.take("127.0.0.1") for _ in range(3)]
    with pytest.raises(NoPlace):
        shares.take("127.0.0.1")
    assert (shares.waiting, shares.refused) == (0, 1)
    for place in places:
        place.release()
    assert shares.count == shares.held_by("127.0.0.1") == 0


@pytest.mark.parametrize(
    ("remote", "key"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.2", "127.0.0.2"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a name", "a name"),
    ],
)
def test_an_address_is_counted_by_its_key(remote: str, key: str) -> None:
    assert address_key(remote) == key


def test_the_page_has_the_table_of_every_bound() -> None:
    page = PAGE.read_text("utf-8")
    assert with_table(page) == page, "write it: python -m tools.bounds_table"
    assert all(f"| {bound.name} |" in page for bound in BOUNDS)


def test_every_bound_has_its_own_name() -> None:
    assert len({bound.name for bound in BOUNDS}) == len(BOUNDS)


@pytest.mark.parametrize("bound", HTTP_BOUNDS, ids=lambda bound: bound.name)
def test_two_addresses_together_leave_a_share_to_a_third(bound: Bound) -> None:
    assert 3 * bound.each <= bound.total - bound.reserve


def test_the_server_has_more_threads_than_there_are_places_and_than_two_addresses_have_connections() -> None:
    assert sum(bound.total for bound in HTTP_BOUNDS if bound is not REFUSALS) < THREADS
    assert 2 * CONNECTIONS.each < THREADS
