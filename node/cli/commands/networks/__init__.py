"""`moneyer net`, networks that are made from a graph, and `moneyer sim`, simulated ones: one file a group of commands.

`net` is the group, and lists its commands. `net_place` finds the network that is meant. `net_up` starts one (its screen
is in `net_screen`), `net_nodes` starts and ends single nodes and shows what they said. They speak to `node.devnet.net`;
nothing here knows how a network runs. `sim` has no process, port or folder: it prints what `node.devnet.sim` finds.
`lab_commands` is `moneyer lab`, over `node.devnet.lab`.

No threads, no locks, but for `net up` and `net worker`, which become the process that they name. Read `net`, then
`net_up`.
"""
