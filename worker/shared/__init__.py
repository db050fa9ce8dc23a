"""One process that mines for many nodes of this machine, each at a hash rate of its own: the worker of a network.

In come data folders with a rate each (`SharedNode`), and a function that says the rates anew while it runs; out come
blocks in each node's chain, as from a worker of its own: it holds each folder's `worker.lock` with its status, obeys
the mode and the jobs that the node's API sets, and pays the node's own account `miner`.

**The rate.** `paced_pool.PacedPool` takes the place of the hashing processes. It tries as many nonces as the rate
allows, with real proof of work, a second ahead of time, and reports a nonce when its moment has come. So a rate is
kept exactly, a node wakes once a second and no more, and nothing is searched twice. Only the mode `continuous` has the
rate: jobs, and blocks that a timer or a transfer makes due, are searched at once and at full speed. Where a rate is 0,
jobs alone are mined.

**A node's way.** `node_place.Place`: wait for the node (`node.lock`), hold `worker.lock`, wait for its checked database
(`checked.lock`), mine, let go when the node ends, and wait again. A folder that cannot be used is said once and tried
again; the others mine on.

**Threads.** The main thread steps the places that are due or whose node has committed, and sleeps until the next one is
(`shared_worker`). Each open store has its doorbell's thread, each node that is mined for a thread `watch-node` that
waits for its lock; both only set a flag and wake the loop. No locks.

**Read** `paced_pool`, `node_place`, `shared_worker`. It stands on the rooms that `worker` stands on, and on `worker`'s
own files; nothing of those imports it. **Weak:** a database that is locked for long holds up the other nodes for a
second at a time; and where the rates are more than one core can hash in Python (some 700,000 a second), all get less.
"""
