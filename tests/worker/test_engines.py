"""Every engine against plain hashlib, and the registry."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moneyer.node.core.codec import sha256d
from moneyer.worker.bench import PASSED, bench_engines
from moneyer.worker.engines import registry
from moneyer.worker.engines.hashlib_engine import HashlibEngine
from moneyer.worker.engines.registry import ENGINES, NONCES, Engine, EngineFailed

_made: dict[str, Engine | str] = {}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each that runs on this machine."""
    name: str = request.param
    if name not in _made:
        try:
            _made[name] = registry.make(name)
        except EngineFailed as error:
            _made[name] = str(error)
    made = _made[name]
    if isinstance(made, str):
        pytest.skip(made)
    return made


class _Liar:
    """Finds the right nonce, except for one that has 9 zero bits."""

    name = "liar"
    weakness = ""

    def __init__(self, cache: Path | None = None) -> None:
        pass

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        found = HashlibEngine().search(header80, target, start_nonce, count)
        return found if target.bit_length() != 247 else None


class _Broken:
    name = "broken"

    def __init__(self, cache: Path | None) -> None:
        raise OSError("no such device")

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        raise AssertionError


def test_hashlib_passes_its_self_test_everywhere() -> None:
    assert registry.make("hashlib").name == "hashlib"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    header=st.binary(min_size=80, max_size=80),
    start=st.integers(0, NONCES - 1),
    count=st.integers(1, 700),
    zero_bits=st.integers(0, 12),
)
def test_an_engine_finds_what_hashlib_finds(
    engine: Engine, header: bytes, start: int, count: int, zero_bits: int
) -> None:
    count = min(count, NONCES - start)
    target = (1 << 256 - zero_bits) - 1
    right = [nonce for nonce in range(start, start + count) if registry.solves(header, target, nonce)]
    found = engine.search(header, target, start, count)
    assert found in right if right else found is None


@pytest.mark.parametrize("start", [0, 250, 65_300, 2**24 - 300, NONCES - 700])
def test_an_engine_finds_the_one_nonce_of_a_range_that_solves(engine: Engine, start: int) -> None:
    for number in range(12):
        header = bytes([number]) * 80
        hashes = {number_of(header, nonce): nonce for nonce in range(start, start + 700)}
        assert engine.search(header, min(hashes), start, 700) == hashes[min(hashes)]
        assert engine.search(header, min(hashes) - 1, start, 700) is None


def number_of(header: bytes, nonce: int) -> int:
    return int.from_bytes(sha256d(header[:76] + nonce.to_bytes(4, "little")), "little")


def test_an_engine_that_misses_a_nonce_fails_its_self_test() -> None:
    with pytest.raises(EngineFailed, match="liar failed its self-test"):
        registry.self_test(_Liar())


@pytest.fixture
def only_hashlib() -> Iterator[None]:
    """Puts all back in the order in which they were, which other tests look at."""
    held = dict(ENGINES)
    for name in held.keys() - {"hashlib"}:
        del ENGINES[name]
    yield
    ENGINES.clear()
    ENGINES.update(held)


@pytest.mark.usefixtures("only_hashlib")
def test_auto_passes_over_engines_that_lie_or_do_not_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(ENGINES, "liar", _Liar)
    monkeypatch.setitem(ENGINES, "broken", _Broken)
    caplog.set_level(logging.INFO, "moneyer.worker")
    assert registry.choose("auto") == "hashlib"
    assert sorted(record.getMessage().split(":")[0] for record in caplog.records) == [
        "the engine broken does not run here",
        "the engine liar failed its self-test",
    ]
    with pytest.raises(EngineFailed, match="no such device"):
        registry.choose("broken")


class _Slow(HashlibEngine):
    name = "another"
    weakness = "this processor is one of a test's"

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        nonces = range(start_nonce, start_nonce + count)
        # Each eight times: so much slower that no other load on the machine can make it look the faster one.
        return min((n for n in nonces if any(registry.solves(header80, target, n) for _ in range(8))), default=None)


@pytest.mark.usefixtures("only_hashlib")
def test_auto_takes_the_fastest_of_those_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "another", lambda _cache: _Slow())
    assert registry.choose("auto") == "hashlib"


@pytest.mark.usefixtures("only_hashlib")
def test_an_engine_that_is_slower_than_hashlib_here_says_so_where_it_is_asked_for_and_in_the_bench(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(ENGINES, "another", lambda _cache: _Slow())
    monkeypatch.setattr("moneyer.worker.bench.measure_together", lambda *_: 1.0)
    name, speed = registry.choose_measured("another")
    assert (name, speed > 0) == ("another", True)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "the engine another is right but slower than hashlib on this processor" in said
    told: list[str] = []
    plain, slow = bench_engines(0.2, on_progress=told.append)
    assert (plain.note, slow.self_test) == (None, PASSED)
    assert slow.note is not None
    assert "slower than hashlib" in slow.note
    assert all("this processor is one of a test's" in sentence for sentence in (said, slow.note))
    assert [line.partition(",")[0] for line in told] == ["measuring hashlib (1 of 2)", "measuring another (2 of 2)"]


class _HeldUpOnce(HashlibEngine):
    """Faster than hashlib, but the machine does something else for a moment while it searches for `target`."""

    name = "another"

    def __init__(self, target: int) -> None:
        self._target = target
        self.was_held_up = False

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        if target == self._target and not self.was_held_up:
            self.was_held_up = True
            sleep(2)
        return None if target == 0 else super().search(header80, target, start_nonce, count)


@pytest.mark.usefixtures("only_hashlib")
def test_no_engine_is_said_to_be_slow_for_a_moment_in_which_it_was_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    held_up = _HeldUpOnce(1 << 200)  # the bench's own, which no nonce meets
    monkeypatch.setitem(ENGINES, "another", lambda _cache: held_up)
    monkeypatch.setattr("moneyer.worker.bench.measure_together", lambda *_: 1.0)
    plain, other = bench_engines(0.2)
    assert held_up.was_held_up
    assert other.self_test == PASSED
    assert (plain.note, other.note) == (None, None)


@pytest.mark.usefixtures("only_hashlib")
def test_auto_gives_up_no_engine_for_a_moment_in_which_it_was_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    held_up = _HeldUpOnce(0)  # that of the comparisons
    monkeypatch.setitem(ENGINES, "another", lambda _cache: held_up)
    assert registry.choose("auto") == "another"
    assert held_up.was_held_up


def test_auto_never_takes_an_engine_that_is_slower_than_hashlib_on_this_very_machine(tmp_path: Path) -> None:
    name = registry.choose("auto", tmp_path)
    assert registry.speed(registry.make(name, tmp_path), 1 << 14) > 0
    slow = [row.engine for row in bench_engines(0.1, tmp_path, processes=1) if row.note is not None]
    assert name not in slow


def test_an_unknown_engine_is_refused_by_a_sentence_that_names_the_known() -> None:
    with pytest.raises(EngineFailed, match='"abacus": take auto or one of hashlib, '):
        registry.choose("abacus")
