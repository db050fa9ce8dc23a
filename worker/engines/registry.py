"""The list of hash engines: makes one by its name, tests it against hashlib, and chooses the fastest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Protocol

from .hashlib_engine import HashlibEngine
from .mixed import MixedEngine
from .proof import NONCES, solves
from .sha import ShaEngine
from .simd import SimdEngine

__all__ = [
    "AUTO",
    "ENGINES",
    "NONCES",
    "Engine",
    "EngineFailed",
    "best_speeds",
    "choose",
    "choose_measured",
    "make",
    "self_test",
    "solves",
    "speed",
    "why_slow",
]

log = logging.getLogger("moneyer.worker")

AUTO = "auto"

YARDSTICK = "hashlib"
"""The engine that runs everywhere: one that is slower is of no use."""
_FIRST_TRIAL = 1 << 10
"""Nonces of each of the first comparisons."""
_FIRST_TURNS = 3
"""First comparisons."""
_TRIAL = 1 << 13
"""Nonces of each comparison after them."""
_TURNS = 5
"""Comparisons after the first."""
_HOPELESS = 50
"""An engine that is so many times slower than the fastest has the first comparisons only."""


class Engine(Protocol):
    """What every engine can do."""

    name: str
    """Its key in ENGINES."""
    weakness: str
    """Why it may be slow on this processor, as a clause; empty where no reason is known."""

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        """A nonce of `start_nonce … start_nonce + count - 1` (below 2**32) that solves the header, or None.

        Solves: the little-endian number of SHA-256d of the header with that nonce is at most `target`. Where several
        do, any may be the answer. The header's own last four bytes are not looked at.
        """
        ...


class EngineFailed(Exception):
    """An engine cannot run here, or gave a wrong answer; the message says which of the two."""


def _mixed(cache: Path | None) -> Engine:
    """The form of `mixed` that suits this processor: where the first is slower than hashlib, the second."""
    engine, yardstick = MixedEngine(cache), HashlibEngine()
    speeds = _best_of({engine.name: engine, yardstick.name: yardstick}, _FIRST_TRIAL, _FIRST_TURNS)
    return MixedEngine(cache, apart=True) if speeds[engine.name] < speeds[yardstick.name] else engine


ENGINES: dict[str, Callable[[Path | None], Engine]] = {
    "hashlib": lambda _cache: HashlibEngine(),
    "simd": SimdEngine,
    "sha": ShaEngine,
    "mixed": _mixed,
}
"""Name -> a function that makes the engine, given a folder in which it may keep compiled code.

