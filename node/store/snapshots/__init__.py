"""Snapshots: several nodes' databases as of one instant, and a node's way back to its own.

`take` copies the databases of running nodes from another process. In: their paths, and a folder `snapshots/NAME`. Out:
NODE.db for each node in that folder, all of one instant; or an error, and then the folder is as it was. It takes the
right to write of every database, in the order of their paths, begins to read each, and lets go: nodes wait for some
milliseconds, and the copies are made behind that.

`restore` puts the rows of such a copy in the place of a database's own, in one write transaction: a node that is killed
in between has the old rows or the new ones. It runs as a job of `node.store.writer`, in its turn among the others.
What a node keeps in memory beside the rows is `Node.go_back`'s to forget.

Two numbers do not go back. A mempool's arrival numbers and SQLite's `data_version` only ever grow, so whoever follows
them (the relay, the feed of events, other processes) misses nothing that comes afterwards.

Threads: none. Locks: that of the folder of snapshots (`flock`), so that two do not take or replace one at a time, and
SQLite's own.

Weak: `take` polls for the right to write, so a database that is written without a pause may make it fail. Between the
two renames that put a new snapshot in an old one's place there is a moment with neither name; what was killed there is
mended by the next `take`, and `find` looks at both.

Read: take, restore.
"""
