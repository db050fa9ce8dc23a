"""Double SHA-256 of an 80-byte header as LLVM IR, half by the processor's SHA-256 instructions, half by its vectors.

`sha256rnds2` does two rounds of one hash, and a Zen 4 starts one every cycle on one of its four vector pipes. The
instructions for the message schedule take that pipe for as long again. So here vectors make the schedule, of eight
nonces at once, add K, and store the words in pairs, which `sha256rnds2` gets by a load.

A nonce goes through four stages, and a turn of the loop does each of them, for another vector of nonces each, so that
none waits for another:

- vectors make the schedule of the first hash (of its second block) and write it to `first`;
- SHA instructions read that, do the rounds, and write the state to `digest`;
- vectors read that, make the schedule of the second hash and write it to `second`;
- SHA instructions read that, do the rounds, and write the last word to `last`.

There are two of each buffer: one is read and one written, and with the next turn they change places. In the loop the
instructions for vectors stand evenly between those for SHA-256, as the processor looks ahead by a few hundred only.

Some processors are slow to change between the two: SHA-256 instructions are of the SSE kind, and where the upper half
of a 256-bit register holds something, they stop to save it. For those the two stand in turns of many each, and
`vzeroupper` empties the upper halves before each turn of SHA-256 instructions (`portions`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from . import sha_ir
from .scan_ir import scan
from .sha256_ir import INITIAL, K, Register, VectorCode, Word
from .sha_sets import QUAD, X86, Quad, State, constant

LANES = 8
"""16 ran a fifth slower: a wide rotation takes both of the pipes of which `sha256rnds2` needs one."""
_VECTOR = 4 * LANES
"""Bytes."""
_ORDER = (0, 1, 4, 5, 2, 3, 6, 7)
"""Which nonce each lane has, so that `_interleave` brings pairs of words into the order of the nonces. And the other
way round: which lane has each nonce."""
_BUFFERS = {"first": 64 * _VECTOR, "second": 64 * _VECTOR, "digest": 8 * _VECTOR, "last": _VECTOR}
"""Bytes of each."""
_STAGES = 4
_STATE = ((5, 4, 1, 0), (7, 6, 3, 2))
"""Which words of the state the two quads have: FEBA and HGDC, from the lowest place up."""
_FENCE = 'call void asm sideeffect "", "~{memory}"()'
"""No instruction, but LLVM moves no load and no store over it. Without it LLVM separates again what was mixed, in some
places, and small changes decided whether that made 37 or 49 million hashes/s."""


@dataclass(frozen=True, slots=True)
class _Schedule:
    """The words of a message schedule, and the buffer that they are written to."""

    buffer: str
    words: list[Word]

    def pair(self, number: int) -> tuple[Word, Word]:
        """The last has no second word where that one isn't asked for."""
        return self.words[2 * number], self.words[min(2 * number + 1, len(self.words) - 1)]

    def depends_on_nonce(self, number: int) -> bool:
        return any(isinstance(word, Register) and word.vector for word in self.pair(number))


def module(groups: Sequence[int], portions: int | None = None) -> str:
    """LLVM IR of `scan` (see scan_ir). `groups`: sizes of the groups whose hashes are interleaved, 16 in all.

    `portions`: how often the loop changes between the two kinds of instructions, by `vzeroupper`; None: all the time.
    """
    sha, vectors = X86(), VectorCode(LANES, ternary=False)
    vectors.before = sha.before
    midstate, tail = sha_ir.midstate(sha)
    _make_buffers(sha.before)
    nonce = vectors.swap(Register("%nonce", True))
    header: list[Word] = [_extract(sha, tail, place) for place in range(3)]
    first = _schedule(vectors, "first", [*header, nonce, 1 << 31, *[0] * 10, 640], 64)
    digest = _read_digest(vectors, [[_extract(sha, quad, place) for place in range(4)] for quad in midstate])
    second = _schedule(vectors, "second", [*digest, 1 << 31, *[0] * 6, 256], 61)

    known_first, known_second = (_known(vectors, sha, schedule) for schedule in (first, second))
    _keep_start(sha, sha.two_rounds(midstate, known_first.pop(0)))
    hashes = [_first_hash(sha, known_first, nonce) for nonce in range(LANES)]
    hashes += [_second_hash(sha, known_second, nonce) for nonce in range(LANES)]
    steps = list(_in_turns(sha, hashes, groups))
    inside = _mix(steps, vectors.inside) if portions is None else _alternate(steps, vectors.inside, portions)

    vectors.inside = inside
    last_word = vectors.add(INITIAL[7], _read(vectors, "last", 0))
    declarations = [
        *sha.declarations,
        "declare void @llvm.x86.avx.vzeroupper()",
        f"declare {QUAD} @llvm.bswap.v4i32({QUAD})",
        "declare i32 @llvm.fshr.i32(i32, i32, i32)",
        "declare <8 x i32> @llvm.fshr.v8i32(<8 x i32>, <8 x i32>, <8 x i32>)",
        "declare void @llvm.memset.inline.p0.i64(ptr, i8, i64, i1)",
    ]
    carried = [
        f"%{buffer}.{ours} = phi ptr [ %{buffer}.{number}, %before ], [ %{buffer}.{other}, %more ]"
        for buffer in _BUFFERS
        for number, ours, other in ((0, "read", "write"), (1, "write", "read"))
    ]
    return scan(
        LANES,
        declarations,
        sha.before,
        inside,
        vectors.operand(last_word, True),
        behind=_STAGES,
        order=_ORDER,
        carried=carried,
    )


