"""Hash engines: each tries nonces on an 80-byte header (SHA-256d) and finds one that meets a target.

They know bytes only: nothing of chains, processes or the node, and import nothing of them. An engine object serves one
process and one thread. `registry` lists the engines, tests each one, and chooses the fastest; `proof.solves` is plain
hashlib, by which every engine is judged.

`hashlib_engine` runs everywhere. `simd`, `sha` and `mixed` are compiled at start by llvmlite, for this very processor:
Python writes LLVM IR, `compiled` compiles it, `code_cache` keeps the machine code for all workers of a user. `scan_ir`
is the loop that they share; `sha256_ir` hashes in vectors (`simd`), `sha_ir` by the SHA-256 instructions of `sha_sets`
(`sha`), `mixed_ir` by both at once (`mixed`). Read `proof`, `registry`, `hashlib_engine`, `compiled`, `scan_ir`, then
the three.

A new engine is one file, one line in `registry.ENGINES` and its name in `worker/config.py`; the tests run every engine
against plain hashlib. Weak: `auto` measures for a moment at start, so a busy machine may choose a slower one.
"""