Making one may take seconds (compiling), and may raise anything where the engine cannot run.
"""


def make(name: str, cache: Path | None = None) -> Engine:
    """The engine of that name, having passed its self-test. Raises EngineFailed."""
    if name not in ENGINES:
        raise EngineFailed(f'there is no engine "{name}": take {AUTO} or one of {", ".join(ENGINES)}')
    try:
        engine = ENGINES[name](cache)
        self_test(engine)
    except EngineFailed:
        raise
    except ImportError as error:
        raise EngineFailed(
            f"the engine {name} does not run here: llvmlite, which compiles it, is not installed"
        ) from error
    except Exception as error:  # an engine may use anything: a compiler, a device
        raise EngineFailed(f"the engine {name} does not run here: {error}") from error
    return engine


def choose(name: str, cache: Path | None = None) -> str:
    """`name` itself where it passes its self-test; for `auto` the fastest that does. Raises EngineFailed."""
    return choose_measured(name, cache)[0]


def choose_measured(name: str, cache: Path | None = None) -> tuple[str, float]:
    """As `choose`, with the hashes a second that one process reaches. Raises EngineFailed."""
    if name != AUTO:
        wanted = make(name, cache)
        speeds = best_speeds({name: wanted, YARDSTICK: make(YARDSTICK)})
        if (why := why_slow(name, wanted.weakness, speeds[name], speeds[YARDSTICK])) is not None:
            log.warning("%s", why)
        return name, speeds[name]
    passing: dict[str, Engine] = {}
    for candidate in ENGINES:
        try:
            passing[candidate] = make(candidate, cache)
        except EngineFailed as error:
            log.info("%s", error)
    if not passing:
        raise EngineFailed("no engine passes its self-test on this machine")
    speeds = best_speeds(passing)
    return max(speeds.items(), key=lambda row: row[1])


def why_slow(name: str, weakness: str, speed: float, yardstick: float) -> str | None:
    """A sentence where an engine is slower here than hashlib is, and so is of no use; else None."""
    if speed >= yardstick or name == YARDSTICK:
        return None
    return (
        f"the engine {name} is right but slower than {YARDSTICK} on this processor, {yardstick / speed:.1f} times: "
        f"{weakness or 'what it needs is there, but slow on this model'}. Take --engine {AUTO}, which never takes a "
        "slower one"
    )


def best_speeds(candidates: dict[str, Engine]) -> dict[str, float]:
    """Hashes a second of each by its name."""
    speeds = _best_of(candidates, _FIRST_TRIAL, _FIRST_TURNS)
    fastest = max(speeds.values())
    # An engine so far behind is not compared again: that would delay the start by seconds.
    near = {name: engine for name, engine in candidates.items() if speeds[name] * _HOPELESS > fastest}
    for name, again in _best_of(near, _TRIAL, _TURNS).items():
        speeds[name] = max(speeds[name], again)
    return speeds


def _best_of(candidates: dict[str, Engine], nonces: int, turns: int) -> dict[str, float]:
    """Of each its best of several turns: a moment of load must not decide, whichever of them it meets."""
    speeds = dict.fromkeys(candidates, 0.0)
    for _ in range(turns):
        for name, engine in candidates.items():
            speeds[name] = max(speeds[name], speed(engine, nonces))
    return speeds


def speed(engine: Engine, count: int) -> float:
    """Hashes a second of an engine, over `count` nonces that are all tried."""
    began = perf_counter()
    engine.search(bytes(80), 0, 0, count)
    return count / (perf_counter() - began)


# Headers of Bitcoin's blocks 0 and 125552, with their nonces.
_KNOWN = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3"
    "888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951e"
    "d797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
)
_DIFFICULTY_1 = 0xFFFF << 208


def self_test(engine: Engine) -> None:
    """Compare an engine with plain hashlib. Raises EngineFailed on the first wrong answer."""
    for known in _KNOWN:
        header = bytes.fromhex(known)
        nonce = int.from_bytes(header[76:], "little")
        _expect(engine, header, _DIFFICULTY_1, max(0, nonce - 700), 1000, {nonce})
        _expect(engine, header, _DIFFICULTY_1, nonce, 1, {nonce})
        _expect(engine, header, _DIFFICULTY_1, nonce - 257, 257, set())
        _expect(engine, header, _DIFFICULTY_1, nonce + 1, 300, set())
        exact = sha256(sha256(header).digest()).digest()
        _expect(engine, header, int.from_bytes(exact, "little"), nonce, 1, {nonce})
        _expect(engine, header, int.from_bytes(exact, "little") - 1, nonce, 1, set())
        for zero_bits in (1, 4, 9):
            target = (1 << 256 - zero_bits) - 1
            for start, count in ((0, 3), (250, 517), (NONCES - 600, 600), (NONCES - 1, 1)):
                right = {tried for tried in range(start, start + count) if solves(header, target, tried)}
                _expect(engine, header, target, start, count, right)


def _expect(engine: Engine, header: bytes, target: int, start: int, count: int, right: set[int]) -> None:
    found = engine.search(header, target, start, count)
    if (found not in right) if right else (found is not None):
        raise EngineFailed(
            f"the engine {engine.name} failed its self-test: {found} for {count} nonces from {start} of {header.hex()}"
        )
