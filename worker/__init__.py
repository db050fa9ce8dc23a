"""The mining worker: processes that search for blocks on behalf of one node, on its machine.

A worker shares the node's database and its lock files; the two speak in no other way. It opens the database once the
node holds `checked.lock`: it is whole then. It is started by
`moneyer worker`, one for each data folder (it holds `worker.lock`), and ends with its node.

**Processes.** `keeper` (only with `--keep`) restarts the worker. The worker itself is the supervisor: it alone has the
database. It spawns hashing processes (`hasher`, `--processes` of them), which know bytes and an engine. The two talk
through a pipe each, in the messages at the top of `hasher`; nobody ever waits for a process to read.

**Threads of the supervisor.** The main thread runs the loop: `Miner.step`, write the status into the lock file (where
the API reads it), sleep. `listen` wakes it at each commit of any process (the database's doorbell), `watch-node` when
the node's lock is free, `end` when a signal asks for it. Nothing but the main thread touches miner, pool and offers,
so there is no lock.

**A block's way.** `demand` reads tip, jobs, mempool and mode in one transaction and says whether a block is wanted →
`Chain.template` makes one → `work.WorkSource` hands out units of nonces → `pool.feed` → `hasher` searches by `engines`
→ a Report with a nonce → `Miner.offer` proves it by hashlib → `work.Offers.submit` → `Chain.accept_block`, in this
process and in one transaction. A tip that changed meanwhile makes the block stale: it is counted and dropped.

**Read** `config`, `demand`, `work`, `miner`, then `hasher` and `pool`, then `supervisor` and `keeper`. `pace` (share of
the time, battery), `reports` (hash rate and log lines), `startup` and `bench` stand aside. `stratum/` is another
program, for miners elsewhere; `shared/` is the worker of a network, one process for many nodes; `engines/` hash.

**May import** everything of the node below its API (chain, store, wallet, system, core), and is imported by the command
line alone. `engines` import nothing of the node.

**Weak:** the supervisor judges a hashing process by its silence, so a machine that stalls for more than ten seconds
loses processes (they are replaced). The miner account is read from the wallet once, at the first template.
"""
