"""The chain as a picture: its newest heights with every branch, and figures along it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from ....core.codec import show, show_work
from ....core.coin import Coin
from ....service import Node
from ....store import blocks
from ....store.blocks import INVALID, BlockRow
from ....store.explore import series
from ....store.explore import tree as tree_rows
from ....store.explore.series import Sample, Stretch
from ....system.shares import DEAR_READS
from ....system.words import joined, nearest, quoted
from ...endpoint import Call, OfChain, endpoint
from ...http.errors import BadField
from ...shapes.explore import Series, Stats, Tree, TreeBlock
from ...shapes.render import address
from ..v1_blocks import Height, status_of

MAX_DEPTH: Final = 200
MAX_POINTS: Final = 500


class TreeQuery(Struct):
    depth: Annotated[int, Meta(ge=1, le=MAX_DEPTH)] = 20
    """How many of the newest heights."""


@endpoint(
    "GET",
    "/v1/tree",
    "The newest heights with every branch, highest first",
    reply=Tree,
    query=TreeQuery,
    bound=DEAR_READS,
    kept=True,
)
def tree(node: Node, call: Call[TreeQuery, None]) -> Tree:
    with node.store.read() as conn:
        rows, is_cut = tree_rows.newest(conn, call.query.depth)
    return Tree([_tree_block(node.coin, row) for row in rows], is_cut)


def _tree_block(coin: Coin, row: BlockRow) -> TreeBlock:
    return TreeBlock(
        hash=show(row.block_hash),
        prev_hash=show(row.header.prev_hash),
        height=row.height,
        status=status_of(row),
        main_chain=row.main_chain,
        timestamp=row.header.timestamp,
        work=show_work(row.work),
        tx_count=row.tx_count,
        miner=None if row.status == INVALID else address(coin, row.miner),
    )


Value = Callable[[Coin, Sample, Stretch], float | int | None]
_VALUES: Final[dict[str, Value]] = {
    "block_time": lambda coin, at, stretch: stretch.seconds / stretch.blocks,
    "difficulty": lambda coin, at, stretch: coin.difficulty(at.bits),
    "hash_rate": lambda coin, at, stretch: stretch.work / stretch.seconds if stretch.seconds > 0 else None,
    "transactions": lambda coin, at, stretch: stretch.transfers,
    "fees": lambda coin, at, stretch: stretch.fees,
    "issued": lambda coin, at, stretch: coin.issued(at.height),
    "size": lambda coin, at, stretch: stretch.size,
}
"""The value of a point, from the sample there and the stretch behind it."""


class StatsQuery(Struct):
    series: Annotated[str, Meta(max_length=200)] = ",".join(_VALUES)
    """Names with commas between."""
    from_: Height = field(default=1, name="from")
    """The lowest height. Block 1 unless said: the time between genesis and it is nobody's mining."""
    to: Height | None = None
    """The highest height; the tip's unless said."""
    points: Annotated[int, Meta(ge=1, le=MAX_POINTS)] = 100
    """How many points at most."""


@endpoint(
    "GET",
    "/v1/stats",
    "Figures along the chain: at most 500 points, however long it is",
    reply=Stats,
    query=StatsQuery,
    bound=DEAR_READS,
    kept=True,
)
def stats(node: Node, call: Call[StatsQuery, None]) -> OfChain[Stats]:
    query = call.query
    names = _series_names(query.series)
    if query.to is not None and query.from_ > query.to:
        raise BadField(f"from: {query.from_} is above to, {query.to}", field="from", expected=f"at most {query.to}")
    with node.store.read() as conn:
        tip = blocks.tip_id(conn)
        to = tip.height if query.to is None else min(query.to, tip.height)
        low = min(query.from_, to)
        step = max(1, -(-(to - low) // query.points))
        heights = range(to - (to - low) // step * step, to + 1, step)
        found = series.samples(conn, heights)
    ends = found[1:]
    stretches = [series.between(start, end) for start, end in zip(found, ends, strict=False)]
    columns = {
        name: [_VALUES[name](node.coin, at, stretch) for at, stretch in zip(ends, stretches, strict=True)]
        for name in names
    }
    content = Stats(
        from_=heights[0],
        to=to,
        step=step,
        heights=[sample.height for sample in ends],
        timestamps=[sample.timestamp for sample in ends],
        series=Series(**columns),  # type: ignore[arg-type] # each name's own type of value, by the table above
    )
    return OfChain(content, tip.block_hash)


def _series_names(text: str) -> list[str]:
    """Raises BadField."""
    names = [each.strip() for each in text.split(",") if each.strip()]
    for name in names:
        if name not in _VALUES:
            near = nearest(name, _VALUES)
            hint = f"; did you mean {near}?" if near else f": there are {joined(list(_VALUES), 'and')}"
            raise BadField(
                f"series: there is none called {quoted(name[:40])}{hint}", field="series", expected=list(_VALUES)
            )
    return list(dict.fromkeys(names))
