"""The database, by SQLAlchemy Core: an SQLite file of one node, or a PostgreSQL server's for many machines.

Functions take a connection and never commit. `engine.Store` opens a data folder, gives snapshots to read (`read`) and
runs jobs that write (`write`, `submit`, `write_item`); what a job did is durable when its caller hears of it.

    callers' threads      any number; `Store.read`: one snapshot each, at most `READERS` at once
          | write(job): queues it, and leads a group where nobody does; submit(job): leaves it to the thread "writer",
          v which `Store.open` starts and `Store.close` ends
    `writer`              one group at a time in a process: queued jobs (at most MAX_WAITING wait), many in one
                          transaction, one fsync; then their callers have their answers
          | after each commit: wakes `wait_for_change` here, rings the other processes' bells
          v
    "doorbell" or         one thread a process: hears of other processes' commits (through a FIFO, `sqlite.doorbell`; by
    "listen-database"     LISTEN, `postgres.pg_watch`), and wakes `wait_for_change`, whose caller looks at a number that
                          each commit changes (`PRAGMA data_version`; a counter)

Several processes (a node, its worker, Stratum, commands) use one database, and one of them writes at a time: by
SQLite's own lock, or by one that the server keeps.

One file a noun: `tables` (the schema, in metadata), `blocks` and `chainstate` (reading and changing the tree and the
state), `accounts`, `transactions`, `peers`, `mining`, `meta`; `assets/` is the tables of rules 2, `unconfirmed/` the
mempool's rows. `opening/` is what happens before a database is used: schema and migrations, checks, genesis.
`snapshots/` copies files of one instant, and takes a database back to its copy; `copying/` moves a chain from one
database to another. `backends/` is what differs between the two, and the statements that are compiled once. `errors`
makes sentences of what a database says.

May be called by `node.chain` and everything above it. Read: tables, engine, writer, blocks, chainstate, then the rest.

Weak: a job must not block, as it holds the only right to write; a long read holds writers up where SQLite keeps a
rollback journal, so `read_long` reads a copy there. Without a bell a change is seen after a second.
"""
