"""A network from a graph on this machine: a node for each vertex, a link for each edge, one process that runs them all.

In come a graph (`node.devnet.graph`) and a folder; out come `network.json` (the plan: nodes, ports, edges and their
conditions), a folder for each node, a Procfile, and a network that runs until it is told to end.

**Read** `plan` (with `node.network_file`, which a node reads too), `building` (the folder made or checked),
`net_supervisor` (the process that runs it), `children` (one process of it), `control` and `control_server` (how others
start and end nodes). Beside them: `begin` (the supervisor as a child of another program), `foreground` (what it
prints), `node_logs` (`logs/NAME.log`), `capacity` (how many nodes this machine bears).

**Processes, threads, locks.** `net_supervisor` is one process with one thread and one loop over its children's pipes,
its control socket and its signals, so that it may fork a node at any time: a forked process shares what is imported
already. It holds `network.lock` for as long as it lives. One worker process mines for all nodes. A node's processes are
a process group; nodes end with the supervisor, however it ends, because they watch it (`system.lifecycle`). All else
that is done to a network (cut, delay, mine, send, snapshot) goes to the nodes by HTTP, from the program that does it.

**Weak:** a node counts as up when it has printed the line with which it begins (`node.server.start_line`). A port that
is free when it is looked at may be taken when its node binds it; that node has died then, and says why.
"""
