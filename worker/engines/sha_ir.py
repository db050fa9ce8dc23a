"""Double SHA-256 of an 80-byte header as LLVM IR, by the processor's own instructions for it.

They work on four words at once ("quads") and on a state in two quads. One hash is a long chain of them, each waiting
for the one before; so several nonces ("streams") go side by side. As in sha256_ir, what doesn't depend on the nonce
goes before the loop: a quad says whether it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .scan_ir import scan
from .sha256_ir import INITIAL, K
from .sha_sets import QUAD, Instructions, Quad, State, constant


def module(instructions: Callable[[], Instructions], streams: int) -> str:
    """LLVM IR of `scan` (see scan_ir), `streams` nonces side by side. `instructions`: ARM or X86 of sha_sets."""
    code = instructions()
    known = _prepare(code)
    kind = f"<{streams} x i32>"
    inside = [f"%nonces = call {kind} @llvm.bswap.v{streams}i32({kind} %nonce)"]
    inside += [f"%nonce{stream} = extractelement {kind} %nonces, i64 {stream}" for stream in range(streams)]
    lasts = [_second_hash(code, _first_hash(code, known, f"%nonce{stream}")).name for stream in range(streams)]
    # Every stream has the same instructions: the first of each, then the second of each, and so on.
    length = len(code.inside) // streams
    inside += [code.inside[stream * length + i] for i in range(length) for stream in range(streams)]
    words = "poison"
    for stream, last in enumerate(lasts):
        inside += [
            f"%word{stream} = extractelement {QUAD} {last}, i64 0",
            f"%words{stream} = insertelement {kind} {words}, i32 %word{stream}, i64 {stream}",
        ]
        words = f"%words{stream}"
    declarations = list(code.declarations)
    if streams != 4:  # else `scan` declares it
        declarations.append(f"declare {QUAD} @llvm.bswap.v4i32({QUAD})")
    return scan(streams, declarations, code.before, inside, words)


@dataclass(frozen=True, slots=True)
class _Known:
    """The parts of the first hash that are the same for every nonce."""

    midstate: State
    tail: Quad
    """The second block's first quad, the nonce left 0."""
    block: tuple[Quad, Quad, Quad]
    """The second block's other three quads."""
    fifth: Quad
    """Words 16 to 19 of the schedule for nonce 0. Of these, 16 and 17 are the same for every nonce."""
    fifth_rest: Quad
    """The same less what `first_sums` brings in."""


def midstate(code: Instructions) -> tuple[State, Quad]:
    """The state after the header's first 64 bytes; and the next 16, their last word (the nonce) left 0."""
    quads: list[Quad] = []
    for i in range(5):
        code.before.append(f"%p{i} = getelementptr i8, ptr %header, i64 {16 * i}")
        quads.append(code.call("llvm.bswap.v4i32", code.emit(f"load {QUAD}, ptr %p{i}, align 1")))
    tail = code.pick(quads.pop(), constant(0, 0, 0, 0), 0, 1, 2, 4)
    start = code.state(INITIAL)
    return code.add_states(start, _rounds(code, start, quads, 16)), tail


def _prepare(code: Instructions) -> _Known:
    state, tail = midstate(code)
    block = (constant(1 << 31, 0, 0, 0), constant(0, 0, 0, 0), constant(0, 0, 0, 640))
    sums = code.first_sums(tail, block[0])
    fifth = code.last_sums(sums, block[1], block[2], block[2])
    return _Known(state, tail, block, fifth, code.binary("sub", fifth, sums))


def _rounds(code: Instructions, state: State, quads: list[Quad], groups: int, first: int = 0) -> State:
    """Rounds by four, groups `first` to `groups - 1`. `quads`, the schedule so far, grows as it is needed."""
    for group in range(first, groups):
        if group == len(quads):
            _extend(code, quads)
        state = code.four_rounds(state, code.binary("add", quads[group], constant(*K[4 * group : 4 * group + 4])))
    return state


def _extend(code: Instructions, quads: list[Quad]) -> None:
    quads.append(code.last_sums(code.first_sums(quads[-4], quads[-3]), quads[-2], quads[-1], quads[-1]))


def _first_hash(code: Instructions, known: _Known, nonce: str) -> State:
    """`nonce`: the name of an i32, its bytes swapped."""
    second, third, fourth = known.block
    first = code.emit(f"insertelement {QUAD} {known.tail.name}, i32 {nonce}, i64 3", Quad(nonce, True))
    constants = constant(*K[:4])
    state = code.four_rounds(
        known.midstate, code.binary("add", first, constants), code.binary("add", known.tail, constants)
    )
    fifth = code.binary("add", known.fifth_rest, code.first_sums(first, second))
    sixth = code.last_sums(code.first_sums(second, third), fourth, fifth, known.fifth)
    seventh = code.last_sums(code.first_sums(third, fourth), fifth, sixth, sixth)
    eighth = code.last_sums(code.first_sums(fourth, known.fifth), sixth, seventh, seventh)
    quads = [first, second, third, fourth, fifth, sixth, seventh, eighth]
    return code.add_states(known.midstate, _rounds(code, state, quads, 16, first=1))


def _second_hash(code: Instructions, digest: State) -> Quad:
    """A quad whose lowest word is the last word of the hash of `digest`."""
    quads = [*code.in_order(digest), constant(1 << 31, 0, 0, 0), constant(0, 0, 0, 256)]
    state = _rounds(code, code.state(INITIAL), quads, 15)
    _extend(code, quads)
    return code.last_word(state, code.binary("add", quads[15], constant(*K[60:])))
