"""Every engine against plain hashlib, and the registry."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.hashing import sha256d
from worker import engines
from worker.engines import ENGINES, NONCES, EngineFailed
from worker.engines.hashlib_engine import HashlibEngine

each_engine = pytest.mark.parametrize("name", sorted(ENGINES))


class _Liar:
    """Finds the right nonce, except for one that has 9 zero bits."""

    name = "liar"

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        found = HashlibEngine().search(header80, target, start_nonce, count)
        return found if target.bit_length() != 247 else None


class _Broken:
    name = "broken"

    def __init__(self) -> None:
        raise OSError("no such device")

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        raise AssertionError


@each_engine
def test_an_engine_passes_its_self_test(name: str) -> None:
    assert engines.make(name).name == name


@each_engine
@settings(max_examples=60)
@given(
    header=st.binary(min_size=80, max_size=80),
    start=st.integers(0, NONCES - 1),
    count=st.integers(1, 700),
    zero_bits=st.integers(0, 12),
)
def test_an_engine_finds_what_hashlib_finds(name: str, header: bytes, start: int, count: int, zero_bits: int) -> None:
    count = min(count, NONCES - start)
    target = (1 << 256 - zero_bits) - 1
    right = [nonce for nonce in range(start, start + count) if engines.solves(header, target, nonce)]
    found = ENGINES[name]().search(header, target, start, count)
    assert found in right if right else found is None


@each_engine
@pytest.mark.parametrize("start", [0, 250, 65_300, 2**24 - 300, NONCES - 700])
def test_an_engine_finds_the_one_nonce_of_a_range_that_solves(name: str, start: int) -> None:
    engine = ENGINES[name]()
    for number in range(12):
        header = bytes([number]) * 80
        hashes = {number_of(header, nonce): nonce for nonce in range(start, start + 700)}
        assert engine.search(header, min(hashes), start, 700) == hashes[min(hashes)]
        assert engine.search(header, min(hashes) - 1, start, 700) is None


def number_of(header: bytes, nonce: int) -> int:
    return int.from_bytes(sha256d(header[:76] + nonce.to_bytes(4, "little")), "little")


def test_an_engine_that_misses_a_nonce_fails_its_self_test() -> None:
    with pytest.raises(EngineFailed, match="liar failed its self-test"):
        engines.self_test(_Liar())


def test_auto_passes_over_engines_that_lie_or_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "liar", _Liar)
    monkeypatch.setitem(ENGINES, "broken", _Broken)
    assert engines.choose("auto") == "hashlib"
    with pytest.raises(EngineFailed, match="no such device"):
        engines.choose("broken")


def test_auto_takes_the_fastest_of_those_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(HashlibEngine):
        def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
            return min(
                (n for n in range(start_nonce, start_nonce + count) if engines.solves(header80, target, n)),
                default=None,
            )

    monkeypatch.setitem(ENGINES, "another", Slow)
    assert engines.choose("auto") == "hashlib"


def test_an_unknown_engine_is_refused_by_a_sentence_that_names_the_known() -> None:
    with pytest.raises(EngineFailed, match="'abacus': take auto or one of hashlib"):
        engines.choose("abacus")
