"""Networks on one machine, and what it takes to make a coin: files and processes, no chain.

In come a folder, ports and wishes; out come `coin.toml` files, data folders, a Procfile, and a network that runs until
Ctrl-C. Two kinds of network: a development network (published keys, wallet open, loopback only), and one of a coin of a
person's own.

**Read** `newcoin` (from wishes to a coin), `coinfiles` (`coin.toml`: read, made once), `devcoin` (the development
coin), `layout` (folders and ports), `procfile` (its processes, and as shell commands), `launch` (honcho's loop runs
them), `forked` (each as a fork of this process). Beside them: `addresses` (free ports, this machine in the local
network), `running` (a register of what runs), `holder` (which node runs on a data folder; its token is shown to that
node alone), `chaos` (a proxy that cuts and delays, for tests and teaching).

Rooms of its own, each with its page: `graph` (the shape of a network), `net` (the processes of one), `live` (one that
runs, for programs), `lab` (experiments on it), `sim` (thousands of nodes on a virtual clock: no process at all).

**Processes, threads, locks.** `launch.run` imports what all need, forks each node and worker (before any thread runs),
and is honcho's loop in the calling thread then, with a thread for each process's lines and one for the welcome;
`GatedPrinter` has the lock of the output. `honcho start` on the Procfile runs the same network, each process started by
a shell that gives way to it (`exec`). `coinfiles.make_once` locks the folder, so that any number of nodes that start at
once get the same coin. `system.lifecycle.watch_launcher` is a thread in each process that ends it with honcho.

**May import** all below it (the API and the worker only to have them imported); it is imported by the command line
alone.

**Weak:** honcho ends all processes when one ends, so workers are restarted by a keeper of their own. A port that is
free when it is looked at may be taken when the node binds it; the node says so then.
"""
