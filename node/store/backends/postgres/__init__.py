"""PostgreSQL: one chain for the processes of many machines. Loaded only where `--database` says so.

    pg_address      a database's URL: checked, completed, and shown without its password
    pg_connection   connections of psycopg's, by which a node reads
    pg_writing      the one that it writes by: the right to write, the counter, COMMIT
    pg_engines      SQLAlchemy on these; snapshots to read, from a replica where there is one
    pg_replica      is a server a replica of this very database, and does it still follow?
    pg_watch        has anybody committed? A counter to ask for, and LISTEN for being told
    pg_presence     who is alive: a session's locks, and what each process says of itself in its row
    pg_backend      these as a `Backend`

One writer at a time, of all processes on all machines: a write transaction begins with `pg_advisory_xact_lock`, and is
READ COMMITTED under it, so that nothing that it reads can change, and no serialization failure is possible. Before its
COMMIT it raises the counter of changes by one (`meta`, key `changes`), notes that number as this process's last commit
(`processes`), and notifies the channel. Nothing is raised where nothing was changed.

A reader is REPEATABLE READ and read only: all that it reads is of one instant. A snapshot of a replica is taken only
where its counter is at least the highest that this process has seen, so that nobody reads what is older than what he
has read or written before.

Where the connection is lost during COMMIT, `Backend.has_committed` takes the writers' lock on another one (by then the
lost transaction has ended, whichever way) and looks at that process's last commit; one that it finds is acknowledged
behind a commit more, which has waited for the replica where the server waits for one.

Nothing waits for ever: each answer has a bound of time, and whoever gets none closes the connection.

Weak: a connection that goes through a pooler must be a session's (`pool_mode = session`): locks and LISTEN belong to a
session. Whoever writes to the database beside Moneyer must raise the counter, or what is kept in memory is wrong.
"""
