"""What compiled engines share: LLVM IR, made in Python, is compiled at start for this very processor and called."""

from __future__ import annotations

import json
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_char_p, c_int64, c_uint32, c_uint64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .code_cache import CodeCache
from .proof import NONCES, solves
from .scan_ir import FUNCTION

# A CFUNCTYPE releases the GIL while it runs.
_Scan = CFUNCTYPE(c_int64, c_char_p, c_uint32, c_uint32, c_uint64)


@dataclass(frozen=True)
class Processor:
    """The processor that this process runs on, as LLVM sees it. Raises ImportError where there is no llvmlite."""

    @cached_property
    def llvm(self) -> Any:
        import llvmlite.binding as llvm  # takes 0.05 s, which the engine `hashlib` need not pay

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        return llvm

    @cached_property
    def name(self) -> str:
        return str(self.llvm.get_host_cpu_name())

    @cached_property
    def features(self) -> dict[str, bool]:
        """What the processor can do, by LLVM's names: `avx512f`, `sha`. Empty where the system doesn't tell."""
        features = dict(self.llvm.get_host_cpu_features())
        if self.is_arm and "apple" in self.triple:
            features["sha2"] = True  # all of them have it, and not every macOS tells
        return features

    @cached_property
    def triple(self) -> str:
        return str(self.llvm.get_process_triple())

    def has(self, *features: str) -> bool:
        return all(self.features.get(feature, False) for feature in features)

    @property
    def is_x86(self) -> bool:
        return self.triple.startswith("x86_64")

    @property
    def is_arm(self) -> bool:
        return self.triple.startswith(("aarch64", "arm64"))

    @cached_property
    def flags(self) -> str:
        """The features in LLVM's notation, and that vectors may be 512 bits wide, which compilers avoid."""
        flags = [f"{'+' if has else '-'}{feature}" for feature, has in sorted(self.features.items())]
        return ",".join([*flags, "-prefer-256-bit"] if self.is_x86 else flags)

    def machine(self) -> Any:
        """LLVM's target machine for this processor."""
        target = self.llvm.Target.from_triple(self.triple)
        return target.create_target_machine(self.name, self.flags, opt=2, reloc="pic", codemodel="small")

    def fingerprint(self, ir: str) -> bytes:
        """Everything that compiled code depends on: versions, the processor, and the IR, which our generator makes."""
        import llvmlite

        parts = (llvmlite.__version__, self.llvm.llvm_version_info, self.triple, self.name, self.flags, ir)
        return json.dumps(parts).encode()


class CompiledEngine:
    """An engine around a function `scan` of scan_ir."""

    def __init__(self, name: str, ir: str, processor: Processor, cache: Path | None, weakness: str = "") -> None:
        """`cache`: the folder for compiled code; None: compile every time. `weakness`: as `Engine` has it."""
        self.name = name
        self.weakness = weakness
        llvm, machine = processor.llvm, processor.machine()
        kept = CodeCache(cache, name, processor.fingerprint(ir)) if cache else None
        code = kept.read() if kept else None
        self.from_cache = code is not None
        if code is None:
            code = _compile(llvm, machine, ir)
            if kept:
                kept.write(code)
        jit = llvm.create_lljit_compiler(machine, use_jit_link=True)
        library = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(FUNCTION).link(jit, name)
        self.scan: Callable[[bytes, int, int, int], int] = _Scan(library[FUNCTION])
        """The compiled kernel; its results are checked by hashlib."""
        self._loaded = library, jit  # they own the code

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        """The first nonce of the range that solves. A range that goes past 2**32 ends there."""
        if len(header80) != 80:  # the compiled code reads 80
            raise ValueError(f"a header has 80 bytes, not {len(header80)}")
        top = min(target >> 224, 2**32 - 1)
        position, end = start_nonce, min(start_nonce + count, NONCES)
        while 0 <= position < end and top >= 0:
            offset = self.scan(header80, top, position, end - position)
            position += offset
            if offset < 0 or position >= end:
                return None
            # The top word is small enough; nearly always so is the whole hash. hashlib decides.
            if solves(header80, target, position):
                return position
            position += 1
        return None


def _compile(llvm: Any, machine: Any, ir: str) -> bytes:
    """The object code. No optimization passes: they take as long again and gain nothing."""
    module = llvm.parse_assembly(ir)
    module.verify()
    return bytes(machine.emit_object(module))
