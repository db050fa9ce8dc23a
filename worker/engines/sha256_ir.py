"""Double SHA-256 of an 80-byte header as LLVM IR: one function that tries many nonces, one in each lane of a vector.

SHA-256 (FIPS 180-4) is written once, over words of three kinds; the kind of a word decides where its code goes:

- a Python int is known now: it is computed here, and no code is emitted;
- a scalar depends on the header but not on the nonce: it is computed once a call, before the loop;
- a vector depends on the nonce: it is computed in the loop, one nonce in each lane.

So the midstate, the rounds and the part of the message schedule that don't depend on the nonce leave the loop by
themselves. LLVM drops what is not used: of the second hash only the last word is, which is known after 61 of the 64
rounds.

The words of the schedule are made when the rounds need them: made all at once they ran a tenth slower.
"""

from __future__ import annotations

from dataclasses import dataclass

from .scan_ir import scan

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Register:
    """An LLVM value: `i32`, or a vector with one `i32` in each lane."""

    name: str
    vector: bool


Word = int | Register


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root_bits(prime: int, power: int) -> int:
    """The first 32 bits of the fraction of the square (2) or cube (3) root of a prime, exactly."""
    scaled = prime << 32 * power
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**power <= scaled else (low, middle - 1)
    return low & _MASK


K = tuple(_root_bits(prime, 3) for prime in _primes(64))
INITIAL = tuple(_root_bits(prime, 2) for prime in _primes(8))


class VectorCode:
    """Collects LLVM instructions on words: `before` the loop and `inside` it."""

    def __init__(self, lanes: int, ternary: bool) -> None:
        self.lanes = lanes
        self._ternary = ternary
        self.before: list[str] = []
        self.inside: list[str] = []
        self._count = 0
        self._splats: dict[str, str] = {}

    def emit(self, vector: bool, text: str) -> Register:
        """Add an instruction: `text`, with `TYPE` for the type and `SUFFIX` for that of an intrinsic."""
        self._count += 1
        register = Register(f"%v{self._count}", vector)
        kind, suffix = (f"<{self.lanes} x i32>", f"v{self.lanes}i32") if vector else ("i32", "i32")
        line = f"{register.name} = {text.replace('TYPE', kind).replace('SUFFIX', suffix)}"
        (self.inside if vector else self.before).append(line)
        return register

    def operand(self, word: Word, vector: bool) -> str:
        """How `word` is written in an instruction on vectors or on scalars."""
        if isinstance(word, int):
            return f"splat (i32 {word})" if vector else str(word)
        return self.splat(word) if vector and not word.vector else word.name

    def splat(self, word: Register) -> str:
        """The name of a vector with a scalar in every lane, made once before the loop."""
        if word.name not in self._splats:
            name = f"%s{len(self._splats)}"
            kind = f"<{self.lanes} x i32>"
            self.before += [
                f"{name}.0 = insertelement {kind} poison, i32 {word.name}, i64 0",
                f"{name} = shufflevector {kind} {name}.0, {kind} poison, <{self.lanes} x i32> zeroinitializer",
            ]
            self._splats[word.name] = name
        return self._splats[word.name]

    def binary(self, operation: str, left: Word, right: Word) -> Word:
        """`add`, `xor` or `and`."""
        if isinstance(left, int) and isinstance(right, int):
            return {"add": left + right, "xor": left ^ right, "and": left & right}[operation] & _MASK
        if 0 in (left, right):
            return 0 if operation == "and" else left if right == 0 else right
        vector = any(isinstance(word, Register) and word.vector for word in (left, right))
        return self.emit(vector, f"{operation} TYPE {self.operand(left, vector)}, {self.operand(right, vector)}")

    def add(self, *words: Word) -> Word:
        """The sum; ints and scalars first, so that they stay out of the loop, then vectors in the order given."""
        total: Word = 0
        for word in sorted(words, key=_kind):
            total = self.binary("add", total, word)
        return total

    def rotate(self, word: Word, bits: int) -> Word:
        if isinstance(word, int):
            return (word >> bits | word << 32 - bits) & _MASK
        name = self.operand(word, word.vector)
        amount = self.operand(bits, word.vector)
        return self.emit(word.vector, f"call TYPE @llvm.fshr.SUFFIX(TYPE {name}, TYPE {name}, TYPE {amount})")

    def shift(self, word: Word, bits: int) -> Word:
        if isinstance(word, int):
            return word >> bits
        return self.emit(word.vector, f"lshr TYPE {word.name}, {self.operand(bits, word.vector)}")

    def swap(self, word: Register) -> Register:
        """Reverse the bytes of each word."""
        return self.emit(word.vector, f"call TYPE @llvm.bswap.SUFFIX(TYPE {word.name})")

    def choice(self, e: Word, f: Word, g: Word) -> Word:
        """Bits of `f` where `e` has ones, else of `g`."""
        return self.binary("xor", self.binary("and", self.binary("xor", f, g), e), g)

    def majority(self, a: Word, b: Word, c: Word) -> Word:
        if self._ternary and any(isinstance(word, Register) and word.vector for word in (a, b, c)):
            # AVX-512 does it in one instruction, which LLVM 22 does not see by itself.
            operands = ", ".join(f"TYPE {self.operand(word, True)}" for word in (a, b, c))
            return self.emit(True, f"call TYPE @llvm.x86.avx512.pternlog.d.{32 * self.lanes}({operands}, i32 232)")
        return self.binary("xor", self.binary("and", self.binary("xor", a, b), self.binary("xor", a, c)), a)

    def xor(self, first: Word, second: Word, third: Word) -> Word:
        return self.binary("xor", self.binary("xor", first, second), third)


