"""What is published about the same questions, to hold beside what a simulation finds.

All take shares and seconds as floats: nothing here decides anything.
"""

from __future__ import annotations

import math


def fork_rate(delay: float, interval: float) -> float:
    """How often a block gets a rival of its height: 1 - e^(-D/T).

    Decker and Wattenhofer, "Information propagation in the Bitcoin network" (2013), equation 4. `delay`: the mean
    seconds until a share of the hash rate has a block; `interval`: between two blocks of the whole network.
    """
    return -math.expm1(-delay / interval)


def stale_rate(delay: float, interval: float) -> float:
    """The share of blocks that end beside the main chain: (D/T) / (1 + D/T).

    For many small miners and a constant delay D. The first block of a height is with everybody D later; what others
    find until then has no greater height; the next height comes T after that. So the chain grows by a block in D + T
    while one is found every T. The growth is Lemma 5's bound of Sompolinsky and Zohar, "Secure high-rate transaction
    processing in Bitcoin" (2015), which a constant delay attains.
    """
    ratio = delay / interval
    return ratio / (1.0 + ratio)


def double_spend(share: float, confirmations: int, premined: int = 1) -> float:
    """The chance that a private branch gets ahead of the public one after so many confirmations.

    Rosenfeld, "Analysis of hashrate-based double spending" (2012); the same as Grunspan and Pérez-Marco, "Double spend
    races" (2017), for `premined` 1: while the honest find z blocks, the attacker finds k with the chance C(z+k-1, k)
    p^z q^k, and comes back from being n behind with (q/p)^n.
    """
    q, p, z = share, 1.0 - share, confirmations
    if q >= p:
        return 1.0
    needed = z + 1 - premined
    """Blocks that the attacker lacks when it pays, to be one ahead of z."""
    failures, weight = 0.0, p**z  # the chance of k = 0
    for k in range(needed):
        failures += weight * (1.0 - (q / p) ** (needed - k))
        weight *= q * (z + k) / (k + 1)
    return 1.0 - failures


def nakamoto(share: float, confirmations: int) -> float:
    """Section 11 of "Bitcoin: a peer-to-peer electronic cash system" (2008): Poisson in place of the exact count."""
    q, p, z = share, 1.0 - share, confirmations
    if q >= p:
        return 1.0
    mean = z * q / p
    total, weight = 0.0, math.exp(-mean)
    for k in range(z + 1):
        total += weight * (1.0 - (q / p) ** (z - k))
        weight *= mean / (k + 1)
    return 1.0 - total


def selfish_revenue(share: float, followers: float) -> float:
    """A selfish miner's share of the main chain: Eyal and Sirer (2014), equation 8.

    `followers` (gamma): the share of the honest hash rate that mines on the selfish branch in a race of two equal ones.
    """
    a, g = share, followers
    if a >= 0.5:
        return 1.0
    return (a * (1 - a) ** 2 * (4 * a + g * (1 - 2 * a)) - a**3) / (1 - a * (1 + (2 - a) * a))
