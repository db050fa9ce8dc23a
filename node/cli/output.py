"""What commands print: tables for people, JSON for programs. Text of strangers is shown by `node.text`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from node.text import shown, shown_json

_LEAST_COLUMN = 9
"""Characters that a shortened column keeps: enough of a txid to name it by."""


def has_colours() -> bool:
    """Whether stdout is a terminal that may be coloured (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, **how: Any) -> str:
    """`click.style`, on a terminal only."""
    return click.style(text, **how) if has_colours() else text


def print_json(value: Any) -> None:
    """In the API's shape, indented."""
    click.echo(shown_json(json.dumps(value, indent=2, ensure_ascii=False)))


def print_pairs(rows: Iterable[tuple[str, object]]) -> None:
    """A line for each: name, then value."""
    held = [(name, shown(value)) for name, value in rows]
    width = max((len(name) for name, _ in held), default=0) + 2
    for name, value in held:
        click.echo(f"{style(f'{name:<{width}}', dim=True)}{value}")


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is none, and lines may have any length."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Iterable[str] = (),
    cut: Iterable[str] = (),
    below: str | None = None,
) -> None:
    """Columns as wide as they need to be; those named in `right` are flushed right.

    On a terminal that is too narrow those named in `cut` are shortened, and the last column, if `below` names it,
    stands in a line of its own under the rest of its row.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *cells]) for column in range(len(header))]
    flush, room = set(right), terminal_width()
    moved: list[str] = []
    if room is not None and _wide(widths) > room and below == header[-1]:
        header, widths, moved = header[:-1], widths[:-1], [row.pop() for row in cells]
    if room is not None:
        _narrow(widths, [column for column, name in enumerate(header) if name in set(cut)], header, room)
        cells = [[short(cell, width - 1) for cell, width in zip(row, widths, strict=True)] for row in cells]

    def line(values: Sequence[str]) -> str:
        placed = [
            f"{value:>{width}}" if name in flush else f"{value:<{width}}"
            for name, value, width in zip(header, values, widths, strict=True)
        ]
        return "  ".join(placed).rstrip()

    click.echo(style(line(header), dim=True))
    for number, row in enumerate(cells):
        click.echo(line(row))
        if moved:
            click.echo(f"  {moved[number]}")


def _wide(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _narrow(widths: list[int], columns: Sequence[int], header: Sequence[str], room: int) -> None:
    """Take from the widest of `columns` until the line fits, or nothing can be taken any more."""
    least = {column: max(_LEAST_COLUMN, len(header[column])) for column in columns}
    while _wide(widths) > room:
        widest = max(
            (each for each in columns if widths[each] > least[each]), key=lambda each: widths[each], default=None
        )
        if widest is None:
            return
        widths[widest] -= 1


def coins(units: int, decimals: int, symbol: str = "", *, group: bool = False) -> str:
    """An amount for people; `group`: with a comma at every thousand."""
    from node.core.money import format_amount

    text = format_amount(units, decimals)
    if group:
        whole, point, fraction = text.partition(".")
        text = f"{int(whole):,}{point}{fraction}"
    return f"{text} {symbol}" if symbol else text


def short(text: str | None, keep: int = 12) -> str:
    """A hash, address or memo, cut."""
    return "" if text is None else shown(text, keep + 1)


def moment(timestamp: int | None) -> str:
    """Unix seconds as this machine's local time."""
    import time

    return "" if timestamp is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp))


def ago(timestamp: int) -> str:
    """Unix seconds as the time that has passed since."""
    import time

    seconds = max(0, int(time.time()) - timestamp)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def counted(count: int, what: str) -> str:
    """`1 block`, `2 blocks`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def activity(worker: Mapping[str, Any], show_rate: Callable[[float], str]) -> str:
    """What a living worker does, by its status: how fast it hashes, as `show_rate` has it, once that is known."""
    if rate := worker.get("hashrate"):
        return show_rate(rate)
    return "searching" if worker.get("searching") else "waiting for work"


def confirmations(count: int) -> str:
    """`1 confirmation`, `2 confirmations`."""
    return counted(count, "confirmation")
