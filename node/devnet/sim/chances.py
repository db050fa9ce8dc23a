"""Random numbers that are the same on every machine and every Python, and the distributions that are asked for by text.

Only `Random.random()` is used, which Python promises never to change for a seed; the rest is arithmetic here. Times
become whole microseconds at once, so that a last bit of a logarithm, which may differ between machines, is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Final

from ...core.errors import MoneyerError, quoted

MICROS: Final = 1_000_000
"""Microseconds in a second: the virtual clock's unit."""
MOST_SECONDS: Final = 86_400.0
"""A longer latency is refused: a day."""
SIGMA: Final = 0.5
"""Of a lognormal latency, unless it is said: of ten links one is slower than 1.9 times the median."""
PARETO: Final = 1.16
"""Exponent of a Pareto distribution in which a fifth of the miners has four fifths of the hash rate."""


class BadScenario(MoneyerError):
    """A simulation cannot be run as it was asked for."""

    code = "bad_scenario"


class Chance:
    """A stream of random numbers. Each purpose has its own: another latency leaves the times of the blocks alone."""

    def __init__(self, seed: int, purpose: str) -> None:
        self.unit: Callable[[], float] = Random(f"moneyer {seed} {purpose}").random  # noqa: S311 - nothing secret
        """A number from 0 to below 1."""

    def below(self, count: int) -> int:
        """A whole number from 0 to below `count`."""
        return int(self.unit() * count)

    def exponential(self) -> float:
        """Of mean 1: the waiting time of a Poisson process."""
        return -math.log(1.0 - self.unit())

    def normal(self) -> float:
        """Of mean 0 and deviation 1 (Box and Muller's way)."""
        radius = math.sqrt(2.0 * self.exponential())
        return radius * math.cos(2.0 * math.pi * self.unit())

    def shuffled(self, count: int) -> list[int]:
        """The numbers below `count` in random order (Fisher and Yates' way)."""
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


class Chances:
    """The streams of one network that runs."""

    def __init__(self, seed: int) -> None:
        self.blocks = Chance(seed, "blocks")
        """When a block is found, and by whom."""
        self.losses = Chance(seed, "losses")
        """Which messages are lost."""


Draw = Callable[[Chance], int]
"""A latency, microseconds."""


def latency_of(text: str) -> Draw:
    """`constant:80ms`, `uniform:10ms:100ms`, `exponential:80ms` (its mean), `lognormal:80ms[:sigma]` (its median).

    Raises BadScenario.
    """
    name, *parts = text.split(":")
    wanted = "constant:80ms, uniform:10ms:100ms, lognormal:80ms, lognormal:80ms:0.5 or exponential:80ms"
    if name == "constant" and len(parts) == 1:
        constant = micros_of(parts[0], text)
        return lambda _: constant
    if name == "uniform" and len(parts) == 2:
        low, high = (micros_of(part, text) for part in parts)
        if low > high:
            raise BadScenario(f"latency {quoted(text)}: the first time must be the shorter one", latency=text)
        return lambda chance: low + chance.below(high - low + 1)
    if name == "lognormal" and len(parts) in (1, 2):
        median = micros_of(parts[0], text)
        sigma = number_of(parts[1], f"sigma in latency {quoted(text)}", 0.0, 3.0) if len(parts) == 2 else SIGMA
        return lambda chance: round(median * math.exp(sigma * chance.normal()))
    if name == "exponential" and len(parts) == 1:
        mean = micros_of(parts[0], text)
        return lambda chance: round(mean * chance.exponential())
    raise BadScenario(f"latency must be {wanted}, not {quoted(text)}", latency=text)


def micros_of(text: str, whole: str) -> int:
    """Microseconds of `80ms`, `1.5s` or `250us`. `whole`: what it stands in, for the error. Raises BadScenario."""
    for unit, factor in (("ms", 1_000), ("us", 1), ("s", MICROS)):
        if text.endswith(unit):
            return round(number_of(text.removesuffix(unit), f"the time in {quoted(whole)}", 0.0, MOST_SECONDS) * factor)
    raise BadScenario(f"{quoted(whole)}: {quoted(text)} is no time such as 80ms, 1.5s or 250us", found=text)


def number_of(text: str, what: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`. Raises BadScenario."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high or "_" in text:  # NaN is not in any range
        raise BadScenario(f"{what} must be a number from {low:g} to {high:g}, not {quoted(text)}", found=text)
    return number


Weights = Callable[[int, Chance], list[float]]
"""So many miners' hash rates, in any unit."""


def weights_of(text: str) -> Weights:
    """Of `equal`, `pareto[:exponent]`, or numbers such as `4,2,1` for the first ones and nothing for the others.

    Raises BadScenario, the function that is returned too.
    """
    name, _, rest = text.partition(":")
    if name == "equal" and not rest:
        return lambda miners, _: [1.0] * miners
    if name == "pareto":
        exponent = number_of(rest, f"the exponent in {quoted(text)}", 1.01, 100.0) if rest else PARETO
        return lambda miners, chance: [(1.0 - chance.unit()) ** (-1.0 / exponent) for _ in range(miners)]
    told = [
        number_of(part, "hashrate is equal, pareto, pareto:1.5 or a list such as 4,2,1, of which each", 0.0, 1e18)
        for part in text.split(",")
    ]

    def listed(miners: int, _: Chance) -> list[float]:
        if len(told) > miners:
            raise BadScenario(f"hashrate names {len(told)} miners, and there are {miners}", found=len(told))
        return [*told, *[0.0] * (miners - len(told))]

    return listed


def shares_of(weights: list[float]) -> list[float]:
    """Parts of the whole. Raises BadScenario where nobody has anything."""
    whole = math.fsum(weights)
    if whole <= 0:
        raise BadScenario("nobody has any hash rate: at least one miner must have some", field="hashrate")
    return [weight / whole for weight in weights]
