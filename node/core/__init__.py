"""The consensus, pure: `docs/protocol.md` as functions of bytes and whole numbers.

In: bytes, frozen values, the time as `now`. Out: values, or the error of the rule that is broken (`errors`), with what
was expected and found. Nothing here reads a clock, a file, a socket or a database, and nothing is kept between calls,
so every function may be called from any thread. Everything above may import this room; it imports the standard
library's pure parts and the curve library.

Read in this order:

types, errors         the values and the errors, one class a rule
codec                 bytes <-> values, canonical; SHA-256d, Merkle trees
pow                   compact bits, work, the retarget
coin, coinfile        a coin's parameters, its genesis block, its supply, amounts as text; `coin.toml`
signing, address      keys and BIP340 signatures; bech32m
policy                rules 2: who may spend from a contract's address; witnesses
rules                 the checks of stages 1 to 4, one function each
assets                rules 2: what issues, payments, mints and burns do, and their checks
ledger                stage 5: apply a block to accounts, assets and holdings, and undo it
template              from ready spends to an unsolved block; fee rates

Weak: `fees_of` stops at MAX_MONEY. A side block that can never connect may claim more, and a column has to hold it.
"""
