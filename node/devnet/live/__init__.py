"""A network from a graph as a program has it: `from moneyer import Network`, and all that is done to one that runs.

In come names (of nodes, edges, snapshots) and wishes; out come requests to the nodes, to the supervisor of the network
(`net.control`), and changes of its plan. The commands `moneyer net …` and the fixtures of pytest are thin over it.

**Read** `live_network` (the class `Network`: all there is to do), `net_node` (one node of it), `edges` (what a person
names, pure) and `live_edges` (makes it so at both ends), `net_snapshots`, `net_view` (how it stands, as JSON). Beside
them: `launcher` (a network as a child of this process, on a folder of its own), `net_pool` (networks that tests are
lent), `waits` (waiting for a condition), `errors`.

**Processes, threads, locks.** Nothing runs here between two calls. Nodes are asked in threads, up to 16 at a time
(`live_edges.AT_ONCE`), which end with the call. Whoever changes edges, hash rates or snapshots holds the lock of the
network's folder meanwhile, so that programs change it one after the other. A network that `launcher` starts ends with
the process that started it, however that ends: its supervisor reads a pipe from it.

**May import** `net`, `graph` and all below `devnet`; it is imported by the command line and by users' programs.

**Weak:** conditions are looked at again and again, with pauses, not told by events: after a condition comes true it may
take a quarter of a second until it is seen. An edge is told to its two ends one after the other, so for some
milliseconds one of them may know more; a cut edge lets nothing pass as soon as the first end knows.
"""
