"""The compiled engines: every width, the ends of the nonces, and a cache that is never believed blindly."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.worker.bench import PASSED, bench_engines
from moneyer.worker.engines import mixed_ir, registry
from moneyer.worker.engines.code_cache import of_this_user
from moneyer.worker.engines.compiled import CompiledEngine, Processor
from moneyer.worker.engines.hashlib_engine import HashlibEngine
from moneyer.worker.engines.mixed import MixedEngine
from moneyer.worker.engines.registry import NONCES, EngineFailed, solves
from moneyer.worker.engines.sha import NoInstructions, ShaEngine
from moneyer.worker.engines.simd import SimdEngine
from tests.kit.chains import easy_coin
from tests.kit.mining.workers import MILD, NodeFolder
from tests.kit.waiting import wait_until

pytest.importorskip("llvmlite", reason="llvmlite has no wheel here: hashlib is the engine")

_LANES = (4, 8, 16, 32)
_made: dict[str, CompiledEngine] = {}


def made(name: str) -> CompiledEngine:
    """An engine by name, compiled once for all tests: `sha`, `simd 4` …"""
    if name not in _made:
        try:
            _made[name] = make(name)
        except NoInstructions as error:
            pytest.skip(str(error))
    return _made[name]


def make(name: str) -> CompiledEngine:
    match name.split():
        case ["simd", lanes]:
            return SimdEngine(lanes=int(lanes))
        case ["mixed", "avx2"]:
            without = {name: has and not name.startswith("avx512") for name, has in Processor().features.items()}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Processor, "features", without)
                return MixedEngine()
        case ["mixed", "apart"]:
            return MixedEngine(apart=True)
        case ["mixed"]:
            return MixedEngine()
        case _:
            return ShaEngine()


each_engine = pytest.mark.parametrize(
    "name", ["sha", "mixed", "mixed avx2", "mixed apart", *(f"simd {lanes}" for lanes in _LANES)]
)


@each_engine
def test_a_width_that_is_not_the_processors_own_passes_the_self_test_too(name: str) -> None:
    registry.self_test(made(name))


@each_engine
@settings(max_examples=60, deadline=None)
@given(
    header=st.binary(min_size=80, max_size=80),
    start=st.one_of(st.integers(0, NONCES - 1), st.integers(NONCES - 300, NONCES - 1)),
    count=st.integers(0, 500),
    target=st.one_of(
        st.integers(0, 2**256 - 1),
        st.integers(0, 12).map(lambda zero_bits: (1 << 256 - zero_bits) - 1),
        st.sampled_from([0, 1, 2**224 - 1, 2**224, 2**256 - 1, 2**256, 2**300]),
    ),
)
def test_the_first_nonce_that_solves_is_found(name: str, header: bytes, start: int, count: int, target: int) -> None:
    """A range that goes past the last nonce ends there."""
    end = min(start + count, NONCES)
    right = next((nonce for nonce in range(start, end) if solves(header, target, nonce)), None)
    assert made(name).search(header, target, start, count) == right


@each_engine
def test_a_hash_whose_top_word_is_the_targets_is_compared_to_the_last_bit(name: str) -> None:
    for number in range(20):
        header = bytes([number]) * 80
        hashes = {nonce: number_of(header, nonce) for nonce in range(100)}
        best = min(hashes, key=hashes.__getitem__)
        assert made(name).search(header, hashes[best], 0, 100) == best
        assert made(name).search(header, hashes[best] - 1, 0, 100) is None


def number_of(header: bytes, nonce: int) -> int:
    """By the judge alone: the least target that the nonce solves."""
    low, high = 0, 2**256 - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if solves(header, middle, nonce) else (middle + 1, high)
    return low


@each_engine
def test_every_nonce_of_an_easy_target_is_found_in_turn(name: str) -> None:
    header, target = bytes(range(80)), 2**255
    found: list[int] = []
    position = 0
    while (nonce := made(name).search(header, target, position, 400 - position)) is not None:
        found.append(nonce)
        position = nonce + 1
    assert found == [nonce for nonce in range(400) if solves(header, target, nonce)]


def test_a_header_of_another_length_is_refused() -> None:
    for size in (0, 79, 81):
        with pytest.raises(ValueError, match=f"80 bytes, not {size}"):
            made("simd 4").search(bytes(size), 1, 0, 1)


def test_other_threads_run_while_an_engine_searches() -> None:
    """The GIL is let go: this thread looks twice during one call of the compiled code.

    There are several calls, as this thread may be held up for longer than one takes.
    """
    engine, ended, numbers = SimdEngine(lanes=4), threading.Event(), count(1)
    scan, under_way, looks = engine.scan, [0], [0]

    def watched(header: bytes, top: int, start: int, nonces: int) -> int:
        under_way[0] = next(numbers)
        try:
            return scan(header, top, start, nonces)
        finally:
            under_way[0] = 0

    def search() -> None:
        while not ended.is_set():
            engine.search(bytes(80), 0, 0, 1 << 22)

    def looked_twice() -> bool:
        looks.append(under_way[0])
        return looks[-1] != 0 and looks[-1] == looks[-2]

    engine.scan = watched
    thread = threading.Thread(target=search)
    thread.start()
    try:
        wait_until(looked_twice, 30, "two looks during one search")
    finally:
        ended.set()
        thread.join()


def test_a_lying_kernel_is_caught_by_hashlib() -> None:
    engine = SimdEngine(lanes=4)
    engine.scan = lambda header, top, start, count: 0
    assert engine.search(bytes(80), 0, 0, 50) is None
    engine.scan = lambda header, top, start, count: -1
    with pytest.raises(EngineFailed, match="failed its self-test"):
        registry.self_test(engine)


# --- the cache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def start(folder: Path) -> CompiledEngine:
    """The engine that compiles fastest."""
    try:
        engine: CompiledEngine = ShaEngine(folder)
    except NoInstructions:
        engine = SimdEngine(folder, lanes=4)
    assert engine.search(bytes(80), 2**252, 0, 300) == made("simd 4").search(bytes(80), 2**252, 0, 300)
    return engine


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_compiled_code_is_kept_for_the_next_start_and_readable_by_its_owner_only(folder: Path) -> None:
    assert not start(folder).from_cache
    assert folder.stat().st_mode & 0o077 == 0
    assert the_file(folder).stat().st_mode & 0o777 == 0o600
    assert start(folder).from_cache


def damage_byte(at: int) -> Callable[[Path], object]:
    def damage(file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[at] ^= 1
        file.write_bytes(data)

    return damage


def of_another_processor(file: Path) -> None:
    SimdEngine(file.parent, lanes=8)
    (other,) = set(file.parent.iterdir()) - {file}
    other.replace(file)


def a_link_to_elsewhere(file: Path) -> None:
    file.replace(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    "spoil",
    [
        damage_byte(0),
        damage_byte(40),
        damage_byte(-1),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(os.urandom(9000)),
        lambda file: os.truncate(file, 5 << 20),
        of_another_processor,
        a_link_to_elsewhere,
        a_pipe,
        lambda file: file.chmod(0o644),
        lambda file: file.chmod(0o660),
    ],
    ids=[
        "digest",
        "code",
        "last byte",
        "empty",
        "cut",
        "junk",
        "huge",
        "foreign",
        "link",
        "pipe",
        "others may read",
        "group may write",
    ],
)
def test_a_cache_file_that_is_damaged_or_not_ones_own_is_not_run_but_made_again(
    folder: Path, spoil: Callable[[Path], object]
) -> None:
    start(folder)
    spoil(the_file(folder))
    assert not start(folder).from_cache
    assert start(folder).from_cache


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_cache_file_is_not_run(folder: Path) -> None:
    start(folder)
    os.chown(the_file(folder), 12345, 12345)
    assert not start(folder).from_cache
    assert start(folder).from_cache


@pytest.mark.parametrize("what", ["no parent", "a file in its place"])
def test_an_engine_runs_where_its_cache_cannot_be_written(tmp_path: Path, what: str) -> None:
    place = tmp_path / "missing" / "cache" if what == "no parent" else tmp_path / "cache"
    if what != "no parent":
        place.write_bytes(b"")
    assert not start(place).from_cache
    assert not start(place).from_cache
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if what == "no parent" else ["cache"])


def test_code_for_another_processor_generator_or_compiler_has_another_name(folder: Path) -> None:
    for lanes in (4, 8):
        SimdEngine(folder, lanes=lanes)
    assert len(list(folder.iterdir())) == 2
    processor = Processor()
    assert processor.name in processor.fingerprint("").decode()
    assert processor.flags in processor.fingerprint("").decode()
    assert processor.fingerprint("one") != processor.fingerprint("another")


# --- which is taken


def test_auto_takes_no_engine_that_is_slower_than_hashlib(tmp_path: Path) -> None:
    assert registry.choose("auto", tmp_path) in set(registry.ENGINES) - {"hashlib"}


def test_without_llvmlite_auto_takes_hashlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite", None)  # as if it weren't installed
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    assert registry.choose("auto") == "hashlib"
    with pytest.raises(EngineFailed, match=r"simd does not run here: .*llvmlite"):
        registry.make("simd")


def test_a_processor_without_sha_instructions_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processor, "features", {})
    with pytest.raises(EngineFailed, match="sha does not run here: this processor has no SHA-256 instructions"):
        registry.make("sha")
    with pytest.raises(EngineFailed, match="mixed does not run here: this processor has no SHA-256 instructions"):
        registry.make("mixed")
    assert SimdEngine().lanes == 4


class SlowToChange(MixedEngine):
    """On a processor that stops at each change between the two kinds of instructions, as a Zen 3 does."""

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        if not self.apart:
            sleep(count * 7e-5)  # hashlib takes about 1e-6: no moment of load makes up for that three times
        return super().search(header80, target, start_nonce, count)


class QuickToChange(MixedEngine):
    """On a processor that loses nothing by such a change, as a Zen 4 does; wherever this runs."""

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        return None if target == 0 else super().search(header80, target, start_nonce, count)


class HeldUpOnce(HashlibEngine):
    """The yardstick on a machine that does something else for a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.was_held_up = False

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        if not self.was_held_up:
            self.was_held_up = True
            sleep(1)
        return super().search(header80, target, start_nonce, count)


