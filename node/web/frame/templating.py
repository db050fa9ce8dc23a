"""Jinja2 as these pages use it: every value is text, made visible and then escaped, wherever it stands.

Jinja escapes by itself (autoescape); `_visible` is its `finalize`, which every `{{ value }}` passes first. A template
cannot forget either. Raised at once, and not shown as nothing: a name that no page has given (StrictUndefined).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...core.coin import Coin, format_amount
from ...system.text import shown
from . import drawings
from .static_files import StaticFiles

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
_SCALES: Final = ((10**18, "E"), (10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def make_environment(coin: Coin, static: StaticFiles) -> Environment:
    """The templates of one node."""
    # Where no page is ever asked for, none of this is loaded.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(coin=coin, static=static.url, drawings=drawings)
    environment.filters.update(
        amount=lambda units: amount(units, coin.decimals),
        units=amount,
        coins=lambda units: f"{amount(units, coin.decimals)} {coin.symbol}",
        about=lambda units: about(units, coin.decimals),
        plain_amount=lambda units: format_amount(units, coin.decimals),
        grouped=grouped,
        scaled=scaled,
        difficulty=difficulty,
        span=span,
        size=size,
        rate=rate,
        percent=percent,
        utc=utc,
        iso=iso,
        clock=clock,
        short=short,
        mode=mode,
    )
    return environment


def _visible(value: object) -> object:
    """What a template prints: text of ours or of strangers, as one line of visible characters."""
    return shown(value) if type(value) is str else value


def grouped(number: int) -> str:
    """A whole number with commas: `1,234,567`."""
    return f"{number:,}"


def amount(units: int, decimals: int) -> str:
    """Base units as coins, or units of an asset as assets, the whole part grouped: `1,250.5`."""
    whole, point, fraction = format_amount(units, decimals).partition(".")
    return f"{int(whole):,}{point}{fraction}"


def about(units: int, decimals: int) -> str:
    """Base units as coins, for a glance: from 1,000 coins on without what stands behind the point."""
    return amount(units - units % 10**decimals if units >= 1_000 * 10**decimals else units, decimals)


def scaled(number: float, unit: str = "") -> str:
    """A rate or a count with three digits and a prefix: `1.25 M`, with the unit behind it."""
    for scale, prefix in _SCALES:
        if number >= scale:
            return f"{_three_digits(number / scale)} {prefix}{unit}"
    return f"{_three_digits(number)} {unit}".rstrip()


def difficulty(number: float) -> str:
    """A difficulty: how many times harder than the easiest allowed."""
    return scaled(number).replace(" ", "\N{NARROW NO-BREAK SPACE}") if number >= 1e6 else _three_digits(number, 1_000)


def _three_digits(number: float, whole_from: int = 100) -> str:
    if number >= whole_from:
        return f"{number:,.0f}"
    text = f"{number:.2f}" if number < 10 else f"{number:.1f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def span(seconds: float) -> str:
    """A length of time in its two largest units: `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{_three_digits(seconds)} s"
    for unit, name, below, below_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit:,} {name} {rest} {below_name}" if rest else f"{whole // unit:,} {name}"
    raise AssertionError("60 seconds are a minute")


def size(count: int) -> str:
    """Bytes for people: `1.2 kB`."""
    return scaled(count, "B")


def rate(units_per_byte: float) -> str:
    """A fee per byte, in base units: `1.25`, `0`."""
    return _three_digits(units_per_byte, 1_000)


def percent(part: float, whole: float) -> str:
    """`12.5 %`; of nothing: `0 %`."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "< 0.01 %"
    return f"{share:.2f}".rstrip("0").rstrip(".") + " %"


def _moment(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def utc(timestamp: int) -> str:
    """Unix seconds as people read them: `2026-11-30 08:49:41 UTC`."""
    return f"{_moment(timestamp):%Y-%m-%d %H:%M:%S} UTC"


def iso(timestamp: int) -> str:
    """Unix seconds as `<time datetime>` takes them."""
    return f"{_moment(timestamp):%Y-%m-%dT%H:%M:%SZ}"


def clock(timestamp: int) -> str:
    """The time of the day: `08:49:41`."""
    return f"{_moment(timestamp):%H:%M:%S}"


def mode(named: str) -> str:
    """When a worker mines, in words."""
    kind, _, seconds = named.partition(" ")
    if kind == "interval":
        return f"every {seconds} s"
    return {"demand": "when asked", "instant": "when a transfer waits", "continuous": "all the time"}.get(kind, named)


def short(text: str, first: int = 8, last: int = 6) -> str:
    """A hash or an address by its first and last characters; the whole stands in its title and its link."""
    return text if len(text) <= first + last + 1 else f"{text[:first]}…{text[len(text) - last :]}"
