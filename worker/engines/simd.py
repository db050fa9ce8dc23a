"""The engine `simd`: SHA-256 in vectors, 16 nonces at once with AVX-512, 8 with AVX2, 4 on any x86-64 or ARM64."""

from __future__ import annotations

from pathlib import Path

from . import sha256_ir
from .compiled import CompiledEngine, Processor


class SimdEngine(CompiledEngine):
    """An `Engine` of vectors."""

    def __init__(self, cache: Path | None = None, *, lanes: int | None = None) -> None:
        """`lanes`: nonces of a vector, 4, 8, 16 or 32; None: as fits. Raises ImportError without llvmlite."""
        processor = Processor()
        self.lanes = lanes or _lanes(processor)
        ternary = self.lanes <= 16 and processor.is_x86 and processor.has("avx512f", "avx512vl")
        weakness = (
            "" if self.lanes >= 16 else f"this processor's vectors hold only {self.lanes} hashes (with AVX-512 16)"
        )
        super().__init__("simd", sha256_ir.module(self.lanes, ternary=ternary), processor, cache, weakness)


def _lanes(processor: Processor) -> int:
    if processor.is_x86 and processor.has("avx512f", "avx512bw"):
        # 32 is two vectors side by side. A Zen 4 gains 6 % by it; an Intel has too few registers and loses.
        return 32 if processor.name.startswith("znver") else 16
    return 8 if processor.is_x86 and processor.has("avx2") else 4
