"""`moneyer verify` and `moneyer db`: a node's database, with or without its node running.

`db_group` is the group. `verify_blocks` proves every block; `db_look` checks and upgrades; `db_keep` makes backups,
puts them back, and begins anew; `db_copy` copies a chain between SQLite and PostgreSQL. `db_place` finds the database
that is meant: that of `--data`, or of `--database`, which is a server's; `db_bars` shows on a terminal how far it is.

The work is done in `node.store.opening`, `node.store.copying` and `node.chain.verify`. Commands that only look leave a
database as it is. No threads; locks are the node's (`db_place.alone`). Read `db_place`, `db_look`.
"""
