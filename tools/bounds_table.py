"""The table of bounds in `docs/api.md`, of `node.system.shares.BOUNDS`: `python -m tools.bounds_table` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from moneyer.node.system.shares import BOUNDS, Bound

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
_BEGIN, _END = "<!-- bounds: tools/bounds_table.py -->", "<!-- /bounds -->"
_HEAD = ("places", "held by", "in all", "an address", "kept for peers", "waits up to", "may wait, an address")


def table() -> str:
    """The lines between the marks, as Markdown."""
    rows = [_HEAD, ("---", "---", *["--:"] * (len(_HEAD) - 2)), *map(_row, BOUNDS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(bound: Bound) -> tuple[str, ...]:
    waits = bound.wait_seconds > 0
    return (
        bound.name,
        bound.about,
        str(bound.total),
        str(bound.each),
        str(bound.reserve or "–"),
        f"{bound.wait_seconds:g} s" if waits else "–",
        str(bound.each * bound.queue) if waits else "–",
    )


def with_table(page: str) -> str:
    """A page with the table as it has to be. Raises ValueError where it has no place for it."""
    written, count = re.subn(
        f"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}", lambda _: f"{_BEGIN}\n\n{table()}\n{_END}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"the page needs one line {_BEGIN} and, behind it, one {_END}")
    return written


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