def _kind(word: Word) -> int:
    return 0 if isinstance(word, int) else 1 + word.vector


def _extend(code: VectorCode, words: list[Word]) -> None:
    """The next word of the message schedule."""
    early, late = words[-15], words[-2]
    small0 = code.xor(code.rotate(early, 7), code.rotate(early, 18), code.shift(early, 3))
    small1 = code.xor(code.rotate(late, 17), code.rotate(late, 19), code.shift(late, 10))
    words.append(code.add(words[-16], small0, words[-7], small1))


def _compress(code: VectorCode, state: list[Word], message: list[Word]) -> list[Word]:
    """The state after a block of 16 words."""
    words = list(message)
    a, b, c, d, e, f, g, h = state
    for i, constant in enumerate(K):
        if i + _AHEAD >= len(words):
            _extend(code, words)
        big1 = code.xor(code.rotate(e, 6), code.rotate(e, 11), code.rotate(e, 25))
        first = code.add(constant, words[i], h, code.choice(e, f, g), big1)
        big0 = code.xor(code.rotate(a, 2), code.rotate(a, 13), code.rotate(a, 22))
        second = code.majority(a, b, c)
        a, b, c, d, e, f, g, h = code.add(first, big0, second), a, b, c, code.add(d, first), e, f, g
    return [code.add(old, new) for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


_AHEAD = 4
"""Rounds by which the message schedule is ahead."""


def module(lanes: int, *, ternary: bool = False) -> str:
    """LLVM IR of `scan` (see scan_ir), `lanes` nonces at a time. `ternary`: the processor has AVX-512."""
    code = VectorCode(lanes, ternary)
    header: list[Word] = []
    for i in range(19):
        code.before.append(f"%p{i} = getelementptr i8, ptr %header, i64 {4 * i}")
        header.append(code.swap(code.emit(False, f"load i32, ptr %p{i}, align 1")))
    nonce = code.swap(Register("%nonce", True))
    midstate = _compress(code, list(INITIAL), header[:16])
    first = _compress(code, midstate, [*header[16:], nonce, 1 << 31, *[0] * 10, 640])
    second = _compress(code, list(INITIAL), [*first, 1 << 31, *[0] * 6, 256])
    vector = f"<{lanes} x i32>"
    declarations = [
        "declare i32 @llvm.fshr.i32(i32, i32, i32)",
        f"declare {vector} @llvm.fshr.v{lanes}i32({vector}, {vector}, {vector})",
        "declare i32 @llvm.bswap.i32(i32)",
    ]
    if ternary:
        name = f"llvm.x86.avx512.pternlog.d.{32 * lanes}"
        declarations.append(f"declare {vector} @{name}({vector}, {vector}, {vector}, i32 immarg)")
    return scan(lanes, declarations, code.before, code.inside, code.operand(second[7], True))