@pytest.mark.parametrize("kind", [QuickToChange, SlowToChange])
def test_where_changing_between_instructions_is_slow_they_stand_apart(
    kind: type[MixedEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made("mixed")  # skips where there are none
    monkeypatch.setattr(registry, "MixedEngine", kind)
    monkeypatch.setattr(registry, "HashlibEngine", HeldUpOnce)
    engine = registry.make("mixed", tmp_path)
    assert isinstance(engine, kind)
    assert engine.apart == (kind is SlowToChange)


@pytest.mark.parametrize("features", ["", "avx512"])
def test_apart_no_sha_instruction_meets_a_vector_with_an_upper_half(features: str) -> None:
    made("mixed")
    processor = Processor()
    without = {name: has and not (features and name.startswith(features)) for name, has in processor.features.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Processor, "features", without)
        narrowed = Processor()
        module = narrowed.llvm.parse_assembly(mixed_ir.module((4, 4, 4, 4), 24))
        assembly = narrowed.machine().emit_assembly(module)
    _, loop = assembly.split(".LBB0_1:")
    has_upper_half, changes, rounds = True, 0, 0
    for line in loop.splitlines():
        if "vzeroupper" in line:
            has_upper_half, changes = False, changes + 1
        elif re.search(r"%[yz]mm(\d|1[0-5])\b", line):
            has_upper_half = True
        elif "sha256rnds2" in line:
            assert not has_upper_half
            rounds += 1
    assert changes >= 24
    assert rounds >= 8 * 62


def test_an_engine_says_why_it_may_be_slow_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = SimdEngine(lanes=4)
    said = registry.why_slow("simd", narrow.weakness, 1.0, 2.0)
    assert said is not None
    assert "this processor's vectors hold only 4 hashes" in said
    assert "slow to change" in made("mixed").weakness
    assert registry.why_slow("simd", narrow.weakness, 2.0, 1.0) is None


@pytest.mark.parametrize("cache", ["of the user", "nowhere"])
def test_a_worker_mines_by_a_compiled_engine_and_keeps_its_code(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONEYER_CACHE", str(tmp_path / "cache") if cache == "of the user" else "/dev/null")
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        worker = node.ready_worker("--mode", "continuous", "--engine", "auto", "--processes", "2")
        wait_until(lambda: node.height >= 4, 60, "four blocks")
        assert worker.alive_status()["engine"] in set(registry.ENGINES) - {"hashlib"}
        kept = tmp_path / "cache" if cache == "of the user" else node.config.data / "cache"
        assert list(kept.iterdir())
        assert (node.config.data / "cache").exists() is (cache == "nowhere")


def test_the_users_cache_is_made_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONEYER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr("sys.platform", "linux")
    folder = of_this_user()
    assert folder == tmp_path / "caches" / "moneyer"
    assert folder.stat().st_mode & 0o077 == 0


def test_a_relative_folder_for_caches_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG Base Directory Specification asks: it would be in whichever folder one stands in."""
    monkeypatch.delenv("MONEYER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.chdir(tmp_path)
    assert of_this_user() == tmp_path / "home" / ".cache" / "moneyer"
    assert not (tmp_path / "caches").exists()


@pytest.mark.parametrize("what", ["others may write", "a file", "somebody else's", "no home"])
def test_a_users_cache_that_is_not_safe_is_not_used(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MONEYER_CACHE", str(folder))
    if what == "a file":
        folder.write_bytes(b"")
    elif what == "no home":
        monkeypatch.delenv("MONEYER_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/dev/null")
    else:
        folder.mkdir()
        folder.chmod(0o720 if what == "others may write" else 0o700)
    if what == "somebody else's":
        if os.geteuid() != 0:
            pytest.skip("only root can give folders away")
        os.chown(folder, 12345, 12345)
    assert of_this_user() is None


def test_the_bench_has_a_row_for_every_engine(tmp_path: Path) -> None:
    rows = bench_engines(0.02, tmp_path, processes=2)
    assert [row.engine for row in rows] == list(registry.ENGINES)
    for row in rows:
        if row.self_test == PASSED:
            assert row.one_core
            assert row.all_cores
            assert row.processes == 2
        else:
            assert "no SHA-256 instructions" in row.self_test
