"""What the operating system gives: files, locks, processes, threads, logs; and words for people. No coin, no chain.

Each file stands alone; read the one that you need.

- `files` writes a file whole or not at all · `locks` are file locks that end with their process (who is alive) ·
  `api_token` is the file `api.token`
- `network` knows loopback addresses and shuts sockets
- `lifecycle` ends a process with its parent, and keeps the current folder out of imports · `threads` runs items in
  threads, and one job for many callers · `shares` counts scarce places by caller's address, with a table of every bound
  of a node
- `logs` sets up the log, and thins floods · `text` makes strangers' text visible · `words` turns a wrong value into a
  sentence · `advice` writes commands so that they work when typed · `decoding` has types of JSON made ready for threads

**Threads and locks.** Everything here that has state says itself whether threads may share it: `Shares`, `OneAtATime`
and `Floods` may. Watchers (`lifecycle`) are daemon threads that end with the process.

**May import** `core.errors` and `config` (and the standard library; msgspec in `decoding`, and in `words` when needed).
Imported by every room but `core` and `client`.

**Weak:** `flock` is per machine: a data folder on a network file system may be held twice. `shares` holds the bounds
of rooms above it, so that one table and one test have them all.
"""
