"""Copies a chain from one database to another: SQLite's file, PostgreSQL's, in any direction. `moneyer db copy`.

    copy_ends       what is asked of a database that is copied from (`Source`) or made (`Target`)
    copy_file       a file, or a data folder's, as both; copy_server   a PostgreSQL server's database, as both
    copy_chain      the copy itself: every table's rows in the order of their keys, then counts, sums and proof

The source is read in one snapshot, also while its node runs. The target is whole or not there: on a server everything
is one transaction; a file is made under another name beside it, and gets its own at the end. What a killed copy leaves
of a file is removed by the next one to the same file; of a server's database nothing stays.

Rows go in before there are indexes and keys, which are made behind them: several times quicker (docs/performance.md).
Everything is checked before it can be seen: a damaged source makes no target.

Not copied: `processes` and the counter of changes, which are of a server's own. Added: the coin, in `meta`, so that a
copied file can be told by itself. Kept: the node's identity, unless a new one is asked for, and the number that the
mempool has given last: no number is given twice.

Threads: none. Locks: on a server those of making and of writing it; of a file, `flock` on the file that is being made;
of a data folder, its node's. Read: copy_chain, copy_ends, copy_server.
"""
