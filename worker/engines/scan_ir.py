"""The function `scan` in LLVM IR, which the compiled engines share: a loop around code that hashes one vector."""

from __future__ import annotations

from collections.abc import Sequence

FUNCTION = "scan"


def scan(
    lanes: int,
    declarations: Sequence[str],
    before: Sequence[str],
    inside: Sequence[str],
    last_word: str,
    *,
    behind: int = 0,
    order: Sequence[int] = (),
    carried: Sequence[str] = (),
) -> str:
    """LLVM IR of `i64 scan(ptr header, i32 top, i32 start, i64 count)`.

    It tries `start, start + 1, …` as nonce of the 80-byte `header`, at least `count` of them and at most `lanes - 1`
    more, and returns the first offset from `start` whose hash has a top word (its last four bytes, as a little-endian
    number) of at most `top`, else -1. That hash need not meet the whole target: the caller looks.

    `before` and `inside` are instructions that run once a call and once for each vector `%nonce` of nonces (as
    numbers, their bytes not yet swapped); they may use `%header`. `last_word`: the value, a vector, that then holds the
    eighth word of the second hashes.

    `behind`: where `last_word` is of the vector that many turns of the loop ago; in the first turns it may be anything.
    `order`: which of its vector's nonces each lane of `%nonce` has; those of `last_word` have them in their order.
    `carried`: phi instructions of the block `loop`, for what comes from the block `before` or from the last `more`.
    """
    vector = f"<{lanes} x i32>"
    steps = ", ".join(f"i32 {lane}" for lane in order or range(lanes))
    return _SCAN.format(
        function=FUNCTION,
        lanes=lanes,
        vector=vector,
        steps=steps,
        first=-behind * lanes,
        last_word=last_word,
        declarations="\n".join(declarations),
        before="\n".join(before),
        carried="\n".join(carried),
        inside="\n".join(inside),
    )


_SCAN = """
{declarations}
declare {vector} @llvm.bswap.v{lanes}i32({vector})
declare i{lanes} @llvm.cttz.i{lanes}(i{lanes}, i1)

define i64 @{function}(ptr %header, i32 %top, i32 %start, i64 %count) nounwind alignstack(64) {{
before:
{before}
%start.0 = insertelement {vector} poison, i32 %start, i64 0
%start.all = shufflevector {vector} %start.0, {vector} poison, {vector} zeroinitializer
%nonce.first = add {vector} %start.all, <{steps}>
%top.0 = insertelement {vector} poison, i32 %top, i64 0
%top.all = shufflevector {vector} %top.0, {vector} poison, {vector} zeroinitializer
br label %loop
loop:
%done = phi i64 [ {first}, %before ], [ %done.next, %more ]
%nonce = phi {vector} [ %nonce.first, %before ], [ %nonce.next, %more ]
{carried}
{inside}
%number = call {vector} @llvm.bswap.v{lanes}i32({vector} {last_word})
%hit = icmp ule {vector} %number, %top.all
%mask = bitcast <{lanes} x i1> %hit to i{lanes}
%none = icmp eq i{lanes} %mask, 0
br i1 %none, label %more, label %hits
more:
%done.next = add i64 %done, {lanes}
%nonce.next = add {vector} %nonce, splat (i32 {lanes})
%again = icmp slt i64 %done.next, %count
br i1 %again, label %loop, label %nothing
hits:
%early = icmp slt i64 %done, 0
br i1 %early, label %more, label %found
found:
%lane = call i{lanes} @llvm.cttz.i{lanes}(i{lanes} %mask, i1 true)
%lane.wide = zext i{lanes} %lane to i64
%offset = add i64 %done, %lane.wide
ret i64 %offset
nothing:
ret i64 -1
}}
"""
