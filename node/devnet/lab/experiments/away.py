"""A node that was away for a week: it comes back, and asks for headers first."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ....core import rules
from ....core.types import HEADER_SIZE
from ...live.launcher import EASY_LIMIT
from ..pictures.curve_picture import Panel, Series, curve_picture
from .notebook import Experiment, Notebook
from .past_chain import PastChain, hand_all, past_coin

if TYPE_CHECKING:
    from ...live.live_network import Network

AWAY: Final = "3"
BLOCK_TIME: Final = 600
WEEK: Final = 7 * 86_400
BLOCKS: Final = WEEK // BLOCK_TIME
"""A block every ten minutes; in a quick run the blocks of a day."""
QUICK_BLOCKS: Final = 86_400 // BLOCK_TIME
KNOWN: Final = 10
"""Blocks that the node had before it went."""
LINE: Final = 40_000
"""Bytes a second of the line over which it comes back, so that there is something to see."""


def away(book: Notebook) -> None:
    count = QUICK_BLOCKS if book.is_quick else BLOCKS
    begin = int(time.time()) - (KNOWN + count + 1) * BLOCK_TIME
    with (
        past_coin(begin, lambda coin: replace(coin, pow_limit=EASY_LIMIT), BLOCK_TIME, retarget=False) as coin_file,
        book.network("line:3", coin=coin_file) as net,
    ):
        book.step(f"Three nodes in a line. {KNOWN} blocks are there, one every {BLOCK_TIME // 60} minutes.")
        chain = PastChain(net["1"].client.coin)
        blocks = [chain.add(begin + (number + 1) * BLOCK_TIME) for number in range(KNOWN + count)]
        hand_all(net["1"], blocks[:KNOWN])
        net.wait_one_tip()
        book.nodes(net)

        book.step(f"Node {AWAY} is switched off. For {days(count)} the others go on: {count:,} blocks.")
        net.stop(AWAY)
        hand_all(net["1"], blocks[KNOWN:])
        net.wait_one_tip()
        book.nodes(net)
        book.note("The times are virtual, so nobody has to wait; the proof of work, the hashes and the rules are real.")

        book.step(f"Node {AWAY} comes back, over a line of {LINE // 1000} kB a second.")
        net.rate("2", AWAY, LINE)
        net.start(AWAY)
        looks = watch(net, net["1"].tip)
        book.nodes(net)
        headers, bodies = count * HEADER_SIZE, sum(map(len, blocks[KNOWN:]))
        book.table(
            ("asked for", "bytes", "of the blocks"),
            [("headers", headers, f"{headers / bodies * 100:.0f} %"), ("blocks", bodies, "100 %")],
        )
        book.rule(
            "Headers come first: proof of work, bits and time of each are checked before a single block is asked for.",
            "7, stage 3",
            rules.check_header_in_context,
        )
        book.note("Whoever wants to waste its time has to show more real work than its own chain has, up to the tip.")
        ahead = [look for look in looks if look[1] > look[2]]
        if ahead:
            book.note(f"Once it had {ahead[0][1]:,} headers it had {ahead[0][2]:,} blocks connected.")
        book.claim("it has the whole chain of the others", net[AWAY].tip == net["1"].tip)
        book.claim("headers were there before their blocks", bool(ahead))
        book.fact(height=net[AWAY].height, blocks=count)
        book.picture("away-for-a-week", curve(looks, count))


def days(blocks: int) -> str:
    """How long so many blocks take."""
    whole = blocks * BLOCK_TIME // 86_400
    return f"{whole} day{'' if whole == 1 else 's'}"


def watch(net: Network, tip: str) -> list[tuple[float, int, int]]:
    """(seconds, headers, blocks) of the node that comes back, until it has that tip."""
    began = time.monotonic()
    looks: list[tuple[float, int, int]] = []

    def is_there() -> bool:
        status: dict[str, Any] = net[AWAY].status()
        height = int(status["height"])
        sync = status["sync"]
        headers = max(height, int(sync["headers_height"])) if sync else height
        looks.append((time.monotonic() - began, headers, height))
        return bool(status["tip"] == tip)

    net.wait_for(is_there, 120.0, f"node {AWAY} on the others' tip")
    return looks


def curve(looks: list[tuple[float, int, int]], count: int) -> str:
    """Headers and blocks over the time since it was started."""
    panel = Panel(
        "height",
        [
            Series("headers", [(at, headers) for at, headers, _ in looks], is_stepped=True),
            Series("blocks", [(at, blocks) for at, _, blocks in looks], is_stepped=True),
        ],
    )
    return curve_picture(f"Back after {days(count)}", "seconds since it answers again", [panel])


EXPERIMENT = Experiment(
    name="away-for-a-week",
    title="A node that was away for a week",
    about=(
        "A node is switched off while the others go on for a week of blocks. It comes back over a slow line: first it "
        "fetches the headers and checks the work in them, then the blocks."
    ),
    shows="Headers first: eighty bytes a block decide which chain is worth fetching.",
    act=away,
)
