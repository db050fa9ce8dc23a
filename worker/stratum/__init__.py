"""A Stratum v1 server: SHA-256d miners of any make, on any machine, mine for one node (`moneyer stratum`).

Lines of JSON come in from miners; jobs go out, and a share that is a whole block goes to the node's chain. The server
is a process of its own beside the node, with the node's database open.

**Threads.** The event loop (`stratum_server`, `miner_socket`, `fair_queue`) has every socket and every session; nothing
in it blocks. `link` is a thread that follows the node: it waits for changes of the database, makes a template at each
new tip, and hands it to the loop. `watch-node` tells it that the node has ended; `offers`, a pool of one thread, puts
found blocks before the chain, one after the other. Between threads go only a template (to the loop, by
`call_soon_threadsafe`), a block's bytes (to `offers`) and the answer (to the loop again). So there are no locks.

**Queues, all bounded.** A connection's receive buffer (8 KiB), what waits to be sent to it (256 KiB, then it is cut
off), the turns of addresses (`fair_queue`: one buffer of each connection), found blocks (one for each parent). Places
are counted by address (`node.system.shares.STRATUM`); an idle connection makes room for a new miner.

**Read** `protocol` (messages, errors, difficulty), `session` (one miner's side with no socket in it), `jobs` (template
→ job → header → block), `vardiff`, `accounting`, `payees`; then `miner_socket`, `stratum_server`, `link`, and `start`
(the process). `session` asks the server through the protocol class `SessionOwner`, so it is tested without one.

**May import** what the worker may, and of the worker `reports` and `startup`.

**Weak:** one thread serves all: a large template delays every miner while it is encoded. Who is
paid is decided when a miner authorizes; there is no splitting of rewards, so this is solo mining for many.
"""
