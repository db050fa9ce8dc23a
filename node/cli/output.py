"""What commands print: tables for people, JSON for programs. Text of strangers is shown by `node.system.text`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

from ..system.text import shown, shown_json

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
    """A line for each: name, then value. On a narrow terminal a value goes on below itself, word by word."""
    held = [(name, shown(value)) for name, value in rows]
    wide = max((width(name) for name, _ in held), default=0) + 2
    room = terminal_width()
    lines = [(name, _wrapped(value, None if room is None else max(1, room - wide))) for name, value in held]
    for name, (first, *others) in lines:
        click.echo(f"{style(padded(name, wide), dim=True)}{first}".rstrip())
        for other in others:
            click.echo(f"{'':{wide}}{other}")
    for told in _cut_lines(any(line.endswith("…") for _, parts in lines for line in parts)):
        click.echo(told)


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that `stream` (stdout) is; None where it is none, and lines may have any length."""
    import shutil

    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def fitted(text: str, stream: TextIO | None = None) -> str:
    """A sentence whose lines break between words, each as far in as its first, where a terminal is narrower."""
    room = terminal_width(stream)
    if room is None or width(click.unstyle(text)) <= room:
        return text
    indent = " " * (len(text) - len(text.lstrip()))
    return "\n".join(indent + line for line in _wrapped(text.strip(), max(1, room - len(indent)), is_cut=False))


def _wrapped(text: str, room: int | None, *, is_cut: bool = True) -> list[str]:
    """The lines of a text of `room` columns; a word that is longer than one is shortened, if `is_cut`."""
    import textwrap

    if room is None or width(text) <= room:
        return [text]
    if text.isascii():
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    else:  # whose characters are not all one column wide
        lines = []
        for word in text.split():
            if lines and width(lines[-1]) + 1 + width(word) <= room:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return [short(line, room - 1) if is_cut else line for line in lines] or [""]


def _cut_lines(is_cut: bool, dropped: Sequence[str] = ()) -> list[str]:
    """What tells that a narrow terminal does not show all."""
    if not (is_cut or dropped):
        return []
    without = f"without {', '.join(dropped)}: " if dropped else "… is cut: "
    return [style(fitted(f"({without}this terminal is narrow; --json shows all)"), dim=True)]


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Iterable[str] = (),
    cut: Iterable[str] = (),
    drop: Sequence[str] = (),
    below: str | None = None,
) -> None:
    """Print `table_lines`."""
    for line in table_lines(header, rows, right=right, cut=cut, drop=drop, below=below):
        click.echo(line)


def table_lines(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Iterable[str] = (),
    cut: Iterable[str] = (),
    drop: Sequence[str] = (),
    below: str | None = None,
) -> list[str]:
    """A table with columns as wide as they need to be; those named in `right` are flushed right.

    On a terminal that is too narrow those named in `cut` are shortened, and the last column, if `below` names it,
    stands in a line of its own under the rest of its row. Where that is not enough, columns are left out: those that
    `drop` names, in its order, then the last ones. No line is ever longer than the terminal is wide.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    columns = list(header)
    widths = [max(width(line[column]) for line in [columns, *cells]) for column in range(len(columns))]
    flush, room, shortened = set(right), terminal_width(), set(cut)
    moved: list[str] = []
    if room is not None and _wide(widths) > room and below == columns[-1]:
        moved = [short(row.pop(), room - 3) for row in cells]
        columns, widths = columns[:-1], widths[:-1]
    dropped: list[str] = []
    if room is not None:
        dropped = _drop(columns, cells, widths, shortened, drop, room)
        if len(columns) == 1:
            shortened.add(columns[0])
        _narrow(widths, [number for number, name in enumerate(columns) if name in shortened], columns, room)
        cells = [[short(cell, wide - 1) for cell, wide in zip(row, widths, strict=True)] for row in cells]

    def line(values: Sequence[str]) -> str:
        placed = [
            padded(value, wide, right=name in flush) for name, value, wide in zip(columns, values, widths, strict=True)
        ]
        text = "  ".join(placed).rstrip()
        return text if room is None else short(text, room - 1)

    lines = [style(line(columns), dim=True)]
    for number, row in enumerate(cells):
        lines.append(line(row))
        if moved:
            lines.append(f"  {moved[number]}")
    return lines + _cut_lines(any(each.endswith("…") for each in moved), dropped)


def _wide(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _drop(
    columns: list[str], cells: list[list[str]], widths: list[int], cut: set[str], drop: Sequence[str], room: int
) -> list[str]:
    """Take columns out until the others fit, shortened as far as they may be; which went."""
    gone: list[str] = []
    while len(columns) > 1:
        least = [
            min(wide, max(_LEAST_COLUMN, width(name))) if name in cut else wide
            for name, wide in zip(columns, widths, strict=True)
        ]
        if _wide(least) <= room:
            break
        number = columns.index(next((name for name in drop if name in columns), columns[-1]))
        gone.append(columns.pop(number))
        widths.pop(number)
        for row in cells:
            row.pop(number)
    return gone


def _narrow(widths: list[int], columns: Sequence[int], header: Sequence[str], room: int) -> None:
    """Take from the widest of `columns` until the line fits, or nothing can be taken any more."""
    least = {column: max(_LEAST_COLUMN, width(header[column])) for column in columns}
    while _wide(widths) > room:
        widest = max(
            (each for each in columns if widths[each] > least[each]), key=lambda each: widths[each], default=None
        )
        if widest is None:
            return
        widths[widest] -= 1


def number(value: object) -> str:
    """A measured number with as many digits as a person reads: 44.76, 0.01, 1,234,567."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def coins(units: int, decimals: int, symbol: str = "", *, group: bool = False) -> str:
    """An amount for people; `group`: with a comma at every thousand."""
    from ..core.coin import format_amount

    text = format_amount(units, decimals)
    if group:
        whole, point, fraction = text.partition(".")
        text = f"{int(whole):,}{point}{fraction}"
    return f"{text} {symbol}" if symbol else text


def short(text: str | None, keep: int = 12) -> str:
    """A hash, address or memo, cut to `keep` columns and a `…`."""
    line = "" if text is None else shown(text)
    if width(line) <= keep + 1:
        return line
    if not line.isascii():
        while line and width(line) > keep:
            line = line[:-1]
    return f"{line[: max(keep, 0)]}…"


def width(text: str) -> int:
    """Columns of a terminal that a line takes: letters of East Asia and emoji have two, marks on letters none."""
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    import unicodedata

    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """A cell: the text, and spaces behind it (before it, if `right`)."""
    space = " " * (columns - width(text))
    return f"{space}{text}" if right else f"{text}{space}"


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