def _make_buffers(before: list[str]) -> None:
    """Make the buffers, filled with zeros: in the first turns the later stages read what nothing has written."""
    total = 2 * sum(_BUFFERS.values())
    before += [
        f"%buffers = alloca [{total} x i8], align 64",
        f"call void @llvm.memset.inline.p0.i64(ptr align 64 %buffers, i8 0, i64 {total}, i1 false)",
    ]
    offset = 0
    for buffer, size in _BUFFERS.items():
        for number in range(2):
            before.append(f"%{buffer}.{number} = getelementptr i8, ptr %buffers, i64 {offset}")
            offset += size


def _place(lines: list[str], buffer: str, offset: int) -> str:
    """A pointer into a buffer; each is computed once."""
    lines.append(f"%{buffer}.{offset} = getelementptr i8, ptr %{buffer}, i64 {offset}")
    return f"%{buffer}.{offset}"


def _read(code: VectorCode, buffer: str, offset: int) -> Register:
    return code.emit(True, f"load TYPE, ptr {_place(code.inside, f'{buffer}.read', offset)}, align {_VECTOR}")


# The message schedules, by vectors.


def _schedule(code: VectorCode, buffer: str, words: list[Word], count: int) -> _Schedule:
    """The words of the message schedule, `count` of them; those that depend on the nonce go to the buffer, K added."""
    schedule = _Schedule(buffer, words)
    for number in range(len(words) // 2):
        _write_pair(code, schedule, number)
    while len(words) < count:
        words.append(
            code.add(words[-16], _sigma(code, words[-15], 7, 18, 3), words[-7], _sigma(code, words[-2], 17, 19, 10))
        )
        if len(words) % 2 == 0 or len(words) == count:
            _write_pair(code, schedule, (len(words) - 1) // 2)
    return schedule


def _sigma(code: VectorCode, word: Word, near: int, far: int, shift: int) -> Word:
    """Turned `near` xor turned `far` xor shifted, with no xor right after another: LLVM would make those one
    instruction of three operands (vpternlog), and `sha256rnds2` waits for such as it has three itself."""
    turned = code.rotate(code.binary("xor", word, code.rotate(word, far - near)), near)
    return code.binary("xor", turned, code.shift(word, shift))


def _write_pair(code: VectorCode, schedule: _Schedule, number: int) -> None:
    if not schedule.depends_on_nonce(number):
        return
    left, right = (code.add(k, word) for k, word in zip(K[2 * number :], schedule.pair(number), strict=False))
    for half in range(2):
        pairs = _interleave(code, left, right, 1, half)
        place = _place(code.inside, f"{schedule.buffer}.write", (2 * number + half) * _VECTOR)
        code.inside.append(f"store <{LANES} x i32> {pairs.name}, ptr {place}, align {_VECTOR}")


def _interleave(code: VectorCode, left: Word, right: Word, words: int, half: int) -> Register:
    """`words` from the left and from the right in turn, of the lower or the higher half of each four lanes."""
    places: list[str] = []
    for four in range(0, LANES, 4):
        lanes = [four + 2 * half, four + 2 * half + 1]
        others = [lane + LANES for lane in lanes]
        ours = [*lanes, *others] if words == 2 else [lanes[0], others[0], lanes[1], others[1]]
        places += [f"i32 {lane}" for lane in ours]
    mask = f"<{LANES} x i32> <{', '.join(places)}>"
    return code.emit(True, f"shufflevector TYPE {code.operand(left, True)}, TYPE {code.operand(right, True)}, {mask}")


def _read_digest(code: VectorCode, midstate: list[list[Register]]) -> list[Word]:
    """The words of the first hash, from the states at the end of its rounds."""
    digest: list[Word] = [0] * 8
    for quad, places in enumerate(_STATE):
        rows = [_read(code, "digest", (4 * quad + row) * _VECTOR) for row in range(4)]
        for half in range(2):
            left, right = (_interleave(code, rows[row], rows[row + 1], 1, half) for row in (0, 2))
            for word in range(2):
                place = 2 * half + word
                column = _interleave(code, left, right, 2, word)
                digest[places[place]] = code.add(midstate[quad][place], column)
    return digest


# The rounds, by SHA instructions.


def _extract(sha: X86, quad: Quad, place: int) -> Register:
    return Register(sha.emit(f"extractelement {QUAD} {quad.name}, i64 {place}").name, False)


def _known(code: VectorCode, sha: X86, schedule: _Schedule) -> dict[int, Quad]:
    """The pairs of words, K added, that don't depend on the nonce."""
    known: dict[int, Quad] = {}
    for number in range((len(schedule.words) + 1) // 2):
        if schedule.depends_on_nonce(number):
            continue
        quad = constant(0, 0, 0, 0)
        for place, word in enumerate(schedule.pair(number)):
            value = code.operand(code.add(K[2 * number + place], word), False)
            quad = sha.emit(f"insertelement {QUAD} {quad.name}, i32 {value}, i64 {place}")
        known[number] = quad
    return known


def _rounds(
    sha: X86, state: State, known: dict[int, Quad], buffer: str, nonce: int, pairs: Iterable[int]
) -> Generator[None, None, State]:
    """Two rounds a step; returns the state after them all. `nonce`: which of the vector's."""
    for number in pairs:
        words = known.get(number)
        if words is None:
            place = _place(sha.inside, f"{buffer}.read", 2 * number * _VECTOR + 8 * nonce)
            pair = sha.emit(f"load i64, ptr {place}, align 8", Quad("", True))
            both = sha.emit(f"insertelement <2 x i64> zeroinitializer, i64 {pair.name}, i64 0", pair)
            words = sha.emit(f"bitcast <2 x i64> {both.name} to {QUAD}", both)
        state = sha.two_rounds(state, words)
        yield
    return state


def _keep_start(sha: X86, start: State) -> None:
    """Write the state after the rounds that no nonce changes to memory.

    LLVM, which has no register left for it, would keep it as 256 bits, and read it back so between SHA-256
    instructions: 1.3 million hashes/s on an Emerald Rapids, in portions, and 15 by a load of our own.
    """
    sha.before.append("%begun = alloca [32 x i8], align 16")
    for number, quad in enumerate(start):
        place = _place(sha.before, "begun", 16 * number)
        sha.before.append(f"store {QUAD} {quad.name}, ptr {place}, align 16")


def _first_hash(sha: X86, known: dict[int, Quad], nonce: int) -> Iterator[None]:
    low, high = (sha.emit(f"load {QUAD}, ptr %begun.{16 * number}, align 16", Quad("", True)) for number in range(2))
    state = yield from _rounds(sha, (low, high), known, "first", nonce, range(1, 32))
    four, row = divmod(_ORDER[nonce], 4)
    for quad, half in enumerate(state):
        place = _place(sha.inside, "digest.write", (4 * quad + row) * _VECTOR + 16 * four)
        sha.inside.append(f"store {QUAD} {half.name}, ptr {place}, align 16")


def _second_hash(sha: X86, known: dict[int, Quad], nonce: int) -> Iterator[None]:
    state = yield from _rounds(sha, sha.state(INITIAL), known, "second", nonce, range(31))
    # The F after 62 rounds is the E after 61 and the H at the end, but for what every hash adds.
    last = sha.emit(f"extractelement {QUAD} {state[0].name}, i64 0", state[0])
    place = _place(sha.inside, "last.write", 4 * nonce)
    sha.inside.append(f"store i32 {last.name}, ptr {place}, align 4")


# Both together.


def _in_turns(sha: X86, hashes: Iterable[Iterator[None]], groups: Sequence[int]) -> Iterator[list[str]]:
    """The instructions of each step, the hashes of a group taking turns."""
    waiting = iter(hashes)
    for size in groups:
        running = list(islice(waiting, size))
        while running:
            for each in list(running):
                if next(each, running) is running:
                    running.remove(each)
                yield sha.inside
                sha.inside = []


def _mix(steps: list[list[str]], others: list[str]) -> list[str]:
    mixed: list[str] = []
    taken = 0
    for number, step in enumerate(steps, 1):
        share = len(others) * number // len(steps)
        mixed += [*step, *others[taken:share], _FENCE]
        taken = share
    return mixed


def _alternate(steps: list[list[str]], others: list[str], portions: int) -> list[str]:
    """Both in turns of many. Each turn is a block of its own, as LLVM's schedulers move nothing from block to block."""
    code: list[str] = []
    for number in range(portions):
        vectors, rounds = (
            part[len(part) * number // portions : len(part) * (number + 1) // portions] for part in (others, steps)
        )
        code += [*vectors, "call void @llvm.x86.avx.vzeroupper()", *_new_block(f"rounds.{number}")]
        for step in rounds:
            code += [*step, _FENCE]
        code += _new_block(f"vectors.{number}")
    return code


def _new_block(name: str) -> tuple[str, str]:
    """No instruction. LLVM would join blocks again that nothing but a plain branch separates."""
    return f'callbr void asm sideeffect "", "!i"() to label %{name} [label %nothing]', f"{name}:"
