"""What commands print: tables for people, JSON for programs. Text that came from others is made harmless first."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

# What a terminal would obey, or what would turn the direction of the text.
_DANGEROUS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    """Somebody's text (a memo, a coin's name) without anything that a terminal would obey."""
    return _DANGEROUS.sub("\ufffd", str(text))


def has_colours() -> bool:
    """Whether stdout is a terminal that may be coloured (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, **how: Any) -> str:
    """`click.style`, on a terminal only."""
    return click.style(text, **how) if has_colours() else text


def print_json(value: Any) -> None:
    """In the API's shape, indented."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(re.sub(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", _escaped, text))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def print_pairs(rows: Iterable[tuple[str, object]]) -> None:
    """A line for each: name, then value."""
    held = [(name, plain(value)) for name, value in rows]
    width = max((len(name) for name, _ in held), default=0) + 2
    for name, value in held:
        click.echo(f"{style(f'{name:<{width}}', dim=True)}{value}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """Columns as wide as they need to be; those named in `right` are flushed right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *cells]) for column in range(len(header))]
    flush = set(right)

    def line(values: Sequence[str]) -> str:
        placed = [
            f"{value:>{width}}" if name in flush else f"{value:<{width}}"
            for name, value, width in zip(header, values, widths, strict=True)
        ]
        return "  ".join(placed).rstrip()

    click.echo(style(line(header), dim=True))
    for row in cells:
        click.echo(line(row))


def coins(units: int, decimals: int, symbol: str = "", *, group: bool = False) -> str:
    """An amount for people; `group`: with a comma at every thousand."""
    from node.core.money import format_amount

    text = format_amount(units, decimals)
    if group:
        whole, point, fraction = text.partition(".")
        text = f"{int(whole):,}{point}{fraction}"
    return f"{text} {symbol}" if symbol else text


def short(text: str | None, keep: int = 12) -> str:
    """A hash or address, cut."""
    return "" if text is None else text if len(text) <= keep + 1 else f"{text[:keep]}…"


def moment(timestamp: int | None) -> str:
    """Unix seconds as this machine's local time."""
    import time

    return "" if timestamp is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp))


def confirmations(count: int) -> str:
    """`1 confirmation`, `2 confirmations`."""
    return f"{count} confirmation{'' if count == 1 else 's'}"
