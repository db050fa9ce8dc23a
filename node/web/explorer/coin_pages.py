"""The coin itself: its supply beside its schedule, its rules in plain words, and who mines it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from ...api.calls.v1_accounts import RichQuery, rich
from ...api.calls.v1_blocks import BlockQuery, list_blocks
from ...api.calls.v1_mining import mining_view
from ...core.codec import show
from ...core.coin import Coin
from ...system.network import is_loopback
from ...system.shares import DEAR_READS
from ..frame.drawings import Curve
from ..frame.pages import Page, Visit, content_of, page
from .home_page import LOOKED_AT, pulse_of, status_of

LARGEST: Final = 20
"""Accounts on the page of the supply."""
SHARED: Final = 200
"""Blocks over which the miners' shares are counted."""
PREMINE_SHOWN: Final = 50
_POINTS: Final = 120
"""Of the curve of the supply."""
_LOOK_AHEAD: Final = 4
"""The curve goes on to so many halvings, or so many times the height."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The supply as it is planned. `past` ends at the tip and `all` beyond it: (height, base units)."""

    past: list[tuple[float, float]]
    all: list[tuple[float, float]]
    end: int
    """The height that `all` goes to."""

    @property
    def curves(self) -> list[Curve]:
        return [Curve(self.all, "plan"), Curve(self.past, "value")]


def schedule_of(coin: Coin, height: int) -> Schedule:
    """`height`: of the tip. Nothing is read for it: the protocol says what is issued at each height."""
    horizon = _LOOK_AHEAD * coin.halving_interval if coin.halving_interval else 0
    end = max(horizon, 2 * height, 100)

    def curve(to: int) -> list[tuple[float, float]]:
        heights = sorted({to * i // _POINTS for i in range(_POINTS + 1)})
        return [(each, coin.issued(each)) for each in heights]

    return Schedule(curve(height), curve(end), end)


@page("/supply", bound=DEAR_READS)
def supply(visit: Visit[None]) -> Page:
    coin, height = visit.node.coin, status_of(visit).height
    largest, _ = content_of(visit.ask(rich, RichQuery(limit=LARGEST)))
    content = {
        "height": height,
        "schedule": schedule_of(coin, height),
        "issued": coin.issued(height),
        "subsidy": coin.subsidy(height + 1),
        "most": most_ever(coin),
        "halving": next_halving(coin, height),
        "rich": largest,
        "premine": coin.premine[:PREMINE_SHOWN],
    }
    return Page("supply.html", content)


def most_ever(coin: Coin) -> int | None:
    """Base units that will ever be issued; None where that has no bound of the coin's own in sight."""
    if coin.halving_interval:
        eras = coin.reward.bit_length() + 1
        return coin.issued(eras * coin.halving_interval)
    if coin.reward == 0:
        return coin.premine_sum
    return coin.max_supply


def next_halving(coin: Coin, height: int) -> int | None:
    """The height from which the reward is half of now's; None where it never halves again."""
    if not coin.halving_interval or not coin.subsidy(height + 1):
        return None
    return height // coin.halving_interval * coin.halving_interval + coin.halving_interval + 1


@page("/coin", kept=False)
def coin_page(visit: Visit[None]) -> Page:
    config = visit.node.config
    url = config.announce or f"http://{visit.call.host or 'localhost'}"
    content = {
        "chain_id": show(visit.node.coin.chain_id),
        "url": url,
        "is_local": config.announce is None and is_loopback(config.host),
        "is_development": config.development,
        "most": most_ever(visit.node.coin),
        "node_min_fee": config.min_fee,
    }
    return Page("coin.html", content)


@page("/mining", bound=DEAR_READS, kept_seconds=1.0)
def mining(visit: Visit[None]) -> Page:
    latest, _ = content_of(visit.ask(list_blocks, BlockQuery(limit=SHARED)))
    blocks = [each for each in latest.blocks if each.height > 0]
    content = {
        "mining": mining_view(visit.node),
        "status": status_of(visit),
        "pulse": pulse_of(latest.blocks[:LOOKED_AT]),
        "shares": Counter(each.miner for each in blocks).most_common(12),
        "counted": len(blocks),
    }
    return Page("mining.html", content)
