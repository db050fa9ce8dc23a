"""Moneyer's node: from bytes of a stranger to a chain that everyone computes the same way.

Rooms, from the top down; each imports only rooms below it (import-linter holds that), and its `__init__` says how it
works:

cli          the command `moneyer`                        devnet    networks on one machine
api          HTTP: parse, call, render                    service   what a running node is made of
p2p          peers: links, relay, sync, bans              wallet    keys, phrases, contacts
chain        the one door for a block and for a transfer; the walk to the best chain; the mempool's policy
store        the database: tables and queries
system       what the operating system gives: files, locks, logs, threads; shares of scarce places
client       the API from Python                          config    what a node was told at its start
core         the consensus, pure

Read `core`, then `chain`, `store`, `p2p`, with `docs/protocol.md` beside them. `python -m tools.road` prints a block's
road through the rooms.
"""
